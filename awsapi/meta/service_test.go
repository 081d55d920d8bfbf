package meta

import (
	"slices"
	"testing"

	"miniaws/awsapi/wire"
)

func TestEveryBlobUnpacks(t *testing.T) {
	for _, s := range All {
		w, r := s.Wire(), s.Rules()
		if w.Name != s.Name || len(w.Ops) != len(s.Operations) {
			t.Errorf("%s: blob of %q with %d operations, table has %d", s.Name, w.Name, len(w.Ops), len(s.Operations))
		}
		if r.Wire != wire.Checksum([]byte(*s.wire)) {
			t.Errorf("%s: the rules are of another blob", s.Name)
		}
		if !slices.IsSorted(s.Operations) {
			t.Errorf("%s: operations not sorted", s.Name)
		}
		for _, o := range w.Ops {
			if !s.HasOperation(o.Name) {
				t.Errorf("%s: %s not in the table", s.Name, o.Name)
			}
		}
		if len(r.Enums) == 0 && len(r.Members) == 0 && s.Name != "elasticloadbalancing" {
			t.Errorf("%s: no enumerations", s.Name)
		}
		if s.Version == "" || s.SigningName == "" || len(s.Protocols) == 0 {
			t.Errorf("%s: incomplete", s.Name)
		}
	}
}

// Query calls are routed by (Action, Version): no two services may share both.
func TestActionAndVersionAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, s := range All {
		if !s.Speaks(AWSQuery) && !s.Speaks(EC2Query) {
			continue
		}
		for _, op := range s.Operations {
			k := op + " " + s.Version
			if other := seen[k]; other != "" {
				t.Errorf("%s in %s and %s", k, other, s.Name)
			}
			seen[k] = s.Name
		}
	}
}
