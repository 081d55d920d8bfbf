package ec2

import (
	"context"
	"maps"
	"time"

	"miniaws/backend/store"
)

// Managed is what Systems Manager needs to know of an instance.
type Managed struct {
	ID, Name, Address, Platform string
	// Type is an instance type, State EC2's word, Profile the ARN of the instance profile, "" for none.
	Type, State, Architecture, KeyName, Profile string
	Tags                                        map[string]string
	Launched                                    time.Time
	Running                                     bool
}

// HomeOf answers whose an instance is.
func (s *Service) HomeOf(ctx context.Context, id string) (account, region string, ok bool, err error) {
	h, err := s.homeOf(ctx, id)
	if h == nil || err != nil {
		return "", "", false, err
	}
	return h.Account, h.Region, true, nil
}

// platforms are the names of systems by the login user of their images.
var platforms = map[string]string{"admin": "Debian GNU/Linux", "ubuntu": "Ubuntu", "ec2-user": "Amazon Linux"}

// Managed answers the instances of an account in a region that did not end, in the order of their ids.
func (s *Service) Managed(ctx context.Context, account, region string) ([]Managed, error) {
	var all []Managed
	err := s.viewIn(ctx, store.Scope{Account: account, Region: region}, func(t tx) error {
		all = nil
		list, err := instances.all(t)
		for _, i := range list {
			if i.ended() {
				continue
			}
			all = append(all, i.managed(t))
		}
		return err
	})
	return all, err
}

// ManagedBy answers one of them by its id; ok is false for one that ended, or is not the account's in this region.
func (s *Service) ManagedBy(ctx context.Context, account, region, id string) (m Managed, ok bool, err error) {
	err = s.viewIn(ctx, store.Scope{Account: account, Region: region}, func(t tx) error {
		i, err := instances.see(t, id)
		if ok = i != nil && err == nil && !i.ended(); ok {
			m = i.managed(t)
		}
		return err
	})
	return m, ok, err
}

// ended tells whether there will be nothing of it any more.
func (i *instance) ended() bool { return i.State == stateTerminated || i.State == stateShuttingDown }

func (i *instance) managed(t tx) Managed {
	m := Managed{ID: i.ID, Address: i.PrivateIP, Platform: platforms[i.Login], Tags: maps.Clone(i.Tags), Launched: i.Launched, Running: i.State == stateRunning}
	m.Type, m.State, m.Architecture, m.KeyName = string(i.Type), string(i.State), i.Architecture, i.KeyName
	if i.Profile != nil {
		m.Profile = i.Profile.ARN
	}
	if i.PrivateIP != "" {
		m.Name = privateName(t, i.PrivateIP)
	}
	return m
}
