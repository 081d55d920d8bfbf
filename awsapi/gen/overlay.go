package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"miniaws/awsapi/wire"
	"miniaws/backend/lazyregexp"
)

// model is the part of botocore's JSON that is read. Botocore is Apache-2.0; only facts are taken.
type model struct {
	Operations map[string]struct {
		HTTP struct {
			Code uint16 `json:"responseCode"`
		}
		Input struct{ Shape string }
	}
	Shapes map[string]*modelShape
}

type modelShape struct {
	Type       string
	Enum       []string
	Min, Max   *float64
	Pattern    string
	Members    map[string]struct{ Shape string }
	Member     struct{ Shape string }
	Key, Value struct{ Shape string }
	Error      struct {
		Code   string
		Status uint16 `json:"httpStatusCode"`
	}
}

// botocore finds the installed package's data folder, or "".
func botocore() string {
	out, err := exec.Command("python3", "-c", "import botocore; print(botocore.__path__[0])").Output()
	if err != nil {
		return ""
	}
	return filepath.Join(strings.TrimSpace(string(out)), "data")
}

func readModel(data, service string) (*model, error) {
	paths, err := filepath.Glob(filepath.Join(data, service, "*", "service-2.json*"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("botocore has no model of %s: %w", service, errors.Join(err, fs.ErrNotExist))
	}
	slices.Sort(paths)
	f, err := os.Open(paths[len(paths)-1])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &model{}
	if !strings.HasSuffix(f.Name(), ".gz") {
		return m, json.NewDecoder(f).Decode(m)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return m, json.NewDecoder(z).Decode(m)
}

// statuses fills in the HTTP statuses that the SDK's source does not have.
func (m *model) statuses(svc *wire.Service) {
	for i := range svc.Ops {
		if o := &svc.Ops[i]; o.Status == 0 {
			if c := m.Operations[o.Name].HTTP.Code; c != 200 && o.Method != "" {
				o.Status = c
			}
		}
	}
	byName := map[string]*modelShape{}
	for name, sh := range m.Shapes {
		if sh.Error.Status != 0 { // an error's message may have a type whose name differs in the first letter's case alone
			byName[strings.ToLower(name)] = sh
		}
	}
	for i := range svc.Errors {
		if e := &svc.Errors[i]; e.Status == 0 {
			if sh := byName[strings.ToLower(e.Type)]; sh != nil {
				e.Status = sh.Error.Status
			}
		}
	}
}

// keepStatuses takes statuses over from the blob that was committed before.
func keepStatuses(svc, old *wire.Service) {
	for i := range svc.Ops {
		if o, ok := old.Op(svc.Ops[i].Name); ok && svc.Ops[i].Status == 0 {
			svc.Ops[i].Status = o.Status
		}
	}
	for i := range svc.Errors {
		for _, e := range old.Errors {
			if e.Type == svc.Errors[i].Type && svc.Errors[i].Status == 0 {
				svc.Errors[i].Status = e.Status
			}
		}
	}
}

// constraints pairs the model's shapes with the request table, from the operations' inputs down.
type constraints struct {
	model   *model
	svc     *wire.Service
	rules   map[[2]int32]*wire.Constraint
	visited map[int32]bool
}

func (m *model) rules(svc *wire.Service, src *source) *wire.Rules {
	c := &constraints{model: m, svc: svc, rules: map[[2]int32]*wire.Constraint{}, visited: map[int32]bool{}}
	for _, o := range svc.Ops {
		if in := m.Operations[o.Name].Input.Shape; in != "" && o.In >= 0 {
			c.descend(m.Shapes[in], o.In)
		}
	}
	r := &wire.Rules{Enums: enumsOf(src), Wire: wire.Checksum(wire.Encode(svc))}
	for i, sh := range svc.Requests {
		for j := range sh.Members {
			if k := c.rules[[2]int32{int32(i), int32(j)}]; k != nil {
				r.Members = append(r.Members, wire.MemberRule{Shape: int32(i), Member: int32(j), Constraint: k})
			}
		}
	}
	return r
}

// keepRules renews the enumerations, which are the SDK's, and keeps the constraints as long as the service's
// blob is the one that they were made for. Otherwise they are dropped: the service is checked less.
func keepRules(path string, svc *wire.Service, src *source) *wire.Rules {
	r := &wire.Rules{Enums: enumsOf(src), Wire: wire.Checksum(wire.Encode(svc))}
	blob, err := os.ReadFile(path)
	if err != nil {
		return r
	}
	if old, err := wire.DecodeRules(string(blob), svc); err == nil && old.Wire == r.Wire {
		r.Members = old.Members
	} else {
		fmt.Fprintf(os.Stderr, "gen: %s: constraints dropped, run again with botocore installed\n", path)
	}
	return r
}

func enumsOf(src *source) []wire.Enum {
	enums := []wire.Enum{}
	for _, t := range sortedKeys(src.enums) {
		enums = append(enums, wire.Enum{Type: t, Values: src.enums[t]})
	}
	return enums
}

func (c *constraints) descend(ms *modelShape, shape int32) {
	if ms == nil || shape < 0 {
		return
	}
	sh := &c.svc.Requests[shape]
	switch ms.Type {
	case "list":
		c.descend(c.model.Shapes[ms.Member.Shape], sh.Target)
	case "map":
		c.descend(c.model.Shapes[ms.Value.Shape], sh.Target)
	case "structure":
		if c.visited[shape] {
			return
		}
		c.visited[shape] = true
		for name, ref := range ms.Members {
			target := c.model.Shapes[ref.Shape]
			for j := range sh.Members {
				m := &sh.Members[j]
				field := m.Field
				if sh.Kind == wire.Union {
					_, field, _ = strings.Cut(field, "Member")
				}
				if !strings.EqualFold(field, name) {
					continue
				}
				if k := c.constraint(target, 0); k != nil {
					c.rules[[2]int32{shape, int32(j)}] = k
				}
				c.descend(target, m.Target)
			}
		}
	}
}

func (c *constraints) constraint(ms *modelShape, depth int) *wire.Constraint {
	if ms == nil || depth > 4 {
		return nil
	}
	k := &wire.Constraint{}
	if ms.Min != nil && (*ms.Min != 0 || ms.Type == "integer" || ms.Type == "long") {
		k.Min, k.HasMin = int64(*ms.Min), true
	}
	if ms.Max != nil && *ms.Max < 1<<40 {
		k.Max, k.HasMax = int64(*ms.Max), true
	}
	switch ms.Type {
	case "string":
		if len(ms.Enum) > 0 {
			return nil // the SDK's own value set is newer
		}
		k.Pattern, k.Shown = pattern(ms.Pattern)
	case "list":
		k.Elem = c.constraint(c.model.Shapes[ms.Member.Shape], depth+1)
	case "map":
		k.Key = c.constraint(c.model.Shapes[ms.Key.Shape], depth+1)
		k.Elem = c.constraint(c.model.Shapes[ms.Value.Shape], depth+1)
	case "structure":
		return nil
	}
	if *k == (wire.Constraint{}) {
		return nil
	}
	return k
}

var utf16Escape = lazyregexp.New(`\\u([0-9A-Fa-f]{4})`)

// pattern rewrites Java's dialect to RE2's where that is possible; otherwise there is no pattern. Ranges of
// UTF-16 surrogates stand for all characters beyond the first plane.
func pattern(java string) (re2, shown string) {
	if java == "" || java == ".*" || java == `[\s\S]*` {
		return "", ""
	}
	p := strings.NewReplacer(`\uD800\uDC00-\uDBFF\uDFFF`, `\x{10000}-\x{10FFFF}`, `\ud800\udc00-\udbff\udfff`, `\x{10000}-\x{10FFFF}`).Replace(java)
	p = utf16Escape.ReplaceAllString(p, `\x{$1}`)
	if _, err := regexp.Compile(p); err != nil {
		return "", ""
	}
	if p == java {
		return p, ""
	}
	return p, java
}
