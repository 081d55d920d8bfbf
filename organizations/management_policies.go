package organizations

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// Management policies do not allow or deny: they are settings, which every level from the root down to the account adds to
// what it inherits. Their JSON is a tree of names whose leaves say with operators how they change what came from above.
//
// AWS: "Inheritance operators" and "Inheritance examples" in the Organizations user guide.
const (
	opAssign  = "@@assign"
	opAppend  = "@@append"
	opRemove  = "@@remove"
	opControl = "@@operators_allowed_for_child_policies"
)

// operators are those that set a value, in the order in which those of one leaf count.
var operators = []string{opAssign, opAppend, opRemove}

// shape is what a place in a policy may hold.
type shape struct {
	// members are the names that there may be, "*" for any other one; nil for a leaf.
	members map[string]*shape
	// list tells that a leaf has many values.
	list bool
	// values are those of a leaf; nil for any.
	values []string
	// free is a place whose names are not looked at: what is below it are names and leaves.
	free bool
}

var (
	aText, aList = &shape{}, &shape{list: true}
	// AWS: "Tag policy syntax", "AI services opt-out policy syntax", "Backup policy syntax", "Chat applications policy
	// syntax" in the Organizations user guide. Of the latter two only the upper levels are looked at.
	managementShapes = map[types.PolicyType]*shape{
		types.PolicyTypeTagPolicy: {members: map[string]*shape{"tags": {members: map[string]*shape{"*": {members: map[string]*shape{
			"tag_key": aText, "tag_value": aList, "enforced_for": aList, "report_required_tag_for": aList,
		}}}}}},
		types.PolicyTypeAiservicesOptOutPolicy: {members: map[string]*shape{"services": {members: map[string]*shape{"*": {members: map[string]*shape{
			"opt_out_policy": {values: []string{"optIn", "optOut"}},
		}}}}}},
		types.PolicyTypeBackupPolicy: {members: map[string]*shape{"plans": {members: map[string]*shape{"*": {members: map[string]*shape{
			"regions": aList, "rules": {free: true}, "selections": {free: true}, "advanced_backup_settings": {free: true}, "backup_plan_tags": {free: true}, "scan_settings": {free: true},
		}}}}}},
		types.PolicyTypeChatbotPolicy: {members: map[string]*shape{"chatbot": {free: true}}},
	}
)

var errManagementSyntax = errors.New("no management policy")

// parseManagement reads a policy of a type.
func parseManagement(kind types.PolicyType, text string) (map[string]any, error) {
	var document map[string]any
	if json.Unmarshal([]byte(text), &document) != nil || len(document) == 0 {
		return nil, errManagementSyntax
	}
	return document, managementShapes[kind].check(document)
}

func (s *shape) check(at map[string]any) error {
	names, leaf := 0, 0
	for name, below := range at {
		if strings.HasPrefix(name, "@@") {
			if name != opControl {
				leaf++
			}
			if !s.admits(name, below) {
				return errManagementSyntax
			}
			continue
		}
		names++
		member := s.member(name)
		inner, ok := below.(map[string]any)
		if !ok || member == nil || member.check(inner) != nil {
			return errManagementSyntax
		}
	}
	if names > 0 && leaf > 0 {
		return errManagementSyntax
	}
	return nil
}

func (s *shape) member(name string) *shape {
	switch {
	case s.free:
		return s
	case s.members[name] != nil:
		return s.members[name]
	}
	return s.members["*"]
}

// admits tells whether an operator may be here with what it has.
func (s *shape) admits(operator string, with any) bool {
	if operator == opControl {
		allowed, err := controlOf(with)
		return err == nil && allowed != nil
	}
	if !slices.Contains(operators, operator) || s.members != nil {
		return false
	}
	_, isList := textsOf(with)
	one, isText := with.(string)
	switch {
	case s.free:
		return isList || isText && operator == opAssign
	case s.list:
		return isList
	}
	return isText && operator == opAssign && (s.values == nil || slices.Contains(s.values, one))
}

// textsOf answers a list of texts.
func textsOf(with any) (texts []string, ok bool) {
	list, ok := with.([]any)
	for _, one := range list {
		text, is := one.(string)
		if !is {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, ok
}

// controlOf answers the operators that policies below may use.
func controlOf(with any) ([]string, error) {
	list, ok := textsOf(with)
	if !ok || len(list) == 0 {
		return nil, errManagementSyntax
	}
	allowed := []string{}
	for _, one := range list {
		switch {
		case one == "@@all" && len(list) == 1:
			return slices.Clone(operators), nil
		case one == "@@none" && len(list) == 1:
		case slices.Contains(operators, one):
			allowed = append(allowed, one)
		default:
			return nil, errManagementSyntax
		}
	}
	return allowed, nil
}

// setting is a place in what an account inherits.
type setting struct {
	below map[string]*setting
	// value is a text or a list of texts; nil for none.
	value any
	// allowed are the operators of this level's policies, next those of the levels below.
	allowed, next []string
	// assigned is the level that gave the value.
	assigned int
}

func newSetting() *setting { return &setting{allowed: operators, next: operators} }

// merge lets a policy of a level change what is inherited. Of those at one level the first that assigns a value gives it.
func (s *setting) merge(at map[string]any, level int) {
	for _, operator := range operators {
		with, given := at[operator]
		if !given || !slices.Contains(s.allowed, operator) {
			continue
		}
		list, isList := textsOf(with)
		had, _ := s.value.([]string)
		switch {
		case operator == opAssign && s.assigned == level:
		case operator == opAssign && !isList:
			s.value, s.assigned = with, level
		case operator == opAssign:
			s.value, s.assigned = list, level
		case operator == opAppend:
			for _, one := range list {
				if !slices.Contains(had, one) {
					had = append(slices.Clone(had), one)
				}
			}
			s.value = had
		case s.value != nil:
			s.value = slices.DeleteFunc(slices.Clone(had), func(one string) bool { return slices.Contains(list, one) })
		}
	}
	if with, given := at[opControl]; given {
		allowed, _ := controlOf(with) // it was checked when it was made
		s.next = slices.DeleteFunc(slices.Clone(s.next), func(operator string) bool { return !slices.Contains(allowed, operator) })
	}
	for _, name := range slices.Sorted(maps.Keys(at)) {
		inner, is := at[name].(map[string]any)
		if !is {
			continue
		}
		one := s.below[name]
		if one == nil {
			if !slices.Contains(s.allowed, opAssign) {
				continue // nothing new may be here
			}
			one = newSetting()
			if s.below == nil {
				s.below = map[string]*setting{}
			}
			s.below[name] = one
		}
		one.merge(inner, level)
	}
}

// descend ends a level: what its policies leave to those below counts from now on.
func (s *setting) descend() {
	s.allowed = s.next
	for _, one := range s.below {
		one.descend()
	}
}

// plain is the tree without operators; nil where nothing is set.
func (s *setting) plain() any {
	if s.value != nil {
		return s.value
	}
	all := map[string]any{}
	for name, one := range s.below {
		if value := one.plain(); value != nil {
			all[name] = value
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// effective answers what the policies of a type say together: of each level from the root down, in the order in which they
// were attached there. It is "" where they say nothing.
func effective(kind types.PolicyType, levels [][]string) (string, error) {
	whole := newSetting()
	for i, level := range levels {
		for _, text := range level {
			document, err := parseManagement(kind, text)
			if err != nil {
				return "", err
			}
			whole.merge(document, i+1)
		}
		whole.descend()
	}
	said := whole.plain()
	if said == nil {
		return "", nil
	}
	text, err := json.Marshal(said)
	return string(text), err
}

// tagging are the services here whose resources have tags.
var tagging = []string{"cloudtrail", "ec2", "iam", "s3", "ssm"}

// enforces tells that a tag policy forbids tags of resources that there are here, other than reporting them.
func enforces(document map[string]any) bool {
	tags, _ := document["tags"].(map[string]any)
	for _, one := range tags {
		key, _ := one.(map[string]any)
		enforced, _ := key["enforced_for"].(map[string]any)
		for _, with := range enforced {
			kinds, _ := textsOf(with)
			if slices.ContainsFunc(kinds, func(kind string) bool {
				service, _, _ := strings.Cut(kind, ":")
				return slices.Contains(tagging, service)
			}) {
				return true
			}
		}
	}
	return false
}
