package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"miniaws/backend"
	"miniaws/backend/docker"
)

type destroyCommand struct {
	Data string
	Yes  bool
}

func (c *destroyCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "destroy", Short: "Remove everything of an installation, from the engine and from the disk.", Args: showing(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error { return c.Run(command.Context()) },
	}
	command.Flags().StringVar(&c.Data, "data", defaultData, "Data folder of the installation.")
	command.Flags().BoolVar(&c.Yes, "yes", false, "Do not ask.")
	return command
}

// Run removes everything of the installation: what carries its label on the engine, and then the data folder, which knows
// the label. It needs the folder for itself, so it is refused while a server uses it.
func (c *destroyCommand) Run(ctx context.Context) (err error) {
	path, err := dataPath(c.Data)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(path, "installation")); err != nil {
		return fmt.Errorf("%s is not the data folder of an installation: %w", path, err)
	}
	folder, err := openDataFolder(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	objects, engine, err := c.onEngine(ctx, folder)
	if err != nil {
		return err
	}
	if engine != nil {
		defer func() { err = errors.Join(err, engine.Close()) }()
	}
	for _, o := range objects {
		fmt.Printf("%-10s %s\n", o.Kind, o.Name)
	}
	fmt.Printf("%-10s %s, with everything in it\n", "folder", folder.path)
	if !c.Yes {
		if err := confirmed(os.Stdin); err != nil {
			return err
		}
	}
	if engine != nil {
		if err := engine.RemoveEverything(ctx, func(backend.Object) {}); err != nil {
			return fmt.Errorf("not everything could be removed, so the data folder stays; try again: %w", err)
		}
	}
	return folder.remove()
}

// onEngine lists what the installation has on a Docker engine. One that does not answer may still have something.
func (c *destroyCommand) onEngine(ctx context.Context, folder *dataFolder) ([]backend.Object, *docker.Engine, error) {
	engine, err := docker.Open(ctx, folder.installation)
	switch {
	case err != nil && folder.usedDocker():
		return nil, nil, fmt.Errorf("this installation has run instances on a Docker engine, which does not answer now, so they cannot be removed: %w", err)
	case err != nil:
		return nil, nil, nil
	}
	all, err := engine.Everything(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, engine.Close())
	}
	return all, engine, nil
}

// confirmed asks on a terminal; elsewhere there is nobody to ask.
func confirmed(in *os.File) error {
	if info, err := in.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return errors.New("nothing was removed: there is no terminal to ask on, so give it --yes")
	}
	fmt.Print("Remove all of this? It cannot be undone. [yes/no] ")
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("nothing was removed")
	}
	return nil
}

// remove removes what the folder holds, the installation id last: until then it can be tried again. The lock's file stays
// locked to the end.
func (d *dataFolder) remove() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != "installation" && name != "lock" {
			if err := os.RemoveAll(filepath.Join(d.path, name)); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"installation", "lock"} {
		if err := os.Remove(filepath.Join(d.path, name)); err != nil {
			return err
		}
	}
	return os.Remove(d.path)
}
