package organizations

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
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
	// folded tells that names here are the same in upper and lower case.
	folded bool
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
	// syntax" in the Organizations user guide. Of the latter two only the upper levels are looked at. Keys of tag policies are
	// not case sensitive; that plan names are not is seen in the example of "Viewing effective backup policies".
	managementShapes = map[types.PolicyType]*shape{
		types.PolicyTypeTagPolicy: {members: map[string]*shape{"tags": {folded: true, members: map[string]*shape{"*": {members: map[string]*shape{
			"tag_key": aText, "tag_value": aList, "enforced_for": aList, "report_required_tag_for": aList,
		}}}}}},
		types.PolicyTypeAiservicesOptOutPolicy: {members: map[string]*shape{"services": {members: map[string]*shape{"*": {members: map[string]*shape{
			"opt_out_policy": {values: []string{"optIn", "optOut"}},
		}}}}}},
		types.PolicyTypeBackupPolicy: {members: map[string]*shape{"plans": {folded: true, members: map[string]*shape{"*": {members: map[string]*shape{
			"regions": aList, "rules": {free: true}, "selections": {free: true}, "advanced_backup_settings": {free: true}, "backup_plan_tags": {free: true}, "scan_settings": {free: true},
		}}}}}},
		types.PolicyTypeChatbotPolicy: {members: map[string]*shape{"chatbot": {free: true}}},
	}
)

var errManagementSyntax = errors.New("no management policy")

// checkManagement reads a policy that somebody wants to have. It is stricter than what those that there are must meet.
func checkManagement(kind types.PolicyType, text string) (map[string]any, error) {
	document, err := parseManagement(kind, text)
	if err != nil {
		return nil, err
	}
	if !unique(json.NewDecoder(strings.NewReader(text))) {
		return nil, errManagementSyntax
	}
	tags, _ := document["tags"].(map[string]any)
	for name, one := range tags {
		settings, _ := one.(map[string]any)
		key, _ := settings["tag_key"].(map[string]any)
		// AWS: "Tag policy syntax": they are the same except for the case.
		if assigned, given := textOf(key[opAssign]); given && !strings.EqualFold(name, assigned) {
			return nil, errManagementSyntax
		}
	}
	return document, nil
}

// unique tells that no object in a valid JSON text has a name twice.
func unique(in *json.Decoder) bool {
	begin, err := in.Token()
	if begin != json.Delim('{') && begin != json.Delim('[') {
		return err == nil
	}
	names := map[json.Token]bool{}
	for in.More() {
		if begin == json.Delim('{') {
			name, err := in.Token()
			if err != nil || names[name] {
				return false
			}
			names[name] = true
		}
		if !unique(in) {
			return false
		}
	}
	_, err = in.Token()
	return err == nil
}

// parseManagement reads a policy of a type.
func parseManagement(kind types.PolicyType, text string) (map[string]any, error) {
	var document map[string]any
	in := json.NewDecoder(strings.NewReader(text))
	in.UseNumber()
	if !json.Valid([]byte(text)) || in.Decode(&document) != nil || len(document) == 0 {
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
	one, isText := textOf(with)
	switch {
	case s.free:
		return isList || isText && operator == opAssign
	case s.list:
		return isList
	}
	return isText && operator == opAssign && (s.values == nil || slices.Contains(s.values, one))
}

// textOf answers a single value as text, which is how AWS shows numbers and Booleans.
func textOf(with any) (text string, ok bool) {
	switch with := with.(type) {
	case string:
		return with, true
	case json.Number:
		return with.String(), true
	case bool:
		return strconv.FormatBool(with), true
	}
	return "", false
}

// textsOf answers a list of texts, which is never nil.
func textsOf(with any) (texts []string, ok bool) {
	list, ok := with.([]any)
	texts = []string{}
	for _, one := range list {
		text, is := textOf(one)
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
}

func newSetting() *setting { return &setting{allowed: operators, next: operators} }

// merge lets the policies of a level, in the order in which they were attached, change what is inherited: the first that
// assigns a value gives it, then all append, then all remove.
func (s *setting) merge(shape *shape, policies []map[string]any) {
	for _, operator := range operators {
		for _, at := range policies {
			with, given := at[operator]
			if !given || !slices.Contains(s.allowed, operator) {
				continue
			}
			s.apply(operator, with)
			if operator == opAssign {
				break
			}
		}
	}
	below := map[string][]map[string]any{}
	for _, at := range policies {
		if with, given := at[opControl]; given {
			allowed, _ := controlOf(with) // it was checked when it was made
			s.next = slices.DeleteFunc(slices.Clone(s.next), func(operator string) bool { return !slices.Contains(allowed, operator) })
		}
		for _, name := range slices.Sorted(maps.Keys(at)) {
			inner, is := at[name].(map[string]any)
			if !is {
				continue
			}
			if shape.folded {
				name = strings.ToLower(name)
			}
			below[name] = append(below[name], inner)
		}
	}
	for name, inner := range below {
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
		one.merge(shape.member(name), inner)
	}
}

// apply changes the value. Nothing is appended to a text or removed from it.
func (s *setting) apply(operator string, with any) {
	list, isList := textsOf(with)
	had, hasList := s.value.([]string)
	switch {
	case operator == opAssign && isList:
		s.value = list
	case operator == opAssign:
		s.value, _ = textOf(with)
	case operator == opAppend && s.value == nil, operator == opAppend && hasList:
		all := append([]string{}, had...)
		for _, one := range list {
			if !slices.Contains(all, one) {
				all = append(all, one)
			}
		}
		s.value = all
	case operator == opRemove && hasList:
		s.value = slices.DeleteFunc(slices.Clone(had), func(one string) bool { return slices.Contains(list, one) })
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
	for _, level := range levels {
		var policies []map[string]any
		for _, text := range level {
			document, err := parseManagement(kind, text)
			if err != nil {
				return "", err
			}
			policies = append(policies, document)
		}
		whole.merge(managementShapes[kind], policies)
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
