package ec2

import (
	"context"
	"fmt"
	"strings"
	"time"

	"miniaws/backend"
	"miniaws/backend/store"
)

// Look answers what stands behind a resource of a VPC, or behind an instance's interfaces and disk. It finds the account
// and region by itself.
func (s *Service) Look(ctx context.Context, id string) ([]backend.Fact, error) {
	if !s.knows(id) {
		return nil, nil
	}
	records, err := store.Records(ctx, s.config.DB, id)
	if err != nil {
		return nil, err
	}
	var all []behind
	for _, record := range records {
		scope, own := ownScope(record.Place)
		if !own {
			continue
		}
		err := s.config.DB.View(ctx, func(t store.Tx) (err error) {
			all, err = s.behind(s.tx(t, scope), id)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var facts []backend.Fact
	for _, b := range all {
		if b.said.Name != "" {
			facts = append(facts, b.said)
		}
		facts = append(facts, s.lookVPC(ctx, b.vpc, b.id)...)
		facts = append(facts, s.lookDisk(ctx, b.disk)...)
	}
	return facts, nil
}

// behind is one thing behind a resource that somebody else can be asked about: a part of a VPC, or an instance's disk.
type behind struct {
	said    backend.Fact
	vpc, id string
	disk    *volume
}

// knows tells whether an id is of one of this service's kinds, so that any other is not searched for.
func (s *Service) knows(id string) bool {
	for _, k := range s.kinds {
		if strings.HasPrefix(id, k.idPrefix()) {
			return true
		}
	}
	return false
}

// ownScope is the account and region in a record's place, if the record is one of this service's.
func ownScope(place string) (store.Scope, bool) {
	parts := strings.SplitN(place, "/", 7) // /fork/account/region/service/table/id
	if len(parts) < 7 || parts[4] != "ec2" {
		return store.Scope{}, false
	}
	return store.Scope{Account: parts[2], Region: parts[3]}, parts[2] != "_" && parts[3] != "_"
}

func (s *Service) behind(t tx, id string) ([]behind, error) {
	if v, err := volumes.find(t, id); v != nil || err != nil {
		return []behind{{disk: v}}, err
	}
	i, err := instances.find(t, id)
	if err != nil {
		return nil, err
	}
	switch {
	case i != nil:
	case strings.HasPrefix(id, peerings.prefix):
		return behindPeering(t, id)
	case strings.HasPrefix(id, transitGateways.prefix):
		return behindTransit(t, id)
	default:
		for _, k := range s.kinds {
			if strings.HasPrefix(id, k.idPrefix()) {
				return []behind{{vpc: k.vpcOf(t, id), id: id}}, nil
			}
		}
		return nil, nil
	}
	all := []behind{{said: backend.Fact{Name: "disk", Value: fmt.Sprintf("%s, %d GiB promised: its bytes are the container's own layer", i.RootVolume.ID, i.RootVolume.GiB)}}}
	for _, r := range i.Reports {
		all = append(all, behind{said: backend.Fact{Name: "reported", Value: fmt.Sprintf("%s: %s, %v %s", r.At.UTC().Format(time.RFC3339), r.Status, r.Reasons, r.Description)}})
	}
	list, err := interfaces.by(t, "instance", i.ID)
	for _, e := range list {
		all = append(all, behind{said: backend.Fact{Name: "interface", Value: e.ID + " " + e.MAC}, vpc: e.VPC, id: e.ID})
	}
	return all, err
}

// behindPeering is the connection's device, in both VPCs.
func behindPeering(t tx, id string) ([]behind, error) {
	p, err := peerings.find(t, id)
	if p == nil || err != nil {
		return nil, err
	}
	var all []behind
	for _, side := range []peeringSide{p.Requester, p.Accepter} {
		all = append(all, behind{said: backend.Fact{Name: "side", Value: side.VPC}, vpc: side.VPC, id: id})
	}
	return all, nil
}

// behindTransit is a transit gateway's own namespace, for an attachment the VPC's too.
func behindTransit(t tx, id string) ([]behind, error) {
	if a, err := transitAttachments.find(t, id); a != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return []behind{{vpc: a.VPC, id: id}, {said: backend.Fact{Name: "gateway", Value: a.Gateway}, vpc: a.Gateway, id: a.table()}}, nil
	}
	if r, err := transitTables.find(t, id); r != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return []behind{{vpc: r.Gateway, id: id}}, nil
	}
	return []behind{{vpc: id, id: id}}, nil
}

// lookVPC asks the network what it holds.
func (s *Service) lookVPC(ctx context.Context, vpc, id string) []backend.Fact {
	looker, ok := s.config.Network.(backend.NetworkLooker)
	if vpc == "" || !ok {
		return nil
	}
	facts, err := looker.LookVPC(ctx, vpc, id)
	if backend.KindOf(err) == backend.KindNotFound {
		return []backend.Fact{{Name: "network", Value: "the node agent has no network for " + vpc}}
	}
	if err != nil {
		return append(facts, backend.Fact{Name: "network", Value: err.Error()})
	}
	return facts
}

// lookDisk tells where the bytes of an instance's root volume are.
func (s *Service) lookDisk(ctx context.Context, v *volume) []backend.Fact {
	if v == nil {
		return nil
	}
	facts := []backend.Fact{{Name: "bytes", Value: "the layer of " + v.Instance + "'s container"}}
	looker, ok := s.config.Engine.(backend.Looker)
	if !ok {
		return facts
	}
	found, err := looker.Look(ctx, v.Instance)
	if err != nil {
		return append(facts, backend.Fact{Name: "root", Value: err.Error()})
	}
	for _, f := range found {
		if f.Name == "root" {
			facts = append(facts, f)
		}
	}
	return facts
}
