package policy

import "strings"

// Layer is a type of policy, in the order in which they are considered, from the outside to the inside.
// AWS: "How AWS enforcement code logic evaluates requests to allow or deny access".
type Layer uint8

// Layers. LayerTrust is the resource policy of a role.
const (
	NoLayer Layer = iota
	LayerResourceControl
	LayerServiceControl
	LayerEndpoint
	LayerResource
	LayerTrust
	LayerIdentity
	LayerBoundary
	LayerSession
)

var layerNames = [...]string{"", "resource control policy", "service control policy", "VPC endpoint policy",
	"resource-based policy", "role trust policy", "identity-based policy", "permissions boundary", "session policy"}

func (l Layer) String() string { return layerNames[l] }

// Policy is a document and where it comes from.
type Policy struct {
	// Name is an ARN, or what else tells a person which policy it is. Explanations show it.
	Name     string
	Document *Document
}

// Input is everything that a decision depends on.
type Input struct {
	// Action is the full name, such as "s3:GetObject".
	Action string
	// Resource is an ARN, or "*" for actions that know none.
	Resource  string
	Principal Principal
	// ResourceAccount owns the resource; empty means the caller's account.
	ResourceAccount string
	// Context answers context keys; nil means that there are none.
	Context Lookup

	// ServiceControl are the policies of the caller's organization: one list a level, from the root to the account.
	// Every level must allow. Nil where none apply: no organization, the management account, a service-linked role.
	ServiceControl [][]Policy
	// ResourceControl are those of the resource's organization.
	ResourceControl [][]Policy
	// Endpoint is the policy of the VPC endpoint that the call came through; nil if it came through none.
	Endpoint []Policy
	// ResourcePolicies are attached to the resource, or the trust policy of the role.
	ResourcePolicies []Policy
	// ResourcePolicyRequired tells that identity policies alone do not suffice even within the account: roles, keys.
	ResourcePolicyRequired bool
	// Identity are the policies of the user and its groups, or of the role.
	Identity []Policy
	// Thorough asks for every context key of a statement that is about the request, also after one that does not hold.
	Thorough bool
	// Boundary is the permissions boundary; nil if the user or role has none.
	Boundary []Policy
	// InSession tells that session policies apply; without any in Session nothing gets through.
	InSession bool
	Session   []Policy
}

// Match is a statement that matched.
type Match struct {
	Layer     Layer
	Policy    *Policy
	Statement *Statement
	// Index of the statement in its document.
	Index int
}

// Decision is the outcome and why.
type Decision struct {
	Allowed bool
	// Explicit tells that a Deny statement matched; else nothing allowed.
	Explicit bool
	// Layer is the one that denied; NoLayer if allowed.
	Layer Layer
	// Allows and Denies are all statements that matched, in the order of the layers.
	Allows, Denies []Match
	// CrossAccount tells that the resource is in another account than the caller.
	CrossAccount bool
	// Layers says of each layer that applied whether it allowed.
	Layers [LayerSession + 1]Outcome

	principal, action, resource string
}

// Outcome of one layer.
type Outcome uint8

// Outcomes.
const (
	NotApplied Outcome = iota
	Allowed
	ImplicitDeny
	ExplicitDeny
)

func (o Outcome) String() string {
	return [...]string{"not applied", "allowed", "implicitDeny", "explicitDeny"}[o]
}

// request is an input on its way.
type request struct {
	*Input
	action   string // lower case
	resource arn
	context  Lookup
	decision *Decision
}

func noContext(string) []string { return nil }

// Evaluate decides. It is pure: the same input has the same decision.
func Evaluate(in *Input) *Decision {
	d := &Decision{action: in.Action, resource: in.Resource, principal: in.Principal.ARN}
	r := request{Input: in, action: strings.ToLower(in.Action), resource: splitARN(in.Resource), context: in.Context, decision: d}
	if r.context == nil {
		r.context = noContext
	}
	d.CrossAccount = in.ResourceAccount != "" && in.Principal.Account != in.ResourceAccount

	r.levels(LayerResourceControl, in.ResourceControl)
	r.levels(LayerServiceControl, in.ServiceControl)
	if in.Endpoint != nil {
		r.outcome(LayerEndpoint, r.policies(LayerEndpoint, in.Endpoint) != grantNone)
	}
	given := r.resourcePolicies()
	identity := r.identity()
	if in.Boundary != nil {
		r.outcome(LayerBoundary, r.policies(LayerBoundary, in.Boundary) != grantNone)
	}
	if in.InSession {
		r.outcome(LayerSession, r.policies(LayerSession, in.Session) != grantNone)
	}
	r.decide(given, identity)
	return d
}

// outcome notes what a layer said; an explicit deny of it is already noted.
func (r *request) outcome(l Layer, allowed bool) {
	switch o := &r.decision.Layers[l]; {
	case *o == ExplicitDeny:
	case allowed:
		*o = Allowed
	default:
		*o = ImplicitDeny
	}
}

// levels evaluates an organization's policies: each level must allow.
func (r *request) levels(l Layer, levels [][]Policy) {
	if levels == nil {
		return
	}
	allowed := true
	for _, level := range levels {
		allowed = r.policies(l, level) != grantNone && allowed
	}
	r.outcome(l, allowed)
}

// resourceLayer is what the resource's policies are called.
func (r *request) resourceLayer() Layer {
	if len(r.ResourcePolicies) > 0 && r.ResourcePolicies[0].Document.kind == Trust {
		return LayerTrust
	}
	return LayerResource
}

func (r *request) resourcePolicies() grant {
	l := r.resourceLayer()
	given := r.policies(l, r.ResourcePolicies)
	if len(r.ResourcePolicies) > 0 || r.ResourcePolicyRequired {
		r.outcome(l, given != grantNone)
	}
	return given
}

// identity evaluates what the caller's own account gives it. Callers of no account have no such policies.
func (r *request) identity() bool {
	switch r.Principal.Kind {
	case Anonymous, AWSService, WebIdentity, SAML:
		return false
	case FederatedUser:
		if !strings.HasSuffix(r.Principal.Issuer, ":root") {
			break
		}
		fallthrough
	case Root:
		// AWS: the root user is not subject to identity-based policies; a session that it federates, only to its own.
		r.outcome(LayerIdentity, true)
		return true
	}
	allowed := r.policies(LayerIdentity, r.Identity) != grantNone
	r.outcome(LayerIdentity, allowed)
	return allowed
}

// policies evaluates the statements of some policies, notes which matched, and answers what they give.
func (r *request) policies(l Layer, policies []Policy) grant {
	best := grantNone
	for i := range policies {
		candidates, tried := policies[i].Document.about(r.action), -1
		for j := range candidates {
			c := &candidates[j]
			if !c.mayMatch(&r.resource) || c.index == tried {
				continue
			}
			tried = c.index
			g := c.statement.match(r)
			if g == grantNone {
				continue
			}
			m := Match{Layer: l, Policy: &policies[i], Statement: c.statement, Index: c.index}
			if c.statement.Effect == Deny {
				r.decision.Denies = append(r.decision.Denies, m)
				r.decision.Layers[l] = ExplicitDeny
				continue
			}
			r.decision.Allows = append(r.decision.Allows, m)
			best = max(best, g)
		}
	}
	return best
}

// match tells whether the statement, which is about the action, is about the request, and how directly it means the caller.
func (s *Statement) match(r *request) grant {
	g := grantDirect
	if s.principals != nil {
		if g = s.principals.grant(&r.Principal, s.Effect); g == grantNone {
			return grantNone
		}
	}
	if s.resources != nil && s.resourceMatches(r) == s.notResources {
		return grantNone
	}
	for i := range s.conditions {
		if s.conditions[i].holds(r.context) {
			continue
		}
		if g = grantNone; !r.Thorough {
			break
		}
	}
	return g
}

func (s *Statement) actionMatches(action string) bool {
	for i := range s.actions {
		if s.actions[i].match(action) {
			return true
		}
	}
	return false
}

func (s *Statement) resourceMatches(r *request) bool {
	for i := range s.resources {
		if s.resources[i].match(&r.resource, r.context) {
			return true
		}
	}
	return false
}

// decide weighs the layers.
func (r *request) decide(given grant, identity bool) {
	d := r.decision
	if len(d.Denies) > 0 {
		d.Explicit, d.Layer = true, d.Denies[0].Layer
		return
	}
	for _, l := range []Layer{LayerResourceControl, LayerServiceControl, LayerEndpoint} {
		if d.Layers[l] == ImplicitDeny {
			d.Layer = l
			return
		}
	}
	d.Layer = r.inside(given, identity)
	d.Allowed = d.Layer == NoLayer
}

// inside weighs resource policy, identity policies, boundary and session: the layer that denies, or NoLayer.
func (r *request) inside(given grant, identity bool) Layer {
	d := r.decision
	limited := NoLayer
	switch {
	case d.Layers[LayerBoundary] == ImplicitDeny:
		limited = LayerBoundary
	case d.Layers[LayerSession] == ImplicitDeny:
		limited = LayerSession
	}
	switch r.Principal.Kind {
	case Anonymous, AWSService, WebIdentity, SAML:
		if given == grantNone {
			return r.resourceLayer()
		}
		return NoLayer
	}
	if !d.CrossAccount {
		switch {
		case given == grantDirect:
			return NoLayer
		case given == grantIssuer:
			return limited
		case given == grantNone && r.ResourcePolicyRequired:
			return r.resourceLayer()
		case !identity:
			return LayerIdentity
		}
		return limited
	}
	// AWS: "Cross-account policy evaluation logic": the caller's account and the resource's must both allow.
	switch {
	case !identity:
		return LayerIdentity
	case limited != NoLayer:
		return limited
	case given == grantNone:
		return r.resourceLayer()
	}
	return NoLayer
}

// Each calls fn with every policy that has a say, from the outside to the inside.
func (in *Input) Each(fn func(Layer, *Policy)) {
	each := func(l Layer, policies []Policy) {
		for i := range policies {
			fn(l, &policies[i])
		}
	}
	for _, level := range in.ResourceControl {
		each(LayerResourceControl, level)
	}
	for _, level := range in.ServiceControl {
		each(LayerServiceControl, level)
	}
	each(LayerEndpoint, in.Endpoint)
	each((&request{Input: in}).resourceLayer(), in.ResourcePolicies)
	each(LayerIdentity, in.Identity)
	each(LayerBoundary, in.Boundary)
	each(LayerSession, in.Session)
}
