package policy

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// candidate is one resource of a statement that is about an action. They stand close together, a statement's beside each
// other: of most, nothing but the head is looked at.
type candidate struct {
	// head is what the last field of the resource begins with; it says nothing where open is true.
	head      string
	open      bool
	index     int
	statement *Statement
}

// mayMatch tells whether the statement's resource is not ruled out by its beginning.
func (c *candidate) mayMatch(resource *arn) bool {
	return c.open || resource.count == 6 && strings.HasPrefix(resource.fields[5], c.head)
}

// maxActions bounds what a document remembers: simulations may name any action.
const maxActions = 64

// knownActions are the candidates of actions that were asked for. Maps are replaced, never changed.
type knownActions struct {
	all  atomic.Pointer[map[string][]candidate]
	lock sync.Mutex
}

// about answers the statements that are about an action, in lower case.
func (d *Document) about(action string) []candidate {
	known := d.actions.all.Load()
	if known != nil {
		if found, ok := (*known)[action]; ok {
			return found
		}
	}
	found := d.findAbout(action)
	d.actions.lock.Lock()
	defer d.actions.lock.Unlock()
	next := map[string][]candidate{strings.Clone(action): found}
	if known = d.actions.all.Load(); known != nil && len(*known) < maxActions {
		for name, candidates := range *known {
			next[name] = candidates
		}
	}
	d.actions.all.Store(&next)
	return found
}

func (d *Document) findAbout(action string) []candidate {
	var found []candidate
	for i := range d.statements {
		s := &d.statements[i]
		if s.actionMatches(action) == s.notActions {
			continue
		}
		if s.notResources || slices.ContainsFunc(s.resources, func(p arnPattern) bool { return p.count < 6 }) || len(s.resources) == 0 {
			found = append(found, candidate{open: true, index: i, statement: s})
			continue
		}
		for j := range s.resources {
			found = append(found, candidate{head: s.resources[j].fields[5].head, index: i, statement: s})
		}
	}
	return found
}
