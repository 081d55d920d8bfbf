package policy

import (
	"slices"
	"strings"
)

// PrincipalKind says what kind of caller it is.
type PrincipalKind uint8

// Kinds of callers.
const (
	// Anonymous did not sign.
	Anonymous PrincipalKind = iota
	// Root is an account's root user.
	Root
	// User is an IAM user.
	User
	// RoleSession is an assumed role.
	RoleSession
	// FederatedUser is a session of sts:GetFederationToken.
	FederatedUser
	// AWSService is a service that acts for itself, such as ec2.amazonaws.com.
	AWSService
	// WebIdentity and SAML are users of an identity provider who ask for a role; they have no AWS identity yet.
	WebIdentity
	SAML
)

// Principal is who asks.
type Principal struct {
	Kind PrincipalKind
	// Account is the caller's; empty for anonymous, service and federated callers.
	Account string
	// ARN is the caller's own: the session's for sessions.
	ARN string
	// Issuer is the ARN of the role (RoleSession) or of the user (FederatedUser) behind a session.
	Issuer string
	// ID is the unique id, AROA...:session for sessions; IssuerID is the role's or user's behind it.
	ID, IssuerID string
	// CanonicalID is S3's name of the account.
	CanonicalID string
	// Name is an AWS service's name or an identity provider's ARN or domain.
	Name string
}

// inAccount tells whether account principals mean the caller.
func (p *Principal) inAccount() bool {
	switch p.Kind {
	case Root, User, RoleSession, FederatedUser:
		return true
	}
	return false
}

// grant is how directly a resource-based policy means the caller; each is worth more than the one before.
// AWS: "Policy evaluation for requests within a single account", "Evaluating identity-based policies with
// resource-based policies".
type grant uint8

const (
	grantNone grant = iota
	// grantAccount means the caller's account, which delegates to its identities' policies.
	grantAccount
	// grantIssuer means the role or user behind a session: boundaries and session policies still limit it.
	grantIssuer
	// grantDirect means the caller itself, or everybody: an implicit deny elsewhere in the account does not limit it.
	grantDirect
)

type entryKind uint8

const (
	entryEverybody entryKind = iota
	entryAccount
	entryARN
	entryID
	entryService
	entryFederated
	entryCanonical
)

// principalEntry is one name of a Principal element.
type principalEntry struct {
	kind entryKind
	text string
}

func (e *principalEntry) grant(p *Principal) grant {
	switch e.kind {
	case entryEverybody:
		return grantDirect
	case entryAccount:
		if p.inAccount() && p.Account == e.text {
			if p.Kind == Root {
				return grantDirect
			}
			return grantAccount
		}
	case entryCanonical:
		if p.CanonicalID == e.text && p.CanonicalID != "" {
			return grantAccount
		}
	case entryARN:
		switch {
		case !p.inAccount():
		case e.text == p.ARN:
			return grantDirect
		case e.text == p.Issuer:
			return grantIssuer
		}
	case entryID:
		switch {
		case !p.inAccount():
		case e.text == p.ID:
			return grantDirect
		case e.text == p.IssuerID && p.IssuerID != "":
			return grantIssuer
		}
	case entryService:
		if p.Kind == AWSService && e.text == p.Name {
			return grantDirect
		}
	case entryFederated:
		if (p.Kind == WebIdentity || p.Kind == SAML) && e.text == p.Name {
			return grantDirect
		}
	}
	return grantNone
}

// principals is a Principal or NotPrincipal element.
type principals struct {
	entries []principalEntry
	not     bool
}

// grant answers how directly the element means the caller.
func (s *principals) grant(p *Principal, effect Effect) grant {
	if s.not {
		return s.notGrant(p, effect)
	}
	best := grantNone
	for i := range s.entries {
		best = max(best, s.entries[i].grant(p))
	}
	return best
}

// notGrant reads NotPrincipal. A Deny spares a caller only if all that it is stands in the list: the account, the user
// or the role, and the session. An Allow, which AWS advises against, means those of whom nothing stands there.
// AWS: "AWS JSON policy elements: NotPrincipal".
func (s *principals) notGrant(p *Principal, effect Effect) grant {
	var listed [grantDirect + 1]bool
	any := false
	for i := range s.entries {
		if s.entries[i].kind == entryEverybody {
			return grantNone
		}
		g := s.entries[i].grant(p)
		listed[g] = true
		any = any || g != grantNone
	}
	spared := any
	if effect == Deny {
		spared = listed[grantDirect]
		if p.inAccount() && p.Kind != Root {
			spared = spared && listed[grantAccount]
		}
		if p.Kind == RoleSession {
			spared = spared && listed[grantIssuer]
		}
	}
	if spared {
		return grantNone
	}
	return grantDirect
}

// PrincipalARNs are the users and roles that the document names, each once.
func (d *Document) PrincipalARNs() []string {
	var arns []string
	for i := range d.statements {
		if d.statements[i].principals == nil {
			continue
		}
		for _, e := range d.statements[i].principals.entries {
			if e.kind == entryARN && strings.HasPrefix(e.text, "arn:aws:iam:") && !slices.Contains(arns, e.text) {
				arns = append(arns, e.text)
			}
		}
	}
	return arns
}

// parsePrincipal reads one name; false where it cannot be one.
func parsePrincipal(class, text string) (principalEntry, bool) {
	switch class {
	case "AWS":
		return parseAWSPrincipal(text)
	case "Service":
		ok := text != "" && !strings.ContainsAny(text, "*? :/") && strings.Contains(text, ".")
		return principalEntry{entryService, text}, ok
	case "Federated":
		if text == "*" {
			return principalEntry{}, false
		}
		return principalEntry{entryFederated, text}, text != ""
	case "CanonicalUser":
		return principalEntry{entryCanonical, text}, text != ""
	}
	return principalEntry{}, false
}

func parseAWSPrincipal(text string) (principalEntry, bool) {
	switch {
	case text == "*":
		return principalEntry{kind: entryEverybody}, true
	case isAccount(text):
		return principalEntry{entryAccount, text}, true
	case len(text) >= 16 && isWord(text) && strings.HasPrefix(text, "A"):
		// AROA and AIDA: what stays when the role or user is deleted.
		return principalEntry{entryID, text}, true
	}
	a := splitARN(text)
	if a.count != 6 || a.fields[0] != "arn" || a.fields[3] != "" || !isAccount(a.fields[4]) || strings.ContainsAny(text, "*?") {
		return principalEntry{}, false
	}
	resource := a.fields[5]
	class, name, _ := strings.Cut(resource, "/")
	switch {
	case a.fields[2] == "iam" && resource == "root":
		return principalEntry{entryAccount, a.fields[4]}, true
	case a.fields[2] == "iam" && name != "" && (class == "user" || class == "role"),
		a.fields[2] == "sts" && name != "" && (class == "assumed-role" || class == "federated-user"):
		return principalEntry{entryARN, text}, true
	}
	return principalEntry{}, false
}

func isAccount(text string) bool {
	if len(text) != 12 {
		return false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

func isWord(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
