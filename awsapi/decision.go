package awsapi

// Explained is a decision of the authorizer that can say how it came about. It is cheap to keep; Explain does the work.
type Explained interface{ Explain() Explanation }

// Explanation of one decision: what was asked, what was answered, and which policies said so. It has no secrets.
type Explanation struct {
	Action   string `json:"action"`
	Resource string `json:"resource"`
	Allowed  bool   `json:"allowed"`
	// Explicit tells that a Deny statement decided.
	Explicit bool `json:"explicitDeny,omitempty"`
	// Reason is AWS's words of a denial; empty if allowed.
	Reason string `json:"reason,omitempty"`
	// Layers says what each type of policy that applied answered: allowed, implicitDeny or explicitDeny.
	Layers map[string]string `json:"layers,omitempty"`
	// Policies are all that were considered.
	Policies []ConsideredPolicy `json:"policies,omitempty"`
	// Statements are those that matched; the first that denies decided.
	Statements []MatchedStatement `json:"statements,omitempty"`
	// Context has the keys that the policies asked for; those that the call did not have are in Missing.
	Context map[string][]string `json:"context,omitempty"`
	Missing []string            `json:"missingContext,omitempty"`
}

// ConsideredPolicy is one that had a say.
type ConsideredPolicy struct {
	// Layer is its type, such as "identity-based policy".
	Layer string `json:"layer"`
	Name  string `json:"name"`
}

// MatchedStatement is a statement that matched the call.
type MatchedStatement struct {
	Layer  string `json:"layer"`
	Policy string `json:"policy"`
	// Index counts from 0; Line and Column are where the statement begins.
	Index  int    `json:"index"`
	Sid    string `json:"sid,omitempty"`
	Effect string `json:"effect"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// maxDecisions bounds how many decisions of one call are kept for explanations.
const maxDecisions = 100

// Decided notes a decision. Only the authorizer calls it, before the handler runs.
func (r *Request) Decided(d Explained) {
	if len(r.decisions) < maxDecisions {
		r.decisions = append(r.decisions, d)
	}
}

// Decisions are those that the call needed, in order; the last one is the denial, if there is one. At most 100 are kept.
func (r *Request) Decisions() []Explained { return r.decisions }
