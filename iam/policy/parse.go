package policy

import (
	"encoding/json"
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

// AWS documents the error MalformedPolicyDocument and not its words: behind each message here is where it was seen as an
// answer of AWS's. There are two families: permissions policies are read by one parser, trust policies, as policies of
// buckets, by another.

// The words for what is not in the grammar at all, and for what only an older parser refuses.
// Seen: 99designs/iamy issue 74, aws-cloudformation/cfn-lint issue 3751 (syntax); hashicorp/terraform issue 10057 (the case of
// an effect), 99designs/iamy issue 65 and amancevice/terraform-aws-custom-ecr-domain issue 2 (one statement before the
// version), Graylog2/graylog-plugin-aws issue 172
// (an account that is none), badmintoncryer/cdk-preflight (numbers, dates and addresses that are none).
var (
	errSyntax = &Malformed{"Syntax errors in policy."}
	errLegacy = &Malformed{"The policy failed legacy parsing"}
)

// The words of the other family, for trust policies.
// Seen: CreateRole in several public notes (invalid Json); humanmade/S3-Uploads issue 191 and versity/versitygw, package
// iamapi/policy (missing fields, version, statement, effect, NotPrincipal, NotResource); Wolox/carthage_cache issue 22 (ids).
var (
	errTrustJSON      = &Malformed{"This policy contains invalid Json"}
	errTrustVersion   = &Malformed{"The policy must contain a valid version string"}
	errTrustStatement = &Malformed{"Could not parse the policy: Statement is empty!"}
	errTrustIDs       = &Malformed{"The Statement Ids in the policy are not unique"}
)

func missingField(name string) error { return malformed("Missing required field %s", name) }

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
	// actions remembers which statements are about an action.
	actions knownActions
}

// Empty is a document that says nothing, which the grammar does not have: it allows nobody anything.
func Empty(kind Kind) *Document { return &Document{kind: kind, version: Version2012} }

// Statements of the document, in its order.
func (d *Document) Statements() []Statement { return d.statements }

// Kind is what the document was parsed as.
func (d *Document) Kind() Kind { return d.kind }

// Grants tells whether some statement allows the action, on whatever resource and condition.
func (d *Document) Grants(action string) bool {
	action = strings.ToLower(action)
	return slices.ContainsFunc(d.statements, func(s Statement) bool { return s.Effect == Allow && s.actionMatches(action) != s.notActions })
}

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

// Parse reads, checks and compiles a document. Its errors are *Malformed.
func Parse(kind Kind, text string) (*Document, error) { return read(kind, text, false) }

// Compile is [Parse] for a document that was checked when it was stored. What only checks of today refuse in it still means
// what it says: one that cannot be read might deny.
func Compile(kind Kind, text string) (*Document, error) { return read(kind, text, true) }

func read(kind Kind, text string, stored bool) (*Document, error) {
	root, ok := readTree(text)
	switch {
	case kind == Trust && !ok && !json.Valid([]byte(text)):
		return nil, errTrustJSON
	case !ok || root.kind != objectNode:
		return nil, errSyntax
	}
	d := &Document{kind: kind}
	p := parser{document: d, text: text, stored: stored, sids: map[string]bool{}}
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
	// stored tells that the text was checked before: only what cannot be understood is refused.
	stored bool
	sids   map[string]bool
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
			return p.unknown(name)
		}
	}
	if err := p.version(root.member("Version")); err != nil {
		return err
	}
	statement := root.member("Statement")
	if statement == nil {
		return p.words(errTrustStatement)
	}
	list := []*node{statement}
	if statement.kind == listNode {
		list = statement.items
	}
	if len(list) == 0 {
		return p.words(errTrustStatement)
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
	if version := slices.Index(root.names, "Version"); !p.stored && p.document.kind <= Trust && statement.kind == objectNode && version > slices.Index(root.names, "Statement") {
		return errLegacy
	}
	return nil
}

// words are those of a policy of a role or another resource for what is no grammar, and for other policies the one sentence.
func (p *parser) words(ofResource error) error {
	if p.document.kind == Trust || p.document.kind == Resource {
		return ofResource
	}
	return errSyntax
}

// unknown is what is said of an element that there is not.
// Seen: as "Unknown field" in public notes about CreateRole.
func (p *parser) unknown(name string) error { return p.words(malformed("Unknown field %s", name)) }

func (p *parser) version(n *node) error {
	switch {
	case n == nil && p.document.kind != Managed, n != nil && n.kind == stringNode && n.text == "2008-10-17" && p.document.kind != Managed:
		// AWS: without the element the version is 2008-10-17.
	case n != nil && n.kind == stringNode && n.text == "2012-10-17":
		p.document.version = Version2012
	case n == nil, n.kind == stringNode && n.text == "2008-10-17":
		return &Malformed{"Policy document must be version 2012-10-17 or greater."}
	default:
		return p.words(errTrustVersion)
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
			return p.unknown(name)
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
		return p.words(missingField("Effect"))
	}
	switch effect.text {
	case "Allow":
	case "Deny":
		s.Effect = Deny
	default:
		if p.document.kind != Trust && p.document.kind != Resource && (strings.EqualFold(effect.text, "Allow") || strings.EqualFold(effect.text, "Deny")) {
			return errLegacy
		}
		return p.words(malformed("Invalid effect: %s", effect.text))
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
				if err := p.impossible(op.comparison, v); err != nil {
					return err
				}
				c.values = append(c.values, v)
			}
			s.conditions = append(s.conditions, c)
			s.names = append(s.names, key)
		}
	}
	return nil
}

// impossible refuses a value that is not of its operator's type, for IAM's own policies.
func (p *parser) impossible(c comparison, v conditionValue) error {
	switch {
	case v.valid || p.document.kind > Trust || p.stored:
		return nil
	case c >= numericEquals && c <= dateGreaterEquals, c == ipAddress:
		return errLegacy
	case c == binaryEquals: // Seen: badmintoncryer/cdk-preflight
		return errSyntax
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
			// Seen: aws-cloudformation/cfn-lint issue 708
			return &Malformed{"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"}
		}
	}
	if sid != "" && p.sids[sid] {
		if p.document.kind == Trust || p.document.kind == Resource {
			return errTrustIDs
		}
		return &Malformed{"Statement IDs (SID) in a single policy must be unique."} // Seen: kubernetes/kops issue 4951
	}
	p.sids[sid] = true
	return nil
}

func (p *parser) actions(n *node, s *Statement) error {
	list := n.member("Action")
	if list == nil {
		list, s.notActions = n.member("NotAction"), true
	}
	if list == nil {
		if p.document.kind == Trust {
			return missingField("Action")
		}
		return &Malformed{"Policy statement must contain actions."} // Seen: as that of resources below
	}
	texts, _ := list.strings()
	if len(texts) == 0 {
		return &Malformed{"Policy statement must contain actions."}
	}
	for _, text := range texts {
		if err := p.action(text); err != nil && !p.stored {
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
		// Seen: CreatePolicy through CloudFormation, in public notes
		return &Malformed{"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."}
	case strings.Contains(name, ":"):
		return &Malformed{"Actions/Condition can contain only one colon."} // Seen: garnaat/kappa issue 111
	case vendor == "*" && name == "*":
	case strings.ContainsAny(vendor, "*?"):
		return &Malformed{"Action vendors (e.g., aws, ec2, etc.) must not contain wildcards."} // Seen: badmintoncryer/cdk-preflight
	case !isVendor(vendor):
		return malformed("Vendor %s is not valid", vendor)
	case p.document.kind == Trust && (!strings.EqualFold(vendor, "sts") || !isTrustAction(strings.ToLower(name))):
		return &Malformed{"AssumeRole policy may only specify STS AssumeRole actions."}
	}
	return nil
}

// trustActions are what a trust policy can allow. AWS: "Actions defined by AWS Security Token Service", resource role.
var trustActions = []string{"assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "tagsession", "setsourceidentity", "setcontext"}

// isTrustAction knows patterns of these actions, and of no others.
func isTrustAction(name string) bool {
	pattern := wild.Replace(name)
	if strings.ContainsAny(name, "*?") && !strings.HasPrefix(name, "assumerole") {
		return false
	}
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
