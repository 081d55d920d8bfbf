package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	dir := flag.String("o", "awsapi/meta", "folder to write to")
	overlay := flag.Bool("botocore", true, "read HTTP statuses and constraints from botocore when it is installed")
	flag.Parse()
	if err := run(*dir, *overlay, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir string, overlay bool, only []string) error {
	data := ""
	if overlay {
		if data = botocore(); data == "" {
			fmt.Fprintln(os.Stderr, "gen: botocore is not installed: statuses and rules stay as they are")
		}
	}
	var all []*generated
	for _, e := range catalog {
		if len(only) > 0 && !slices.Contains(only, e.module) {
			continue
		}
		g, err := generate(e, data, dir)
		if err != nil {
			return err
		}
		if err := g.write(dir); err != nil {
			return err
		}
		fmt.Printf("%-26s %4d operations %5d + %5d shapes %4d errors %6d bytes, %d fields without a name\n", e.module, len(g.service.Ops),
			len(g.service.Requests), len(g.service.Responses), len(g.service.Errors), size(filepath.Join(dir, e.module+".wire")), len(g.unmapped))
		all = append(all, g)
	}
	if len(only) > 0 {
		for _, g := range all {
			for _, u := range g.unmapped {
				fmt.Println("  ", u)
			}
		}
		return nil
	}
	if err := goFile(filepath.Join(dir, "services.go"), serviceTable(all)); err != nil {
		return err
	}
	for _, g := range all {
		if len(g.src.unions) > 0 {
			if err := writeUnions(dir, g); err != nil {
				return err
			}
		}
	}
	if err := writeAllUnions(dir, all); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "unmapped.golden"), unmappedList(all), 0o644)
}

func size(path string) int64 {
	if st, err := os.Stat(path); err == nil {
		return st.Size()
	}
	return 0
}
