package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

// dedicatedHost is a Dedicated Host: a record, as all instances share one machine here. What it has room for is that of the
// largest type of its family, and is kept; where an instance is, and that it comes back there, is written down.
//
//	AllocateHosts -> available --(ReleaseHosts, once no instance runs on it)--> released --(an hour)--> gone
type dedicatedHost struct {
	resource
	Zone, ZoneID string
	// Family is what the host has instances of; Type is set where it takes one type alone.
	Family        string
	Type          types.InstanceType `json:",omitempty"`
	AutoPlacement types.AutoPlacement
	Recovery      types.HostRecovery
	Maintenance   types.HostMaintenance
	Token         string `json:",omitempty"`
	Allocated     time.Time
	Released      time.Time `json:",omitzero"`
}

func hostBase(h *dedicatedHost) *resource { return &h.resource }

func (h *dedicatedHost) state() types.AllocationState {
	if !h.Released.IsZero() {
		return types.AllocationStateReleased
	}
	return types.AllocationStateAvailable
}

var dedicatedHosts = &kind[dedicatedHost]{
	prefix: "h-", typ: types.ResourceTypeDedicatedHost, base: hostBase, notFound: errHostNotFound, malformed: errHostMalformed,
	table: tableOf("dedicated-hosts", hostBase, nil),
	pages: pageBounds{5, 500},
	filters: filters[dedicatedHost]{
		"auto-placement":      func(_ tx, h *dedicatedHost) []string { return one(string(h.AutoPlacement)) },
		"availability-zone":   func(_ tx, h *dedicatedHost) []string { return one(h.Zone) },
		"client-token":        func(_ tx, h *dedicatedHost) []string { return one(h.Token) },
		"host-reservation-id": func(tx, *dedicatedHost) []string { return nil },
		"instance-type":       func(_ tx, h *dedicatedHost) []string { return one(string(h.Type)) },
		"state":               func(_ tx, h *dedicatedHost) []string { return one(string(h.state())) },
	},
}

// familyOf is what stands before the dot of a type's name.
func familyOf(typ string) string {
	family, _, _ := strings.Cut(typ, ".")
	return family
}

// largestOf answers the type of a family with the most CPUs, nil where no type of it runs on Dedicated Hosts.
func largestOf(family string) (largest *types.InstanceTypeInfo) {
	catalog := instanceTypes()
	for _, name := range catalog.names {
		if familyOf(name) != family {
			continue
		}
		info, _ := catalog.findCached(name)
		if info == nil || !aws.ToBool(info.DedicatedHostsSupported) {
			continue
		}
		if largest == nil || *info.VCpuInfo.DefaultVCpus > *largest.VCpuInfo.DefaultVCpus {
			largest = info
		}
	}
	return largest
}

// maxHosts is how many hosts one call allocates here at most.
const maxHosts = 100

// AllocateHosts writes down Dedicated Hosts.
func (s *Service) AllocateHosts(ctx context.Context, in *ec2.AllocateHostsInput) (*ec2.AllocateHostsOutput, error) {
	if err := unsupported("AllocateHosts", "AssetIds", in.AssetIds, "OutpostArn", in.OutpostArn); err != nil {
		return nil, err
	}
	typ, family := aws.ToString(in.InstanceType), aws.ToString(in.InstanceFamily)
	switch {
	case typ == "" && family == "":
		return nil, errMissingParameter("instanceType")
	case typ != "" && family != "":
		return nil, errInvalidParameterCombination("You cannot specify both InstanceType and InstanceFamily in the same request.")
	case typ != "":
		info, ok := instanceTypes().find(typ)
		if !ok || !aws.ToBool(info.DedicatedHostsSupported) {
			return nil, errHostConfiguration()
		}
		family = familyOf(typ)
	case largestOf(family) == nil:
		return nil, errHostConfiguration()
	}
	count := aws.ToInt32(in.Quantity)
	if in.Quantity == nil {
		count = 1
	}
	if count < 1 || count > maxHosts {
		return nil, errInvalidParameterValue("Value (%d) for parameter quantity is invalid.", count)
	}
	where := aws.ToString(in.AvailabilityZone)
	if where == "" {
		where = aws.ToString(in.AvailabilityZoneId)
	}
	if where == "" {
		return nil, errMissingParameter("availabilityZone")
	}
	made := &dedicatedHost{Family: family, Type: types.InstanceType(typ), AutoPlacement: types.AutoPlacementOn, Recovery: types.HostRecoveryOff, Maintenance: types.HostMaintenanceOn, Token: aws.ToString(in.ClientToken)}
	if err := made.set(in.AutoPlacement, in.HostRecovery, in.HostMaintenance); err != nil {
		return nil, err
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeDedicatedHost)
	if err != nil {
		return nil, err
	}
	out := &ec2.AllocateHostsOutput{}
	return out, s.update(ctx, func(t tx) error {
		at, err := findZone(t.scope.Region, where)
		if err != nil {
			return err
		}
		if typ != "" && !instanceTypes().offeredIn(typ, at.name) {
			return errHostConfiguration()
		}
		ids, err := once(t, "AllocateHosts", in.ClientToken, in, func() (string, error) {
			var ids []string
			for range count {
				h := *made
				h.resource = resource{ID: t.NewID("h-"), Tags: tags}
				h.Zone, h.ZoneID, h.Allocated = at.name, at.id, t.Now().UTC().Truncate(time.Second)
				if err := dedicatedHosts.insert(t, &h); err != nil {
					return "", err
				}
				ids = append(ids, h.ID)
			}
			return strings.Join(ids, " "), nil
		})
		out.HostIds = strings.Fields(ids)
		return err
	})
}

// set takes over what is given.
func (h *dedicatedHost) set(placement types.AutoPlacement, recovery types.HostRecovery, maintenance types.HostMaintenance) error {
	for _, one := range []struct{ name, value string }{
		{"autoPlacement", string(placement)}, {"hostRecovery", string(recovery)}, {"hostMaintenance", string(maintenance)},
	} {
		if one.value != "" && one.value != "on" && one.value != "off" {
			return errInvalidParameterValue("Value (%s) for parameter %s is invalid. Valid values are 'on' and 'off'.", one.value, one.name)
		}
	}
	if placement != "" {
		h.AutoPlacement = placement
	}
	if recovery != "" {
		h.Recovery = recovery
	}
	if maintenance != "" {
		h.Maintenance = maintenance
	}
	return nil
}

// ModifyHosts changes hosts, each for itself.
func (s *Service) ModifyHosts(ctx context.Context, in *ec2.ModifyHostsInput) (*ec2.ModifyHostsOutput, error) {
	typ, family := aws.ToString(in.InstanceType), aws.ToString(in.InstanceFamily)
	if typ != "" && family != "" {
		return nil, errInvalidParameterCombination("You cannot specify both InstanceType and InstanceFamily in the same request.")
	}
	out := &ec2.ModifyHostsOutput{}
	return out, s.update(ctx, func(t tx) error {
		out.Successful, out.Unsuccessful = []string{}, []types.UnsuccessfulItem{}
		return eachHost(t, in.HostIds, &out.Successful, &out.Unsuccessful, func(h *dedicatedHost) error {
			if err := h.set(in.AutoPlacement, in.HostRecovery, in.HostMaintenance); err != nil {
				return err
			}
			if typ == "" && family == "" {
				return nil
			}
			if family = aws.ToString(in.InstanceFamily); typ != "" {
				family = familyOf(typ)
			}
			there, err := instancesOn(t, h.ID)
			if err != nil {
				return err
			}
			// AWS: "ModifyHosts", InstanceType: within the host's family; a single type only while no other is on it.
			other := slices.ContainsFunc(there, func(i *instance) bool { return typ != "" && string(i.Type) != typ })
			if family != h.Family || other {
				return errHostConfiguration()
			}
			if info, ok := instanceTypes().find(typ); typ != "" && (!ok || !aws.ToBool(info.DedicatedHostsSupported)) {
				return errHostConfiguration()
			}
			h.Type = types.InstanceType(typ)
			return nil
		})
	})
}

// ReleaseHosts gives hosts back on which no instance runs. They are shown for an hour.
func (s *Service) ReleaseHosts(ctx context.Context, in *ec2.ReleaseHostsInput) (*ec2.ReleaseHostsOutput, error) {
	out := &ec2.ReleaseHostsOutput{}
	return out, s.update(ctx, func(t tx) error {
		out.Successful, out.Unsuccessful = []string{}, []types.UnsuccessfulItem{}
		return eachHost(t, in.HostIds, &out.Successful, &out.Unsuccessful, func(h *dedicatedHost) error {
			there, err := instancesOn(t, h.ID)
			if err != nil {
				return err
			}
			if len(there) > 0 {
				return errHostOccupied(h.ID)
			}
			h.Released = t.Now().UTC().Truncate(time.Second)
			return wantGone(t, h.ID)
		})
	})
}

// eachHost changes hosts that were not released, and sorts them by what came of it.
func eachHost(t tx, ids []string, done *[]string, failed *[]types.UnsuccessfulItem, change func(*dedicatedHost) error) error {
	if len(ids) == 0 {
		return errMissingParameter("hostId")
	}
	for _, id := range ids {
		h, err := dedicatedHosts.get(t, id)
		if err == nil && !h.Released.IsZero() {
			err = errHostState(id)
		}
		if err == nil {
			err = change(h)
		}
		if err == nil {
			*done = append(*done, id)
			if err := dedicatedHosts.put(t, h); err != nil {
				return err
			}
			continue
		}
		said, ok := unsuccessful(id, err)
		if !ok {
			return err
		}
		*failed = append(*failed, said)
	}
	return nil
}

// instancesOn are the instances that take room on a host: stopped ones do not.
func instancesOn(t tx, id string) ([]*instance, error) {
	list, err := shared(instances.in(t).Index("host").Shared(store.Query{Parts: []string{id}}))
	return slices.DeleteFunc(list, func(i *instance) bool { return i.State == stateTerminated || i.State == stateStopped }), err
}

// room answers how many more instances of a type fit on a host beside those that are there.
func (h *dedicatedHost) room(there []*instance, typ *types.InstanceTypeInfo) int32 {
	largest := largestOf(h.Family)
	if largest == nil || familyOf(string(typ.InstanceType)) != h.Family || h.Type != "" && h.Type != typ.InstanceType {
		return 0
	}
	left := *largest.VCpuInfo.DefaultVCpus
	for _, i := range there {
		if info, ok := instanceTypes().findCached(string(i.Type)); ok {
			left -= *info.VCpuInfo.DefaultVCpus
		}
	}
	return max(0, left / *typ.VCpuInfo.DefaultVCpus)
}

// placeOnHost finds the Dedicated Host of an instance with the tenancy "host", whose zone is known; the caller writes it.
// AWS: "Amazon EC2 Dedicated Host auto-placement and host affinity".
func placeOnHost(t tx, i *instance, wanted string) error {
	typ, ok := instanceTypes().find(string(i.Type))
	if !ok {
		return errHostConfiguration()
	}
	if wanted != "" {
		h, err := dedicatedHosts.get(t, wanted)
		if err != nil {
			return err
		}
		there, err := instancesOn(t, h.ID)
		switch {
		case err != nil:
			return err
		case !h.Released.IsZero():
			return errHostState(h.ID)
		case h.Zone != i.Zone:
			return errInvalidParameterValue("The Availability Zone '%s' of the Dedicated Host does not match the Availability Zone '%s' of the instance.", h.Zone, i.Zone)
		case familyOf(string(i.Type)) != h.Family || h.Type != "" && h.Type != i.Type:
			return errTypeOnHost(string(i.Type), h.ID)
		case h.room(there, typ) < 1:
			return errHostFull()
		}
		i.Host = h.ID
		return nil
	}
	all, err := shared(dedicatedHosts.in(t).Shared(store.Query{}))
	if err != nil {
		return err
	}
	for _, h := range all {
		if !h.Released.IsZero() || h.AutoPlacement != types.AutoPlacementOn || h.Zone != i.Zone {
			continue
		}
		there, err := instancesOn(t, h.ID)
		if err != nil {
			return err
		}
		if h.room(there, typ) > 0 {
			i.Host = h.ID
			return nil
		}
	}
	return errHostFull()
}

// DescribeHosts lists hosts.
func (s *Service) DescribeHosts(ctx context.Context, in *ec2.DescribeHostsInput) (*ec2.DescribeHostsOutput, error) {
	q := query{in.HostIds, "hostIds", in.Filter, in.MaxResults, in.NextToken}
	list, next, err := describe(ctx, s, dedicatedHosts, q, s.hostToAPI)
	return &ec2.DescribeHostsOutput{Hosts: list, NextToken: next}, err
}

func (s *Service) hostToAPI(t tx, h *dedicatedHost) (types.Host, error) {
	out := types.Host{
		HostId: aws.String(h.ID), State: h.state(), AvailabilityZone: aws.String(h.Zone), AvailabilityZoneId: aws.String(h.ZoneID), AutoPlacement: h.AutoPlacement,
		HostRecovery: h.Recovery, HostMaintenance: h.Maintenance, ClientToken: optional(h.Token), AllocationTime: aws.Time(h.Allocated), OwnerId: aws.String(t.scope.Account),
		AllowsMultipleInstanceTypes: types.AllowsMultipleInstanceTypes(named(h.Type == "", "on", "off")[0]), Instances: []types.HostInstance{},
		MemberOfServiceLinkedResourceGroup: aws.Bool(false), Tags: tagsToAPI(s.onEngine(), h.Tags),
		HostProperties: &types.HostProperties{InstanceType: optional(string(h.Type))},
	}
	if h.Type == "" { // one of a single type has no family: whoever describes both as code would see a difference
		out.HostProperties.InstanceFamily = aws.String(h.Family)
	}
	if !h.Released.IsZero() {
		out.ReleaseTime = aws.Time(h.Released)
		return out, nil
	}
	there, err := instancesOn(t, h.ID)
	if err != nil {
		return out, err
	}
	largest := largestOf(h.Family)
	if largest == nil {
		return out, fmt.Errorf("the family %s of the host %s is not known", h.Family, h.ID)
	}
	left := *largest.VCpuInfo.DefaultVCpus
	out.HostProperties.TotalVCpus, out.HostProperties.Cores = aws.Int32(left), largest.VCpuInfo.DefaultCores
	for _, i := range there {
		if info, ok := instanceTypes().findCached(string(i.Type)); ok {
			left -= *info.VCpuInfo.DefaultVCpus
		}
		out.Instances = append(out.Instances, types.HostInstance{InstanceId: aws.String(i.ID), InstanceType: aws.String(string(i.Type)), OwnerId: aws.String(t.scope.Account)})
	}
	out.AvailableCapacity = &types.AvailableCapacity{AvailableVCpus: aws.Int32(left), AvailableInstanceCapacity: []types.InstanceCapacity{}}
	for _, name := range instanceTypes().names {
		info, _ := instanceTypes().findCached(name)
		if info == nil || familyOf(name) != h.Family || !aws.ToBool(info.DedicatedHostsSupported) || h.Type != "" && string(h.Type) != name {
			continue
		}
		each := *info.VCpuInfo.DefaultVCpus
		out.AvailableCapacity.AvailableInstanceCapacity = append(out.AvailableCapacity.AvailableInstanceCapacity, types.InstanceCapacity{
			InstanceType: aws.String(name), AvailableCapacity: aws.Int32(max(0, left/each)), TotalCapacity: aws.Int32(*largest.VCpuInfo.DefaultVCpus / each),
		})
	}
	return out, nil
}
