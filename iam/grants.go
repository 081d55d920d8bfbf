package iam

import (
	"context"
	"maps"
	"strings"
	"sync"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// Grants are all policies that say what a principal may do, without those of resources and organizations. They are
// shared and must not be changed.
type Grants struct {
	// Identity are those of the user and its groups, or of the role.
	Identity []GrantedPolicy
	// Boundary is nil where there is none.
	Boundary *GrantedPolicy
	// Limited tells that only what Session allows too is allowed; with no policy in Session that is nothing.
	Limited bool
	Session []GrantedPolicy
	// Tags are the principal's: those of the user or role, and those of the session over them.
	Tags map[string]string
}

// GrantedPolicy is one document, and where it comes from.
type GrantedPolicy struct {
	// ARN is the managed policy's; empty for inline and session policies, which have a Name alone.
	ARN, Name string
	// Holder is the ARN of the user, group or role that the policy belongs or is attached to.
	Holder string
	Text   string
}

// principalKey names what grants depend on: who it is, and the session, which never changes.
type principalKey struct {
	account, id string
	session     *awsapi.Session
}

type knownGrants struct {
	mu  sync.RWMutex
	all map[principalKey]stampedGrants
}

type stampedGrants struct {
	stamp  string
	grants *Grants
}

// Grants answers the policies of a principal as they are now, in one transaction. The same pointer comes back for as
// long as nothing changed, so what is worked out of it can be kept with it.
func (s *Service) Grants(ctx context.Context, p awsapi.Principal) (*Grants, error) {
	key := principalKey{p.Account, p.ID, p.Session}
	s.grants.mu.RLock()
	known := s.grants.all[key]
	s.grants.mu.RUnlock()
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		now, err := stamp(tx, p.Account)
		if err != nil || known.grants != nil && known.stamp == now {
			return err
		}
		known.stamp = now
		if known.grants, err = s.collectGrants(tx, p); err != nil {
			return err
		}
		s.grants.mu.Lock()
		defer s.grants.mu.Unlock()
		if s.grants.all == nil || len(s.grants.all) >= maxKnown {
			s.grants.all = map[principalKey]stampedGrants{}
		}
		s.grants.all[key] = known
		return nil
	})
	return known.grants, err
}

// GrantsOf is [Service.Grants] for a user, group or role by its ARN, without a session: for simulations. ok is false
// where there is none.
func (s *Service) GrantsOf(ctx context.Context, identityARN string) (found *Grants, ok bool, err error) {
	account, kind, rest, isARN := arnParts(identityARN)
	if !isARN {
		return nil, false, nil
	}
	found = &Grants{Tags: map[string]string{}}
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		switch name := folded(lastName(rest)); kind {
		case users.word:
			u, err := s.userRows(tx, account).Find(name)
			if err != nil || u == nil || users.arn(account, u) != identityARN {
				return err
			}
			ok = true
			return found.addUser(tx, account, u)
		case groups.word:
			g, err := groupRows(tx, account).Find(name)
			if err != nil || g == nil || groups.arn(account, g) != identityARN {
				return err
			}
			ok = true
			return addIdentity(found, tx, account, groups, g)
		case roles.word:
			r, err := roleRows(tx, account).Find(name)
			if err != nil || r == nil || roles.arn(account, r) != identityARN {
				return err
			}
			ok = true
			return addIdentity(found, tx, account, roles, r)
		}
		return nil
	})
	return found, ok, err
}

func (s *Service) collectGrants(tx store.Tx, p awsapi.Principal) (*Grants, error) {
	g := &Grants{Tags: map[string]string{}}
	switch {
	case p.RoleID != "":
		r, err := roleRows(tx, p.Account).Index("id").Find(p.RoleID)
		if err != nil {
			return nil, err
		}
		if r != nil {
			if err := addIdentity(g, tx, p.Account, roles, r); err != nil {
				return nil, err
			}
		}
	case p.UserID != "":
		u, err := s.userRows(tx, p.Account).Index("id").Find(p.UserID)
		if err != nil {
			return nil, err
		}
		if u != nil {
			if err := g.addUser(tx, p.Account, u); err != nil {
				return nil, err
			}
		}
	}
	if p.Session == nil {
		return g, nil
	}
	// AWS: "GetFederationToken": without session policies the session may do nothing.
	g.Limited = p.Type == awsapi.FederatedUser || p.Session.Policy != "" || len(p.Session.PolicyARNs) > 0
	if p.Session.Policy != "" {
		g.Session = append(g.Session, GrantedPolicy{Name: "session policy", Holder: p.ARN, Text: p.Session.Policy})
	}
	for _, policyARN := range p.Session.PolicyARNs {
		policy, err := managedGrant(tx, p.Account, policyARN, p.ARN)
		if err != nil {
			return nil, err
		}
		if policy != nil {
			g.Session = append(g.Session, *policy)
		}
	}
	maps.Copy(g.Tags, p.Session.Tags)
	return g, nil
}

func (g *Grants) addUser(tx store.Tx, account string, u *user) error {
	if err := addIdentity(g, tx, account, users, u); err != nil {
		return err
	}
	memberships, err := groupsOf(tx, account, u)
	if err != nil {
		return err
	}
	for _, member := range memberships {
		if err := addIdentity(g, tx, account, groups, member); err != nil {
			return err
		}
	}
	return nil
}

func addIdentity[T any](g *Grants, tx store.Tx, account string, k *kind[T], record *T) error {
	i, holder := k.of(record), k.arn(account, record)
	for _, name := range i.inlineNames() {
		g.Identity = append(g.Identity, GrantedPolicy{Name: name, Holder: holder, Text: string(i.Inline[name])})
	}
	for _, policyARN := range i.Attached {
		policy, err := managedGrant(tx, account, policyARN, holder)
		if err != nil {
			return err
		}
		if policy != nil {
			g.Identity = append(g.Identity, *policy)
		}
	}
	maps.Copy(g.Tags, i.Tags.values())
	if i.Boundary == "" {
		return nil
	}
	boundary, err := managedGrant(tx, account, i.Boundary, holder)
	if boundary == nil && err == nil {
		// A boundary that is gone still bounds: an empty document allows nothing.
		boundary = &GrantedPolicy{ARN: i.Boundary, Holder: holder, Text: `{"Version":"2012-10-17","Statement":[]}`}
	}
	g.Boundary = boundary
	return err
}

// managedGrant answers nil for a policy that does not exist.
func managedGrant(tx store.Tx, account, policyARN, holder string) (*GrantedPolicy, error) {
	p, err := findPolicy(tx, account, policyARN)
	if err != nil || p == nil {
		return nil, err
	}
	text, err := defaultText(tx, account, p)
	return &GrantedPolicy{ARN: policyARN, Name: p.Name, Holder: holder, Text: string(text)}, err
}

// ResourceTags answers the tags of a resource of IAM; nil where there is no such resource, or it cannot have tags.
func (s *Service) ResourceTags(ctx context.Context, resourceARN string) (map[string]string, error) {
	account, kind, rest, ok := arnParts(resourceARN)
	if !ok || account == "" {
		return nil, nil
	}
	var tags map[string]string
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		list, err := s.tagsOf(tx, account, kind, rest, resourceARN)
		if list != nil {
			tags = list.values()
		}
		return err
	})
	return tags, err
}

func (s *Service) tagsOf(tx store.Tx, account, kind, rest, resourceARN string) (tagList, error) {
	name := folded(lastName(rest))
	switch kind {
	case users.word:
		return tagsIn(tx, account, users, name)
	case roles.word:
		return tagsIn(tx, account, roles, name)
	case "instance-profile":
		return tagsIn(tx, account, profiles, name)
	case "policy":
		p, err := findPolicy(tx, account, resourceARN)
		if p == nil {
			return nil, err
		}
		return p.Tags, err
	case "server-certificate":
		return tagsIn(tx, account, certificates, name)
	case "mfa":
		d, err := deviceRows(tx, account).Find(name)
		if d == nil {
			return nil, err
		}
		return d.Tags, err
	case "oidc-provider":
		p, err := oidcRows(tx, account).Find(strings.TrimPrefix(rest, "/"))
		if p == nil {
			return nil, err
		}
		return p.Tags, err
	case "saml-provider":
		p, err := samlRows(tx, account).Find(name)
		if p == nil {
			return nil, err
		}
		return p.Tags, err
	}
	return nil, nil
}

func tagsIn[T any](tx store.Tx, account string, k *kind[T], name string) (tagList, error) {
	record, err := k.table.In(tx, store.Scope{Account: account}).Find(name)
	if record == nil {
		return nil, err
	}
	return k.of(record).Tags, err
}

// ResourcePolicy answers the trust policy of a role, and the role's account; "" for everything else.
func (s *Service) ResourcePolicy(ctx context.Context, resourceARN string) (text, owner string, err error) {
	account, kind, rest, ok := arnParts(resourceARN)
	if !ok || kind != roles.word {
		return "", "", nil
	}
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		r, err := roleRows(tx, account).Find(folded(lastName(rest)))
		if err != nil || r == nil || roles.arn(account, r) != resourceARN {
			return err
		}
		trust, err := s.trustText(tx, r)
		text, owner = string(trust), account
		return err
	})
	return text, owner, err
}
