// Command mini-aws is a whole cloud on one machine: one endpoint that speaks AWS's wire protocols and turns every call
// into something real. See README.md for its use and docs/ for how it works.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line. Every flag has an environment twin, MINI_AWS_<FLAG>.
type commands struct {
	Serve      serveCommand      `cmd:"" help:"Serve the cloud until interrupted. What runs in it goes on running."`
	Env        envCommand        `cmd:"" help:"Print what a shell or an AWS profile needs in order to use the endpoint."`
	Doctor     doctorCommand     `cmd:"" help:"Check this machine, and say what to do about what is missing."`
	Look       lookCommand       `cmd:"" help:"Print what a resource really is, now."`
	Explain    explainCommand    `cmd:"" help:"Print why a recorded call was allowed or denied."`
	RootDevice rootDeviceCommand `cmd:"" help:"Give a virtual MFA device to the root user of its account."`
	Revoke     revokeCommand     `cmd:"" help:"End all sessions of a role, a user or a root user that began until now."`
	SSH        sshCommand        `cmd:"" name:"ssh" help:"Open a shell in an instance, or run a command there."`
	Cp         cpCommand         `cmd:"" help:"Copy files into an instance, or out of it."`
	Notice     noticeCommand     `cmd:"" help:"Announce an interruption, a recommendation or a maintenance to an instance."`
	Destroy    destroyCommand    `cmd:"" help:"Remove everything of an installation, from the engine and from the disk."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	Init       initCommand       `cmd:"" hidden:"" help:"Be PID 1 of an instance."`
	Agent      agentCommand      `cmd:"" hidden:"" help:"Hold the networks of VPCs, on the engine's side."`
}

// workerCommands is the command line of the process that serves, which only serve writes.
type workerCommands struct {
	Worker workerCommand `cmd:"" help:"Be the process that serves, below serve."`
}

func main() {
	parsed := parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	parsed.BindTo(ctx, (*context.Context)(nil))
	err := parsed.Run()
	stop()
	parsed.FatalIfErrorf(err)
}

// parse reads the command line. A worker, whose start somebody waits for, is spared the other commands' flags.
func parse() *kong.Context {
	var commandLine any = &commands{}
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		commandLine = &workerCommands{}
	}
	return kong.Parse(commandLine,
		kong.Name("mini-aws"),
		kong.Description("A whole cloud on one machine, for unmodified AWS clients."),
		kong.DefaultEnvars("MINI_AWS"),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
}

type versionCommand struct{}

// Run prints the version on standard output.
func (versionCommand) Run() error {
	_, err := fmt.Printf("mini-aws %s\n", version())
	return err
}

// version is the module's version where the build knows one, else the commit, else "devel".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel-" + setting.Value[:12]
		}
	}
	return "devel"
}
