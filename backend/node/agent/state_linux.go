package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// state is what the agent was told last, one file for each VPC, so that the next agent does not need to be told.
type state struct{ folder string }

func (s state) path(id string) string { return filepath.Join(s.folder, filepath.Base(id)+".json") }

// save writes the VPC's file whole or not at all. It is not synced: after a crash of the machine there is nothing that
// it could describe.
func (s state) save(v *vpc) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	path := s.path(v.Wanted.ID)
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

func (s state) load() (map[string]*vpc, error) {
	all := map[string]*vpc{}
	files, err := filepath.Glob(filepath.Join(s.folder, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		v := &vpc{}
		if err := json.Unmarshal(content, v); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if v.Attachments == nil {
			v.Attachments = map[string]attachment{}
		}
		if v.Wanted.ID+".json" == filepath.Base(file) && !strings.ContainsAny(v.Wanted.ID, "/.") {
			all[v.Wanted.ID] = v
		}
	}
	return all, nil
}
