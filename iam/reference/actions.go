package reference

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

//go:embed actions.txt
var table string

// Action is one of the reference.
type Action struct {
	// Name is the full one, such as "ec2:RunInstances".
	Name string
	// Resources are the types that the action can be about; none means that policies name it with "*".
	Resources []Resource
	// ConditionKeys are those of the action itself, whatever the resource: the service's, and those global ones that depend
	// on the action. "${TagKey}" stands for any tag.
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
	// ConditionKeys are those that the action has on this type, besides the action's own.
	ConditionKeys []string
}

// Find answers an action by its full name, in any case.
func Find(name string) (Action, bool) {
	a, ok := actions()[strings.ToLower(name)]
	return a, ok
}

// Of answers the actions of a service, by its prefix, in the order of their names.
func Of(service string) []Action {
	var found []Action
	for _, a := range actions() {
		if prefix, _, _ := strings.Cut(a.Name, ":"); prefix == service {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b Action) int { return strings.Compare(a.Name, b.Name) })
	return found
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
				parts := strings.Split(name, "|")
				typ, required := strings.CutSuffix(parts[0], "!")
				a.Resources = append(a.Resources, Resource{Type: typ, Required: required, ARN: arns[typ], ConditionKeys: parts[1:]})
			}
			all[strings.ToLower(a.Name)] = a
		}
	}
	return all
})

// Is tells whether an ARN is of the type's form: what is between the placeholders is there, in that order.
func (r Resource) Is(arn string) bool {
	form, rest := r.ARN, arn
	for first := true; ; first = false {
		fixed, behind, placeholder := strings.Cut(form, "${")
		at := strings.Index(rest, fixed)
		switch {
		case !placeholder:
			return strings.HasSuffix(rest, fixed) && (!first || rest == fixed)
		case at < 0 || first && at > 0:
			return false
		}
		rest = rest[at+len(fixed):]
		_, form, _ = strings.Cut(behind, "}")
	}
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

// HasKey tells whether the action has a condition key, on any resource.
func (a Action) HasKey(key string) bool {
	return hasKey(a.ConditionKeys, key) || slices.ContainsFunc(a.Resources, func(r Resource) bool { return hasKey(r.ConditionKeys, key) })
}

// HasKeyOn tells whether the action has a condition key on a resource.
func (a Action) HasKeyOn(arn, key string) bool {
	return hasKey(a.ConditionKeys, key) || slices.ContainsFunc(a.Resources, func(r Resource) bool { return r.Is(arn) && hasKey(r.ConditionKeys, key) })
}

func hasKey(keys []string, key string) bool {
	for _, k := range keys {
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
