package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// state is what the agent was told last, one file for each VPC or transit gateway, so that the next agent does not need to be told.
type state struct{ folder string }

func (s state) path(id string) string { return filepath.Join(s.folder, filepath.Base(id)+".json") }

// save writes the file of one id whole or not at all. It is not synced: after a crash of the machine there is nothing that
// it could describe.
func (s state) save(id string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	path := s.path(id)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (s state) remove(id string) error {
	if err := os.Remove(s.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// load reads all that was saved in a folder; id answers whose a value is.
func load[T any](s state, id func(*T) string) (map[string]*T, error) {
	all := map[string]*T{}
	files, err := filepath.Glob(filepath.Join(s.folder, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		saved := new(T)
		if err := json.Unmarshal(content, saved); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if name := id(saved); name+".json" == filepath.Base(file) && !strings.ContainsAny(name, "/.") {
			all[name] = saved
		}
	}
	return all, nil
}
