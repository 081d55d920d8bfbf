package policy

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Kind is what a document is for: each has a grammar of its own.
type Kind uint8

// Kinds of documents.
const (
	// Identity is an inline policy of a user, group or role, and a session policy.
	Identity Kind = iota
	// Managed is a managed policy, which may be a permissions boundary too.
	Managed
	// Trust is a role's trust policy.
	Trust
	// Resource is attached to anything else than a role: a bucket, a key, a queue.
	Resource
	// ServiceControl and ResourceControl are policies of an organization.
	ServiceControl
	ResourceControl
)

// Version is that of the policy language.
type Version uint8

// Versions. Only the newer has variables.
// AWS: "IAM JSON policy elements: Version".
const (
	Version2008 Version = iota
	Version2012
)

// Effect of a statement.
type Effect uint8

// Effects.
const (
	Allow Effect = iota
	Deny
)

func (e Effect) String() string {
	if e == Deny {
		return "Deny"
	}
	return "Allow"
}

// Malformed is why a document is refused, in AWS's words.
type Malformed struct{ Message string }

func (m *Malformed) Error() string { return m.Message }

// The words of IAM's front end for what is not in the grammar at all, and for what only its older parser refuses.
// AWS: error MalformedPolicyDocument of the IAM API reference.
var (
	errSyntax = &Malformed{"Syntax errors in policy."}
	errLegacy = &Malformed{"The policy failed legacy parsing"}
)

func malformed(format string, arguments ...any) error {
	return &Malformed{fmt.Sprintf(format, arguments...)}
}

// Document is a policy, compiled. It is immutable and safe to share.
type Document struct {
	kind       Kind
	version    Version
	id         string
	statements []Statement
	keys       []string
}

// Empty is a document that says nothing, which the grammar does not have: it allows nobody anything.
func Empty(kind Kind) *Document { return &Document{kind: kind, version: Version2012} }

// Statements of the document, in its order.
func (d *Document) Statements() []Statement { return d.statements }

// Kind is what the document was parsed as.
func (d *Document) Kind() Kind { return d.kind }

// Keys are the context keys that the document mentions, in conditions and variables: lower case, sorted.
func (d *Document) Keys() []string { return d.keys }

// Statement is one of a document.
type Statement struct {
	Sid    string
	Effect Effect
	// Start and End are behind the statement's opening and closing brace, as simulations report them.
	Start, End Position

	principals *principals // nil where the kind has none
	actions    []actionPattern
	notActions bool
	// resources is nil where the kind has none: a trust policy means its own role.
	resources    []arnPattern
	notResources bool
	conditions   []condition
	names        []string // of the condition keys, as written
	actionTexts  []string
}

// ConditionKeys are the names of the keys in the statement's conditions, as written.
func (s *Statement) ConditionKeys() []string { return s.names }

// ActionTexts are the statement's actions (or, with NotAction, what they are not), as written.
func (s *Statement) ActionTexts() []string { return s.actionTexts }

// Parse reads and compiles a document. Its errors are *Malformed.
func Parse(kind Kind, text string) (*Document, error) {
	root, ok := readTree(text)
	if !ok || root.kind != objectNode {
		return nil, errSyntax
	}
	d := &Document{kind: kind}
	p := parser{document: d, text: text, sids: map[string]bool{}}
	if err := p.top(root); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i := range d.statements {
		d.statements[i].eachKey(func(key string) {
			if !seen[key] {
				seen[key] = true
				d.keys = append(d.keys, key)
			}
		})
	}
	sort.Strings(d.keys)
	return d, nil
}

func (s *Statement) eachKey(add func(string)) {
	for i := range s.resources {
		s.resources[i].keys(add)
	}
	for i := range s.conditions {
		s.conditions[i].keys(add)
	}
}

// parser is one document on its way. Its checks are in the order in which AWS reports: grammar first.
type parser struct {
	document *Document
	text     string
	sids     map[string]bool
}

func (p *parser) top(root *node) error {
	for i, name := range root.names {
		switch name {
		case "Version", "Statement":
		case "Id":
			if root.items[i].kind != stringNode {
				return errSyntax
			}
			p.document.id = root.items[i].text
		default:
			return errSyntax
		}
	}
	if err := p.version(root.member("Version")); err != nil {
		return err
	}
	statement := root.member("Statement")
	if statement == nil {
		return errSyntax
	}
	list := []*node{statement}
	if statement.kind == listNode {
		list = statement.items
	}
	if len(list) == 0 {
		return errSyntax
	}
	trees := make([]Statement, len(list))
	for i, n := range list {
		if err := p.grammar(n, &trees[i]); err != nil {
			return err
		}
	}
	for i, n := range list {
		if err := p.statement(n, &trees[i]); err != nil {
			return err
		}
	}
	p.document.statements = trees
	return nil
}

func (p *parser) version(n *node) error {
	switch {
	case n == nil && p.document.kind != Managed, n != nil && n.kind == stringNode && n.text == "2008-10-17" && p.document.kind != Managed:
		// AWS: without the element the version is 2008-10-17.
	case n != nil && n.kind == stringNode && n.text == "2012-10-17":
		p.document.version = Version2012
	case n == nil, n.kind == stringNode && n.text == "2008-10-17":
		return &Malformed{"Policy document must be version 2012-10-17 or greater."}
	default:
		return errSyntax
	}
	return nil
}

// elements of a statement.
var elements = []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}

// grammar checks the shape of a statement and reads what has no rules of its own.
func (p *parser) grammar(n *node, s *Statement) error {
	if n.kind != objectNode {
		return errSyntax
	}
	for _, name := range n.names {
		if !slices.Contains(elements, name) {
			return errSyntax
		}
	}
	for _, name := range []string{"Principal", "Action", "Resource"} {
		if n.member(name) != nil && n.member("Not"+name) != nil {
			return errSyntax
		}
	}
	for _, name := range []string{"Action", "NotAction", "Resource", "NotResource"} {
		if list := n.member(name); list != nil {
			texts, ok := list.strings()
			if !ok || slices.ContainsFunc(texts, hasControl) {
				return errSyntax
			}
		}
	}
	if sid := n.member("Sid"); sid != nil {
		if sid.kind != stringNode {
			return errSyntax
		}
		s.Sid = sid.text
	}
	effect := n.member("Effect")
	if effect == nil || effect.kind != stringNode {
		return errSyntax
	}
	switch effect.text {
	case "Allow":
	case "Deny":
		s.Effect = Deny
	default:
		if strings.EqualFold(effect.text, "Allow") || strings.EqualFold(effect.text, "Deny") {
			return errLegacy
		}
		return errSyntax
	}
	s.Start, s.End = positionAt(p.text, n.from), positionAt(p.text, n.to)
	return p.conditions(n.member("Condition"), s)
}

func (p *parser) conditions(n *node, s *Statement) error {
	if n == nil {
		return nil
	}
	if n.kind != objectNode {
		return errSyntax
	}
	seen := map[string]bool{}
	for i, name := range n.names {
		op, set, ifExists, ok := parseOperator(name)
		block := n.items[i]
		if !ok || block.kind != objectNode {
			return errSyntax
		}
		for j, key := range block.names {
			lower := strings.ToLower(key)
			texts, ok := block.items[j].scalars()
			// One operator cannot have a key twice, in whatever case: nobody could know which is meant.
			if again := strings.ToLower(name) + " " + lower; !ok || key == "" || seen[again] || slices.ContainsFunc(texts, hasControl) {
				return errSyntax
			} else {
				seen[again] = true
			}
			c := condition{operator: op, quantifier: set, ifExists: ifExists, key: lower, name: key}
			for _, text := range texts {
				v := compileValue(op.comparison, text, p.document.version)
				if !v.valid && op.comparison >= dateEquals && op.comparison <= dateGreaterEquals {
					return errLegacy
				}
				c.values = append(c.values, v)
			}
			s.conditions = append(s.conditions, c)
			s.names = append(s.names, key)
		}
	}
	return nil
}

// statement checks what the elements say.
func (p *parser) statement(n *node, s *Statement) error {
	if err := p.sid(s.Sid, n.member("Sid") != nil); err != nil {
		return err
	}
	for _, check := range []func(*node, *Statement) error{p.principal, p.actions, p.resources, p.organization} {
		if err := check(n, s); err != nil {
			return err
		}
	}
	return nil
}

// sid checks a statement's id. AWS: "IAM JSON policy elements: Sid": other services allow more characters than IAM.
func (p *parser) sid(sid string, present bool) error {
	if !present {
		return nil
	}
	switch p.document.kind {
	case Resource:
	default:
		if !isWord(sid) {
			return &Malformed{"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"}
		}
	}
	if sid != "" && p.sids[sid] {
		return &Malformed{"Statement IDs (SID) in a single policy must be unique."}
	}
	p.sids[sid] = true
	return nil
}

func (p *parser) principal(n *node, s *Statement) error {
	element, not := n.member("Principal"), false
	if element == nil {
		element, not = n.member("NotPrincipal"), true
	}
	switch p.document.kind {
	case Identity, Managed:
		if element != nil {
			return &Malformed{"Policy document should not specify a principal."}
		}
		return nil
	case ServiceControl:
		if element != nil {
			return errSyntax
		}
		return nil
	case ResourceControl:
		// AWS: "RCP syntax": Principal is "*", NotPrincipal is not supported.
		if element == nil || not || element.kind != stringNode || element.text != "*" {
			return errSyntax
		}
	case Trust:
		if element == nil {
			return &Malformed{"Missing required field Principal"}
		}
		if not && s.Effect == Allow {
			return &Malformed{"Allow with NotPrincipal is not allowed."}
		}
	default:
		if element == nil {
			return &Malformed{"Missing required field Principal"}
		}
	}
	s.principals = &principals{not: not}
	if element.kind == stringNode && element.text == "*" {
		s.principals.entries = []principalEntry{{kind: entryEverybody}}
		return nil
	}
	if element.kind == stringNode {
		return invalidPrincipal("STATIC", element.text)
	}
	if element.kind != objectNode || len(element.items) == 0 {
		return errSyntax
	}
	for i, class := range element.names {
		texts, ok := element.items[i].strings()
		if !ok || len(texts) == 0 {
			return errSyntax
		}
		for _, text := range texts {
			entry, ok := parsePrincipal(class, text)
			if !ok {
				return invalidPrincipal(class, text)
			}
			s.principals.entries = append(s.principals.entries, entry)
		}
	}
	return nil
}

func invalidPrincipal(class, text string) error {
	switch class {
	case "Service", "Federated":
		class = strings.ToUpper(class)
	}
	return malformed(`Invalid principal in policy: "%s":"%s"`, class, text)
}

func (p *parser) actions(n *node, s *Statement) error {
	list := n.member("Action")
	if list == nil {
		list, s.notActions = n.member("NotAction"), true
	}
	if list == nil {
		return &Malformed{"Policy statement must contain actions."}
	}
	texts, _ := list.strings()
	if len(texts) == 0 {
		return &Malformed{"Policy statement must contain actions."}
	}
	for _, text := range texts {
		if err := p.action(text); err != nil {
			return err
		}
		s.actions = append(s.actions, compileAction(text))
	}
	s.actionTexts = texts
	return nil
}

func (p *parser) action(text string) error {
	if text == "*" {
		if p.document.kind == Trust {
			return &Malformed{"AssumeRole policy may only specify STS AssumeRole actions."}
		}
		return nil
	}
	vendor, name, found := strings.Cut(text, ":")
	switch {
	case !found || text == "":
		return &Malformed{"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."}
	case strings.Contains(name, ":"):
		return &Malformed{"Actions/Condition can contain only one colon."}
	case vendor == "*" && name == "*":
	case !isVendor(vendor):
		return malformed("Vendor %s is not valid", vendor)
	case p.document.kind == Trust && (!strings.EqualFold(vendor, "sts") || !isTrustAction(strings.ToLower(name))):
		return &Malformed{"AssumeRole policy may only specify STS AssumeRole actions."}
	}
	return nil
}

// trustActions are what a trust policy can allow. AWS: "Actions defined by AWS Security Token Service", resource role.
var trustActions = []string{"assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "tagsession", "setsourceidentity", "setcontext"}

func isTrustAction(name string) bool {
	pattern := wild.Replace(name)
	return slices.ContainsFunc(trustActions, func(action string) bool { return matchGlob(pattern, action) })
}

func isVendor(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '-' && c != '_' && !isWord(text[i:i+1]) {
			return false
		}
	}
	return text != ""
}

func (p *parser) resources(n *node, s *Statement) error {
	list := n.member("Resource")
	if list == nil {
		list, s.notResources = n.member("NotResource"), true
	}
	if p.document.kind == Trust {
		if list != nil {
			return &Malformed{"Has prohibited field Resource"}
		}
		s.notResources = false
		return nil
	}
	if list == nil {
		if p.document.kind == Resource {
			return &Malformed{"Missing required field Resource"}
		}
		return &Malformed{"Policy statement must contain resources."}
	}
	texts, _ := list.strings()
	if len(texts) == 0 {
		return &Malformed{"Policy statement must contain resources."}
	}
	for _, text := range texts {
		if err := checkResource(text); err != nil {
			return err
		}
		s.resources = append(s.resources, compileARN(text, p.document.version))
	}
	return nil
}

// partitions that a resource can be in. AWS: "Amazon Resource Names (ARNs)".
var partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}

func checkResource(text string) error {
	if text == "*" {
		return nil
	}
	rest, found := strings.CutPrefix(text, "arn:")
	if !found {
		return malformed(`Resource %s must be in ARN format or "*".`, text)
	}
	partition, rest, _ := strings.Cut(rest, ":")
	if !strings.ContainsAny(partition, "*?$") && !slices.Contains(partitions, partition) {
		padded := text
		for range 5 - strings.Count(text, ":") {
			padded += ":*"
		}
		return malformed(`Partition "%s" is not valid for resource "%s".`, partition, padded)
	}
	vendor, _, _ := strings.Cut(rest, ":")
	if !strings.Contains(vendor, "${") && (vendor == "" || strings.ContainsAny(vendor, "*?")) {
		return &Malformed{"Resource vendor must be fully qualified and cannot contain regexes."}
	}
	a := make([]string, 0, 6)
	for field := range splitFields(text, Version2012) {
		a = append(a, field)
	}
	for len(a) < 6 {
		a = append(a, "*") // AWS: missing fields are completed with wildcards
	}
	if account := a[4]; account != "" && account != "aws" && !isAccount(account) && !strings.ContainsAny(account, "*?$") {
		return errLegacy
	}
	if vendor == "s3" && a[3] != "" && a[3] != "*" && !strings.Contains(a[3], "$") && !strings.ContainsAny(a[5], ":/*") {
		return malformed("Resource %s can not contain region information.", text)
	}
	if vendor == "iam" {
		return checkIAMResource(text, a[3], a[5])
	}
	return nil
}

// iamPaths are what the resource of IAM's own ARNs begins with.
var iamPaths = []string{"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/",
	"policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"}

func checkIAMResource(text, region, path string) error {
	if region != "" && region != "*" {
		return malformed("IAM resource %s cannot contain region information.", text)
	}
	// A wildcard may stand for any of the beginnings.
	known := strings.ContainsAny(path[:min(len(path), 1+strings.IndexByte(path+"/", '/'))], "*?$") || path == "root"
	for _, begin := range iamPaths {
		known = known || strings.HasPrefix(path, begin)
	}
	if !known {
		return malformed(`IAM resource path must either be "*" or start with %s.`, strings.Join(iamPaths, ", "))
	}
	return nil
}

// organization has the rules that only an organization's policies know.
// AWS: "SCP syntax", "RCP syntax".
func (p *parser) organization(_ *node, s *Statement) error {
	if p.document.kind != ResourceControl {
		return nil
	}
	if s.Effect == Allow {
		return errSyntax // only RCPFullAWSAccess allows, and AWS alone writes it
	}
	for _, text := range s.actionTexts {
		if text == "*" || s.notActions {
			return errSyntax
		}
	}
	return nil
}
