package reference

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"

	"miniaws/backend/lazyregexp"
)

//go:embed actions.txt
var table string

// Action is one of the reference.
type Action struct {
	// Name is the full one, such as "ec2:RunInstances".
	Name string
	// Resources are the types that the action can be about; none means that policies name it with "*".
	Resources []Resource
	// ConditionKeys are the service's and those global ones that depend on the action; "${TagKey}" stands for any tag.
	ConditionKeys []string
	// Needs are actions that the caller must be allowed besides.
	Needs []string
}

// Resource is a type of resource that an action takes.
type Resource struct {
	Type     string
	Required bool
	// ARN is its form, with "${...}" for what differs.
	ARN string
}

// Find answers an action by its full name, in any case.
func Find(name string) (Action, bool) {
	a, ok := actions()[strings.ToLower(name)]
	return a, ok
}

var actions = sync.OnceValue(func() map[string]Action {
	all := map[string]Action{}
	service, arns := "", map[string]string{}
	for line := range strings.Lines(table) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.Split(line, "\t")
		switch {
		case strings.HasPrefix(line, "#"):
		case len(fields) == 1:
			service, arns = line, map[string]string{}
		case strings.HasPrefix(line, "@"):
			arns[fields[0][1:]] = fields[1]
		default:
			a := Action{Name: service + ":" + fields[0], ConditionKeys: strings.Fields(fields[2]), Needs: strings.Fields(fields[3])}
			for _, name := range strings.Fields(fields[1]) {
				typ, required := strings.CutSuffix(name, "!")
				a.Resources = append(a.Resources, Resource{Type: typ, Required: required, ARN: arns[typ]})
			}
			all[strings.ToLower(a.Name)] = a
		}
	}
	return all
})

var placeholder = lazyregexp.New(`\\\$\\\{[^}]*\\\}`)

// Is tells whether an ARN is of the type's form.
func (r Resource) Is(arn string) bool {
	pattern := placeholder.ReplaceAllString(regexp.QuoteMeta(r.ARN), ".*")
	ok, err := regexp.MatchString("^"+pattern+"$", arn)
	return err == nil && ok
}

// Takes tells whether a resource is one that the action can be about: an ARN of one of its types, or "*".
func (a Action) Takes(arn string) bool {
	if arn == "*" {
		return true
	}
	for _, r := range a.Resources {
		if r.Is(arn) {
			return true
		}
	}
	return false
}

// HasKey tells whether the action has a condition key.
func (a Action) HasKey(key string) bool {
	for _, k := range a.ConditionKeys {
		if strings.EqualFold(k, key) {
			return true
		}
		for _, open := range []string{"${", "<"} {
			if prefix, _, ok := strings.Cut(k, open); ok && len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
				return true
			}
		}
	}
	return false
}
