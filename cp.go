package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
	"github.com/spf13/cobra"
)

type cpCommand struct {
	Source, Target string
	Recursive      bool
	guestFlags
}

func (c *cpCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "cp SOURCE TARGET", Short: "Copy files into an instance, or out of it.",
		Long: "Copy files into an instance, or out of it. One of SOURCE and TARGET is a file or folder here, the other [USER@]INSTANCE:PATH.",
		Args: exactly(2),
		RunE: func(command *cobra.Command, arguments []string) error {
			c.Source, c.Target = arguments[0], arguments[1]
			return c.Run(command.Context())
		},
	}
	command.Flags().BoolVarP(&c.Recursive, "recursive", "r", false, "Copy a folder with all that is in it.")
	c.addGuestFlags(command.Flags())
	return command
}

// place is a side of a copy.
type place struct {
	user, instance, path string
}

func (p place) remote() bool { return p.instance != "" }

// readPlace tells INSTANCE:PATH from a path here.
func readPlace(text string) place {
	if before, after, ok := strings.Cut(text, ":"); ok {
		if user, instance := splitUser(before); strings.HasPrefix(instance, "i-") {
			if after == "" {
				after = "."
			}
			return place{user, instance, after}
		}
	}
	return place{path: text}
}

// Run copies a file or folder, by the same way as "mini-aws ssh".
func (c *cpCommand) Run(ctx context.Context) error {
	source, target := readPlace(c.Source), readPlace(c.Target)
	if source.remote() == target.remote() {
		return errors.New("one side of a copy is an instance, as INSTANCE:PATH, and the other is here")
	}
	there := source
	if target.remote() {
		there = target
	}
	client, err := c.login(ctx, there.user, there.instance)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	files, err := sftp.NewClient(client)
	if err != nil {
		return err
	}
	defer func() { _ = files.Close() }()
	if target.remote() {
		return c.put(files, source.path, target.path)
	}
	return c.get(files, source.path, target.path)
}

func (c *cpCommand) put(files *sftp.Client, source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if found, err := files.Stat(target); err == nil && found.IsDir() {
		target = path.Join(target, filepath.Base(source))
	}
	if !info.IsDir() {
		return putFile(files, source, target, info)
	}
	if !c.Recursive {
		return fmt.Errorf("%s is a folder: copy it with -r", source)
	}
	return filepath.WalkDir(source, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		there := path.Join(target, filepath.ToSlash(below))
		info, err := entry.Info()
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return files.MkdirAll(there)
		case info.Mode().IsRegular():
			return putFile(files, name, there, info)
		}
		return nil // links, sockets and devices stay
	})
}

func putFile(files *sftp.Client, source, target string, info fs.FileInfo) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := files.Create(target)
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	_, err = out.ReadFrom(in)
	return errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close())
}

func (c *cpCommand) get(files *sftp.Client, source, target string) error {
	info, err := files.Stat(source)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	if found, err := os.Stat(target); err == nil && found.IsDir() {
		target = filepath.Join(target, path.Base(source))
	}
	if !info.IsDir() {
		return getFile(files, source, target, info)
	}
	if !c.Recursive {
		return fmt.Errorf("%s is a folder: copy it with -r", source)
	}
	root, err := files.RealPath(source)
	if err != nil {
		return err
	}
	for walk := files.Walk(root); walk.Step(); {
		if err := walk.Err(); err != nil {
			return err
		}
		below := strings.TrimPrefix(strings.TrimPrefix(walk.Path(), root), "/")
		if !filepath.IsLocal(below) && below != "" {
			return fmt.Errorf("the instance names a file outside of the folder: %q", below)
		}
		here := filepath.Join(target, filepath.FromSlash(below))
		switch info := walk.Stat(); {
		case info.IsDir():
			if err := os.MkdirAll(here, 0o755); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			if err := getFile(files, walk.Path(), here, info); err != nil {
				return err
			}
		}
	}
	return nil
}

func getFile(files *sftp.Client, source, target string, info fs.FileInfo) error {
	in, err := files.Open(source)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
