package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newCommandLine is all that can be asked for. Every flag has an environment twin, MINI_AWS_<FLAG>.
func newCommandLine() *cobra.Command {
	root := newRoot()
	root.AddCommand(
		(&serveCommand{}).command((&serveCommand{}).Run),
		(&envCommand{}).command(), (&doctorCommand{}).command(), (&lookCommand{}).command(), (&explainCommand{}).command(),
		(&rootDeviceCommand{}).command(), (&revokeCommand{}).command(), (&sshCommand{}).command(), (&cpCommand{}).command(),
		(&noticeCommand{}).command(), (&destroyCommand{}).command(), versionCommand(), initCommand(), (&agentCommand{}).command(),
	)
	return root
}

// newWorkerCommandLine is that of the process that serves: it reads what serve was given, and is spared the other
// commands, as somebody waits for its start.
func newWorkerCommandLine(arguments []string) *cobra.Command {
	root, worker := newRoot(), &workerCommand{}
	root.AddCommand(worker.command(worker.Run))
	root.SetArgs(append([]string{"serve"}, arguments...))
	return root
}

// newRoot is a command line without commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "mini-aws",
		Short: "A whole cloud on one machine, for unmodified AWS clients.",
		// What goes wrong later is no matter of usage, and is printed by main.
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(command *cobra.Command, _ []string) error { return fromEnvironment(command.Flags()) },
	}
	root.SetFlagErrorFunc(withUsage)
	return root
}

// withUsage prints how the command is used, above the error.
func withUsage(command *cobra.Command, err error) error {
	command.PrintErrln(command.UsageString())
	return err
}

// exactly takes that many arguments, no more and no less.
func exactly(count int) cobra.PositionalArgs { return showing(cobra.ExactArgs(count)) }

// onOne is a command that is about one thing, which its only argument names.
func onOne(use, short, more string, thing *string, run func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: short + " " + more, Args: exactly(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			*thing = arguments[0]
			return run(command.Context())
		},
	}
}

// showing says how the command is used where the arguments are refused.
func showing(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		if err := check(command, arguments); err != nil {
			return withUsage(command, err)
		}
		return nil
	}
}

// twins is the annotation of a flag that has other environment twins than MINI_AWS_<FLAG>, or none.
const twins = "environment"

// setTwins makes a flag known by variables of other names. The first that is set counts.
func setTwins(flags *pflag.FlagSet, flag string, variables ...string) {
	if err := flags.SetAnnotation(flag, twins, variables); err != nil {
		panic(err) // the flag is not there: a fault of the line that calls this
	}
}

// twinsOf answers the environment variables that a flag can be given by.
func twinsOf(flag *pflag.Flag) []string {
	if named, ok := flag.Annotations[twins]; ok {
		return named
	}
	return []string{"MINI_AWS_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))}
}

// fromEnvironment sets the flags that the command line does not have from their twins. A variable that is there without a
// value says so: a folder whose name a script lost is better refused than replaced by the default.
func fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || flag.Name == "help" {
			return
		}
		for _, variable := range twinsOf(flag) {
			value, found := os.LookupEnv(variable)
			if !found {
				continue
			}
			if flag.Value.Type() == "bool" {
				value = cmp.Or(map[string]string{"yes": "true", "no": "false"}[strings.ToLower(value)], value)
			}
			if err := flags.Set(flag.Name, value); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", variable, err))
			}
			return
		}
	})
	return failed
}

// choice is a flag that takes one of some words.
type choice struct {
	value *string
	words []string
}

// addChoice defines a flag that takes one of words; the first is what it is without.
func addChoice(flags *pflag.FlagSet, value *string, name, usage string, words ...string) {
	*value = words[0]
	flags.Var(choice{value, words}, name, usage)
}

// String answers the word that was chosen.
func (c choice) String() string { return *c.value }

// Type is what a usage line shows for the value.
func (c choice) Type() string { return strings.Join(c.words, "|") }

// Set refuses other words.
func (c choice) Set(word string) error {
	if err := oneOf(word, c.words); err != nil {
		return err
	}
	*c.value = word
	return nil
}

// oneOf refuses a word that is none of words.
func oneOf(word string, words []string) error {
	for _, known := range words {
		if word == known {
			return nil
		}
	}
	return fmt.Errorf("must be one of %s, not %q", strings.Join(words, ", "), word)
}

// optional is a flag that can be absent, which is not the same as empty.
type optional struct {
	value **string
	kind  string
}

// String answers the value, empty where there is none.
func (o optional) String() string {
	if *o.value == nil {
		return ""
	}
	return **o.value
}

// Type is what a usage line shows for the value.
func (o optional) Type() string { return o.kind }

// Set gives it a value.
func (o optional) Set(text string) error {
	*o.value = &text
	return nil
}
