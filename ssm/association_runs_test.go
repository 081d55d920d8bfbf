package ssm

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// TestAppliedOnce: an association runs once in an instance, whatever becomes of the instance's link, and forgets one that is
// gone or no target any more.
func TestAppliedOnce(t *testing.T) {
	web := map[string]string{"Role": "web"}
	one, two := Machine{ID: "i-1", Tags: web}, Machine{ID: "i-2", Tags: web}
	for name, target := range map[string]types.Target{
		"tags": {Key: aws.String("tag:Role"), Values: []string{"web"}},
		"ids":  {Key: aws.String("InstanceIds"), Values: []string{"i-1", "i-2"}},
	} {
		now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
		a := &association{Looked: now, Applied: map[string]string{}, associationSettings: associationSettings{Targets: []types.Target{target}, Updated: now}}
		for _, look := range []struct {
			what      string
			all       []Machine
			linked    []string
			run, kept []string
		}{
			{"both are there", []Machine{one, two}, []string{"i-1", "i-2"}, []string{"i-1", "i-2"}, []string{"i-1", "i-2"}},
			{"a link is gone", []Machine{one, two}, []string{"i-1"}, nil, []string{"i-1", "i-2"}},
			{"all links are gone", []Machine{one, two}, nil, nil, []string{"i-1", "i-2"}},
			{"they are back", []Machine{one, two}, []string{"i-1", "i-2"}, nil, []string{"i-1", "i-2"}},
			{"one is terminated", []Machine{two}, []string{"i-2"}, nil, []string{"i-2"}},
			{"it is new", []Machine{one, two}, []string{"i-1", "i-2"}, []string{"i-1"}, []string{"i-1", "i-2"}},
		} {
			now = now.Add(time.Minute)
			run, _ := a.due(now, a.targeted(look.all), func(m Machine) bool { return slices.Contains(look.linked, m.ID) })
			var ran []string
			for _, m := range run {
				ran = append(ran, m.ID)
				a.Applied[m.ID] = "execution"
			}
			if kept := slices.Sorted(maps.Keys(a.Applied)); !slices.Equal(ran, look.run) || !slices.Equal(kept, look.kept) {
				t.Errorf("%s, %s: it ran in %v and knows %v, want %v and %v", name, look.what, ran, kept, look.run, look.kept)
			}
		}
	}
}
