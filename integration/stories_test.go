package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/rogpeppe/go-internal/testscript"
)

// binary is the mini-aws under test, built once for the run; workFolder is what the run leaves nothing of.
var binary, workFolder string

// childWork is what this program does as a test's child: by the variable that is set in it, whose value it is given.
var childWork = map[string]func(string) error{bareServer: serveBare}

func TestMain(m *testing.M) {
	for variable, work := range childWork {
		if argument := os.Getenv(variable); argument != "" {
			if err := work(argument); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	// The default port of the DNS server is for one of the servers of a machine, and may be somebody's.
	if err := os.Setenv("MINI_AWS_DNS", "off"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	folder, err := os.MkdirTemp("", "mini-aws-integration-*")
	workFolder = folder
	if err == nil {
		if binary = os.Getenv("MINI_AWS_TEST_BINARY"); binary == "" { // else one that was built before
			binary = filepath.Join(folder, "mini-aws")
			err = build(binary)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the binary under test:", err)
		os.Exit(1)
	}
	status := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func build(target string) error {
	// The init of instances first: what is built after it has it inside.
	if err := buildInit(target + "-init"); err != nil {
		return fmt.Errorf("the init of instances: %w", err)
	}
	command := exec.CommandContext(context.Background(), "go", "build", "-o", target, "miniaws")
	command.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped: the node agent's container has no loader
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// buildInit does what "make init" does, and leaves a file alone that is right: other packages' tests are built meanwhile.
func buildInit(program string) error {
	command := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "miniaws/backend/node/guest/init")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	packed, err := exec.CommandContext(context.Background(), "gzip", "-9", "--no-name", "--stdout", program).Output()
	if err != nil {
		return err
	}
	made := "../backend/node/initbinary/built/init-linux-" + runtime.GOARCH + ".gz"
	if had, err := os.ReadFile(made); err == nil && bytes.Equal(had, packed) {
		return nil
	}
	// At once, and not in the folder that is embedded.
	fresh := "../backend/node/initbinary/.init.new"
	if err := os.WriteFile(fresh, packed, 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, made)
}

// programs is a folder with the clients themselves. Where they are managed by pyenv, what is found first is a script that
// looks for them at every call, which takes longer than they do. Terraform's provider builds its schemas whenever it
// starts, which is for each command: with its collector less busy that takes a third less, and 150 MB more.
var programs = sync.OnceValue(func() string {
	folder := filepath.Join(workFolder, "programs")
	_ = os.MkdirAll(folder, 0o755) // without it, or what is in it, the client is what PATH has
	for _, name := range []string{"aws", "python3"} {
		out, err := exec.CommandContext(context.Background(), "pyenv", "which", name).Output()
		if path := strings.TrimSpace(string(out)); err == nil && path != "" {
			_ = os.Symlink(path, filepath.Join(folder, name))
		}
	}
	if path, err := exec.LookPath("terraform"); err == nil {
		script := "#!/bin/sh\nGOGC=400 exec '" + path + "' \"$@\"\n"
		_ = os.WriteFile(filepath.Join(folder, "terraform"), []byte(script), 0o755)
	}
	return folder
})

// quickStories are those that run with -short: one for each part of the cloud. The others take minutes, most of them in
// clients that start.
var quickStories = []string{"serve", "credentials", "refusals", "identities", "s3_objects", "s3_listing", "ssm_parameters", "vpc", "instances_options", "tls"}

func TestStories(t *testing.T) {
	folder, files := "testdata", []string(nil)
	if testing.Short() {
		folder = ""
		for _, name := range quickStories {
			files = append(files, filepath.Join("testdata", name+".txtar"))
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 folder,
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			port, err := freePort()
			if err != nil {
				return err
			}
			env.Setenv("PATH", strings.Join([]string{filepath.Dir(binary), programs(), env.Getenv("PATH")}, string(os.PathListSeparator)))
			// The aws CLI keeps the credentials of roles in the home folder: those of an earlier run are another cloud's.
			env.Setenv("HOME", env.WorkDir)
			// Modules that stories share.
			shared, err := filepath.Abs("testdata/python")
			if err != nil {
				return err
			}
			env.Setenv("PYTHONPATH", shared)
			env.Setenv("PYTHONDONTWRITEBYTECODE", "1")
			env.Setenv("MINI_AWS_LISTEN", port)
			env.Setenv("MINI_AWS_DNS", "off") // its port is for one of the servers of a machine
			// For what a story starts beside the server.
			if port, err = freePort(); err != nil {
				return err
			}
			_, port, _ = net.SplitHostPort(port)
			env.Setenv("PORT", port)
			project, err := filepath.Abs("..")
			if err != nil {
				return err
			}
			env.Setenv("PROJECT", project)
			data := filepath.Join(env.WorkDir, "data")
			env.Setenv("MINI_AWS_DATA", data)
			env.Defer(func() { leaveNothing(env.T(), data) })
			env.Setenv("MINI_AWS_ENGINE", "sim")
			env.Setenv("DOCKER_HOST", os.Getenv("DOCKER_HOST"))
			env.Setenv(terraformPlugins, os.Getenv(terraformPlugins))
			if strings.Contains(filepath.Base(env.WorkDir), "javascript") {
				modules, _ := javascriptSDK() // without it the story skips
				env.Setenv("NODE_PATH", modules)
			}
			for _, name := range []string{"NONSENSE_SEED", "NONSENSE_ROUNDS"} {
				env.Setenv(name, os.Getenv(name))
			}
			env.Setenv("SECRET_WITH_SHELL_CHARACTERS", "a'b$c;>pwned;`id`\"{a,b}")
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition == "engine" {
				return os.Getenv("MINI_AWS_TEST_ENGINE") == "docker", nil
			}
			if condition == "root" {
				return os.Getuid() == 0, nil
			}
			if client, ok := strings.CutPrefix(condition, "client:"); ok {
				return hasClient(client)
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":       ready,
			"get":         get,
			"signed":      signed,
			"credentials": credentials,
			"chapter":     chapter,
		},
	})
}

// leaveNothing removes what a story that failed has on an engine. A server that was told to stop may still hold the folder.
func leaveNothing(t testscript.T, data string) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(data, "docker")); err != nil {
			return // no engine was used, or all of it was removed
		}
		out, err := exec.CommandContext(context.Background(), binary, "destroy", "--yes", "--data", data).CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || !strings.Contains(string(out), "in use by another") {
			t.Log("what is left on the engine:", err, string(out))
			return
		}
	}
}

// stopServers stops what the story left running in the background. The script itself does that only after all that was
// deferred.
func stopServers(ts *testscript.TestScript) {
	for _, command := range ts.BackgroundCmds() {
		_ = command.Process.Signal(os.Interrupt) // one that has ended is no error
	}
}

// terraformPlugins names the folder that holds registry.terraform.io.
const terraformPlugins = "MINI_AWS_TF_PLUGINS"

// hasClient tells whether a client is installed. CI has them all: there a missing one is an error, not a skip.
func hasClient(name string) (bool, error) {
	var err error
	if name == "terraform" && os.Getenv(terraformPlugins) == "" {
		err = errors.New(terraformPlugins + " is not set: the folder that holds registry.terraform.io")
	} else if name == "javascript" {
		_, err = javascriptSDK()
	} else if name == "boto3" {
		err = boto3()
	} else {
		_, err = exec.LookPath(name)
	}
	if err != nil && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("the client %s is not installed: %w", name, err)
	}
	return err == nil, nil
}

// boto3 asks Python for the library, once for all stories: to load it takes a third of a second.
var boto3 = sync.OnceValue(func() error {
	return exec.CommandContext(context.Background(), "python3", "-c", "import boto3").Run()
})

// freePort answers a loopback address that nothing listens on now. Another process may take it first; then the story
// fails at "ready" with what the server said.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// ready waits until the server that the story started answers: "ready".
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: ready")
	}
	ts.Defer(func() { stopServers(ts) }) // before what was deferred earlier
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + ts.Getenv("MINI_AWS_LISTEN") + "/_mini/health")
		if err == nil {
			ts.Check(response.Body.Close())
			return
		}
	}
	ts.Fatalf("the server did not answer in 30 s")
}

// credentials sets what "mini-aws env" prints: "credentials".
func credentials(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: credentials")
	}
	ts.Check(ts.Exec("mini-aws", "env"))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if setting, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(setting, "=")
			ts.Setenv(name, value)
		}
	}
}

// signed sends a request to the administration, signed with the credentials of the environment, and keeps the answer in
// the file "answer": "signed METHOD PATH STATUS [BODY]".
func signed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: signed METHOD PATH STATUS [BODY]")
	}
	body := ""
	if len(args) == 4 {
		body = args[3]
	}
	request, err := http.NewRequestWithContext(context.Background(), args[0], "http://"+ts.Getenv("MINI_AWS_LISTEN")+args[1], strings.NewReader(body))
	ts.Check(err)
	sum := sha256.Sum256([]byte(body))
	who := aws.Credentials{AccessKeyID: ts.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: ts.Getenv("AWS_SECRET_ACCESS_KEY")}
	ts.Check(v4.NewSigner().SignHTTP(context.Background(), who, request, hex.EncodeToString(sum[:]), "mini-aws", "us-east-1", time.Now()))
	keepAnswer(ts, request, args[2])
}

// get asks the server and keeps the answer in the file "answer": "get PATH STATUS".
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get PATH STATUS")
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+ts.Getenv("MINI_AWS_LISTEN")+args[0], nil)
	ts.Check(err)
	keepAnswer(ts, request, args[1])
}

// keepAnswer sends the request, checks the status, and puts the body into the file "answer".
func keepAnswer(ts *testscript.TestScript, request *http.Request, status string) {
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	ts.Check(response.Body.Close())
	ts.Check(os.WriteFile(ts.MkAbs("answer"), body, 0o600))
	if got := fmt.Sprint(response.StatusCode); got != status {
		ts.Fatalf("%s %s answered %s: %s", request.Method, request.URL, got, strings.TrimSpace(string(body)))
	}
}
