package organizations

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/backend/store"
)

// Membership is an account's place in an organization. It is shared and must not be changed.
type Membership struct {
	Organization, Path string
	Management         bool
	// ServiceControl and ResourceControl are the policies from the root to the account; nil where the type is not enabled.
	ServiceControl, ResourceControl [][]Guardrail
}

// Guardrail is one document of an organization.
type Guardrail struct{ ARN, Text string }

// The stamp changes with every change of any organization, so that what was worked out can be kept until then.
const stampKey = store.Key("/" + store.MainFork + "/" + store.Global + "/" + store.Global + "/organizations/stamp/now")

func putStamp(tx store.Tx) error { return tx.Put(stampKey, []byte(random(20))) }

// places remembers memberships.
type places struct {
	mu    sync.RWMutex
	stamp string
	all   map[string]*Membership
}

func (p *places) get(stamp, account string) (*Membership, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.stamp != stamp {
		return nil, false
	}
	m, ok := p.all[account]
	return m, ok
}

func (p *places) put(stamp, account string, m *Membership) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stamp != stamp || p.all == nil || len(p.all) > 10_000 {
		p.stamp, p.all = stamp, map[string]*Membership{}
	}
	p.all[account] = m
}

// Membership answers an account's place as it is now, and the same pointer until something changes; nil for an account of
// no organization.
func (s *Service) Membership(ctx context.Context, account string) (m *Membership, err error) {
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		stamp, err := store.GetKept(tx, stampKey)
		if errors.Is(err, store.ErrNotFound) {
			return nil // there never was an organization
		}
		if err != nil {
			return err
		}
		known := false
		if m, known = s.places.get(string(stamp), account); known {
			return nil
		}
		o, err := seenOrganizationOf(tx, account)
		if err != nil {
			return err
		}
		if o != nil {
			if m, err = o.membership(tx, account); err != nil {
				return err
			}
		}
		s.places.put(string(stamp), account, m)
		return nil
	})
	return m, err
}

func (o *organization) membership(tx store.Tx, account string) (_ *Membership, err error) {
	m := &Membership{Organization: o.ID, Path: o.path(account), Management: account == o.Management}
	if contains(o.Enabled, types.PolicyTypeServiceControlPolicy) {
		if m.ServiceControl, err = o.levels(tx, account, types.PolicyTypeServiceControlPolicy); err != nil {
			return nil, err
		}
	}
	if contains(o.Enabled, types.PolicyTypeResourceControlPolicy) {
		if m.ResourceControl, err = o.levels(tx, account, types.PolicyTypeResourceControlPolicy); err != nil {
			return nil, err
		}
	}
	if o.Nodes[account].Closed {
		// Nobody in a closed account may do anything: a level that allows nothing.
		m.ServiceControl = [][]Guardrail{{}}
	}
	return m, nil
}

func (o *organization) levels(tx store.Tx, account string, kind types.PolicyType) ([][]Guardrail, error) {
	levels := [][]Guardrail{}
	for _, at := range o.way(account) {
		level := []Guardrail{}
		for _, id := range o.Nodes[at].Attached {
			if o.typeOf(id) != kind {
				continue
			}
			text, err := o.policyText(tx, id)
			if err != nil {
				return nil, err
			}
			level = append(level, Guardrail{ARN: o.policyARN(id), Text: text})
		}
		levels = append(levels, level)
	}
	return levels, nil
}

// ResourceTags answers the tags of whatever has the ARN, for aws:ResourceTag.
func (s *Service) ResourceTags(ctx context.Context, resourceARN string) (map[string]string, error) {
	o, err := s.find(ctx)
	if o == nil || err != nil {
		return nil, err
	}
	for id, n := range o.Nodes {
		if o.arnOf(id) == resourceARN {
			return n.Tags, nil
		}
	}
	for id, p := range o.Policies {
		if o.policyARN(id) == resourceARN {
			return p.Tags, nil
		}
	}
	if o.Delegation != nil && o.delegationARN() == resourceARN {
		return o.Delegation.Tags, nil
	}
	return nil, nil
}
