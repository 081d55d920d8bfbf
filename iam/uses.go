package iam

import (
	"context"
	"strings"
	"sync"
	"time"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// use is when and for what something was used last.
type use struct {
	At              time.Time `json:",omitzero"`
	Region, Service string    `json:",omitempty"`
}

// lastUses are kept in memory and written now and then: a call that only reads must not cost a write. What a crash loses
// is a minute of them.
type lastUses struct {
	mu sync.Mutex
	// keys are by access key id, roles by the role's id.
	keys, roles map[string]use
	// services are last uses by identity and service.
	services map[serviceUse]use
	// actions are last uses by identity and action.
	actions map[actionUse]use
	// accounts are those of roles and services, by id.
	accounts map[string]string
}

// serviceUse names an identity, by its id, and a service, by its prefix in policies.
type serviceUse struct{ identity, service string }

// actionUse names an identity, by its id, and an action by its full name.
type actionUse struct{ identity, action string }

func newLastUses() *lastUses {
	return &lastUses{keys: map[string]use{}, roles: map[string]use{}, services: map[serviceUse]use{}, actions: map[actionUse]use{}, accounts: map[string]string{}}
}

// tracked tells whether last uses of an action are kept: those that manage things, not those on data.
// AWS: "Refine permissions in AWS using last accessed information": data plane events are not tracked.
func tracked(action string) bool {
	return !strings.HasPrefix(action, "s3:") || !strings.Contains(action, "Object") && !strings.Contains(action, "Multipart")
}

// note records that a known caller's signature was good, and the action that was tried: denied ones count.
func (l *lastUses) note(r *awsapi.Request, wanted []awsapi.Access) {
	p, signing := r.Principal, r.Service.SigningName
	now := use{At: r.Time.UTC().Truncate(time.Second), Region: r.Region, Service: signing}
	l.mu.Lock()
	defer l.mu.Unlock()
	who := p.UserID
	switch {
	case p.RoleID != "":
		who = p.RoleID
		l.roles[who] = now
	case p.Session == nil:
		l.keys[p.AccessKeyID] = now
	}
	if who != "" {
		l.services[serviceUse{who, policyPrefix(signing)}] = now
		if len(wanted) > 0 && tracked(wanted[0].Action) {
			l.actions[actionUse{who, wanted[0].Action}] = now
		}
		l.accounts[who] = p.Account
	}
}

func later(a, b use) use {
	if b.At.After(a.At) {
		return b
	}
	return a
}

func (l *lastUses) key(k *accessKey) use {
	l.mu.Lock()
	defer l.mu.Unlock()
	return later(k.Used, l.keys[k.ID])
}

func (l *lastUses) role(r *role) use {
	l.mu.Lock()
	defer l.mu.Unlock()
	return later(r.LastUsed, l.roles[r.ID])
}

func (l *lastUses) service(s serviceUse, stored use) use {
	l.mu.Lock()
	defer l.mu.Unlock()
	return later(stored, l.services[s])
}

func (l *lastUses) action(a actionUse, stored use) use {
	l.mu.Lock()
	defer l.mu.Unlock()
	return later(stored, l.actions[a])
}

// take empties the memory and answers what was in it.
func (l *lastUses) take() *lastUses {
	taken := newLastUses()
	l.mu.Lock()
	defer l.mu.Unlock()
	taken.keys, l.keys = l.keys, taken.keys
	taken.roles, l.roles = l.roles, taken.roles
	taken.services, l.services = l.services, taken.services
	taken.actions, l.actions = l.actions, taken.actions
	taken.accounts, l.accounts = l.accounts, taken.accounts
	return taken
}

// putBack returns what could not be written, unless it was used again meanwhile.
func (l *lastUses) putBack(taken *lastUses) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, used := range taken.keys {
		l.keys[id] = later(used, l.keys[id])
	}
	for id, used := range taken.roles {
		l.roles[id] = later(used, l.roles[id])
	}
	for id, used := range taken.services {
		l.services[id] = later(used, l.services[id])
	}
	for id, used := range taken.actions {
		l.actions[id] = later(used, l.actions[id])
	}
	for id, account := range taken.accounts {
		l.accounts[id] = account
	}
}

// access is one row of what identities used: the source of the access advisor.
type access struct {
	// Identity is the id of a user or role.
	Identity, Service string
	Used              use
}

var accessTable = store.NewTable(store.Spec[access]{
	Service: "iam",
	Name:    "accesses",
	ID:      func(a *access) store.ID { return store.ID{a.Identity, a.Service} },
})

// actionAccess is [access] of one action.
type actionAccess struct {
	Identity, Action string
	Used             use
}

var actionAccessTable = store.NewTable(store.Spec[actionAccess]{
	Service: "iam",
	Name:    "action-accesses",
	ID:      func(a *actionAccess) store.ID { return store.ID{a.Identity, a.Action} },
})

// usesPerTransaction keeps a write of uses far below a transaction's limits.
const usesPerTransaction = 500

// writeUses makes the uses in memory durable.
func (s *Service) writeUses(ctx context.Context) error {
	taken := s.uses.take()
	var writes []func(store.Tx) error
	for id, used := range taken.keys {
		writes = append(writes, func(tx store.Tx) error {
			rows := accessKeyTable.In(tx, store.Scope{})
			key, err := rows.Find(id)
			if err != nil || key == nil {
				return err
			}
			key.Used = later(key.Used, used)
			return rows.Put(key)
		})
	}
	for id, used := range taken.roles {
		writes = append(writes, func(tx store.Tx) error {
			rows := roleRows(tx, taken.accounts[id])
			r, err := rows.Index("id").Find(id)
			if err != nil || r == nil {
				return err
			}
			r.LastUsed = later(r.LastUsed, used)
			return rows.Put(r)
		})
	}
	for id, used := range taken.services {
		writes = append(writes, func(tx store.Tx) error {
			return accessTable.In(tx, store.Scope{Account: taken.accounts[id.identity]}).Put(&access{id.identity, id.service, used})
		})
	}
	for id, used := range taken.actions {
		writes = append(writes, func(tx store.Tx) error {
			return actionAccessTable.In(tx, store.Scope{Account: taken.accounts[id.identity]}).Put(&actionAccess{id.identity, id.action, used})
		})
	}
	for len(writes) > 0 {
		n := min(len(writes), usesPerTransaction)
		err := s.config.DB.Update(ctx, func(tx store.Tx) error {
			for _, write := range writes[:n] {
				if err := write(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.uses.putBack(taken)
			return err
		}
		writes = writes[n:]
	}
	return nil
}
