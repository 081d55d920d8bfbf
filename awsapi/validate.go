package awsapi

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/aws/smithy-go"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// Checks chooses what Validate looks at.
type Checks uint8

// Required members and enumerations are known exactly; ranges and patterns come from an older model and are
// for services that have tried them.
const (
	CheckRequired Checks = 1 << iota
	CheckEnums
	CheckRanges // minimum and maximum of numbers and lengths
	CheckPatterns

	CheckDefault = CheckRequired | CheckEnums
	CheckAll     = CheckDefault | CheckRanges | CheckPatterns
)

// ruleTables are a service's rules in the form in which they are looked up.
type ruleTables struct {
	enums   map[string][]string
	members map[[2]int32]*rule
}

// rule is a constraint whose pattern is compiled when it is first needed.
type rule struct {
	wire.Constraint
	elem, key *rule
	once      sync.Once
	re        *regexp.Regexp
}

func newRule(c *wire.Constraint) *rule {
	if c == nil {
		return nil
	}
	return &rule{Constraint: *c, elem: newRule(c.Elem), key: newRule(c.Key)}
}

// matches is true when the pattern is not RE2's after all.
func (r *rule) matches(s string) bool {
	r.once.Do(func() { r.re, _ = regexp.Compile(`^(?:` + r.Pattern + `)$`) })
	return r.re == nil || r.re.MatchString(s)
}

func (c *Codec) loadRules() {
	r := c.Service.Rules()
	c.rules = &ruleTables{enums: make(map[string][]string, len(r.Enums)), members: make(map[[2]int32]*rule, len(r.Members))}
	for _, e := range r.Enums {
		c.rules.enums[e.Type] = append(slices.Clip(e.Values), c.also[e.Type]...)
	}
	for _, m := range r.Members {
		c.rules.members[[2]int32{m.Shape, m.Member}] = newRule(m.Constraint)
	}
}

// Validate checks an input against its model and words the failure as the service does. All failures are
// collected, except in the styles of EC2 and RDS, which report the first.
func (c *Codec) Validate(p meta.Protocol, op string, in any, checks Checks) error {
	style := c.Service.Validation()
	if style.Style == meta.Unchecked {
		return nil
	}
	o, err := c.op(op)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	pl := c.input(o, dialectOf(p), v.Type())
	if pl == nil {
		return nil
	}
	c.rulesOnce.Do(c.loadRules)
	w := &validation{rules: c.rules, checks: checks, ec2: c.Service == meta.EC2}
	w.structure(pl, v, nil)
	if len(w.failures) == 0 {
		return nil
	}
	return w.err(style)
}

// failure is one broken constraint.
type failure struct {
	missing bool
	path    string // as Coral writes it: tags.1.member.key
	name    string // as the query protocols write it: Tags.1.Key
	value   string
	text    string // the constraint
}

type validation struct {
	rules    *ruleTables
	checks   Checks
	ec2      bool
	failures []failure
}

// maxFailures bounds the answer to a request that is wrong everywhere.
const maxFailures = 50

type step struct {
	path, name string
	up         *step
}

// text joins the steps from the root.
func (s *step) text(coral bool) string {
	var parts []string
	for ; s != nil; s = s.up {
		part := s.name
		if coral {
			part = s.path
		}
		if part != "" {
			parts = append(parts, part)
		}
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

func (w *validation) fail(at *step, missing bool, value, format string, args ...any) {
	if len(w.failures) < maxFailures {
		w.failures = append(w.failures, failure{missing, at.text(true), at.text(false), value, fmt.Sprintf(format, args...)})
	}
}

func (w *validation) structure(p *plan, v reflect.Value, up *step) {
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.Field(f.field)
		unset := f.plan.unset(fv)
		if unset && (!f.required || w.checks&CheckRequired == 0) {
			continue
		}
		s := &step{path: f.path, name: f.name, up: up}
		if unset {
			w.fail(s, true, "null", "Member must not be null")
			continue
		}
		w.value(f.plan, w.rules.members[[2]int32{f.shape, f.member}], fv, s)
	}
}

func (w *validation) value(p *plan, r *rule, v reflect.Value, s *step) {
	if p.pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch p.kind {
	case kindStruct:
		w.structure(p, v, s)
	case kindUnion:
		if f, uv, err := p.variantOf(v); err == nil { // a null element has nothing to check
			w.value(f.plan, nil, uv, &step{path: f.path, name: f.name, up: s})
		}
	case kindList:
		w.length(r, v.Len(), func() string { return show(v) }, s)
		w.elements(p, r, v, s)
	case kindMap:
		w.length(r, v.Len(), func() string { return show(v) }, s)
		w.entries(p, r, v, s)
	default:
		for _, text := range w.scalar(p, r, v) {
			w.fail(s, false, show(v), "%s", text)
		}
	}
}

// elements checks a list's elements. Scalars are reported at the list, in brackets, as AWS does.
func (w *validation) elements(p *plan, r *rule, v reflect.Value, s *step) {
	var elem *rule
	if r != nil {
		elem = r.elem
	}
	if w.ec2 && p.elem.typ.Name() == "InstanceType" {
		return // it answers a list of them with all that there are not: InvalidInstanceType
	}
	for i := range v.Len() {
		e := v.Index(i)
		switch p.elem.kind {
		case kindStruct, kindUnion, kindList, kindMap:
			n := strconv.Itoa(i + 1)
			w.value(p.elem, elem, e, &step{path: n + ".member", name: n, up: s})
			continue
		}
		if texts := w.scalar(p.elem, elem, e); len(texts) > 0 {
			w.fail(s, false, show(v), "Member must satisfy constraint: [%s]", strings.Join(texts, ", "))
			return
		}
	}
}

// keyPlan is the plan of every map's keys.
var keyPlan = &plan{kind: kindString, typ: reflect.TypeFor[string]()}

// entries checks a map. Broken keys are reported at the map, one answer for all.
//
// AWS: no page has the words; QuickSight's and Cognito's are in boto3 issue 2601 and terraform issue 20076.
func (w *validation) entries(p *plan, r *rule, v reflect.Value, s *step) {
	var elem, key *rule
	if r != nil {
		elem, key = r.elem, r.key
	}
	var broken []string
	for _, k := range sortedMapKeys(v) {
		if broken == nil {
			broken = w.scalar(keyPlan, key, k)
		}
		w.value(p.elem, elem, v.MapIndex(k), &step{path: k.String() + ".member", name: k.String(), up: s})
	}
	if broken != nil {
		w.fail(s, false, show(v), "Map keys must satisfy constraint: [%s]", strings.Join(broken, ", "))
	}
}

func (w *validation) length(r *rule, n int, value func() string, s *step) {
	if text := w.bounds(r, int64(n), "length"); text != "" {
		w.fail(s, false, value(), "%s", text)
	}
}

func (w *validation) bounds(r *rule, n int64, what string) string {
	switch {
	case r == nil || w.checks&CheckRanges == 0:
	case r.HasMin && n < r.Min:
		return fmt.Sprintf("Member must have %s greater than or equal to %d", what, r.Min)
	case r.HasMax && n > r.Max:
		return fmt.Sprintf("Member must have %s less than or equal to %d", what, r.Max)
	}
	return ""
}

// anyCase tells whether a value may be written in capitals, and is.
// AWS: no page says so; the provider's TestAccVPCNetworkACL_caseSensitivityNoChanges makes entries whose action is "Allow".
func (w *validation) anyCase(p *plan, set []string, value string) bool {
	return w.ec2 && p.typ.Name() == "RuleAction" && slices.ContainsFunc(set, func(known string) bool { return strings.EqualFold(known, value) })
}

// scalar returns the constraints that v breaks.
func (w *validation) scalar(p *plan, r *rule, v reflect.Value) []string {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	var broken []string
	add := func(text string) {
		if text != "" {
			broken = append(broken, text)
		}
	}
	switch p.kind {
	case kindString:
		if w.checks&CheckEnums != 0 && p.typ.PkgPath() != "" {
			if set := w.rules.enums[p.typ.Name()]; set != nil && !slices.Contains(set, v.String()) && !w.anyCase(p, set, v.String()) {
				add(notInSet + ": [" + strings.Join(set, ", ") + "]")
			}
		}
		add(w.bounds(r, int64(utf8.RuneCountInString(v.String())), "length"))
		if r != nil && r.Pattern != "" && w.checks&CheckPatterns != 0 && !r.matches(v.String()) {
			shown := r.Shown
			if shown == "" {
				shown = r.Pattern
			}
			add("Member must satisfy regular expression pattern: " + shown)
		}
	case kindInt:
		add(w.bounds(r, v.Int(), "value"))
	case kindBlob:
		add(w.bounds(r, int64(v.Len()), "length"))
	}
	return broken
}

func show(v reflect.Value) string {
	v = reflect.Indirect(v)
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.String {
			break
		}
		parts := make([]string, 0, v.Len())
		for i := range v.Len() {
			parts = append(parts, v.Index(i).String())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		if v.Type().Elem().Kind() != reflect.String {
			break
		}
		parts := make([]string, 0, v.Len())
		for _, k := range sortedMapKeys(v) {
			parts = append(parts, k.String()+"="+v.MapIndex(k).String())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	}
	return ""
}

// notInSet begins what is said of a value that an enumeration does not have.
const notInSet = "Member must satisfy enum value set"

func (w *validation) err(style meta.Validation) error {
	first := w.failures[0]
	e := &Error{Code: style.Invalid, Status: http.StatusBadRequest, Fault: smithy.FaultClient}
	if first.missing {
		e.Code = style.Missing
	}
	switch style.Style {
	case meta.EC2Style:
		e.Message = fmt.Sprintf("Value (%s) for parameter %s is invalid. %s", shorten(first.value), first.name, first.text)
		switch {
		case first.missing:
			e.Message = "The request must contain the parameter " + first.name
		case first.name == "InstanceType": // Seen: iterative/cml issue 821
			e.Message = fmt.Sprintf("Invalid value '%s' for InstanceType.", shorten(first.value))
		case strings.HasPrefix(first.text, notInSet):
			e.Message = fmt.Sprintf("Value (%s) for parameter %s is invalid.", shorten(first.value), first.name)
		}
	case meta.RDSStyle:
		e.Message = fmt.Sprintf("Invalid value '%s' for parameter %s. %s", shorten(first.value), first.name, first.text)
		if first.missing {
			e.Message = fmt.Sprintf("The parameter %s must be provided and must not be blank.", first.name)
		}
	default:
		e.Message = coral(w.failures)
	}
	return e
}

// coral words failures as most of AWS does.
func coral(failures []failure) string {
	parts := make([]string, 0, len(failures))
	for _, f := range failures {
		value := "'" + shorten(f.value) + "'"
		if f.missing {
			value = "null"
		}
		parts = append(parts, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, f.path, f.text))
	}
	noun := "errors"
	if len(failures) == 1 {
		noun = "error"
	}
	return fmt.Sprintf("%d validation %s detected: %s", len(failures), noun, strings.Join(parts, "; "))
}
