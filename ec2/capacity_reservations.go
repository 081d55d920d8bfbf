package ec2

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// capacityReservation holds room for a number of instances of a type in a zone. All instances share one machine here, on which
// nobody else takes the room away: what is kept is who may have it, and that it is not given out twice.
//
//	CreateCapacityReservation -> active --(CancelCapacityReservation)--> cancelled --(an hour)--> gone
//	                                    --(its end)--------------------> expired ----(an hour)--> gone
type capacityReservation struct {
	resource
	Type         types.InstanceType
	Zone, ZoneID string
	Tenancy      types.CapacityReservationTenancy
	Total        int32
	Match        types.InstanceMatchCriteria
	EBSOptimized bool      `json:",omitempty"`
	Ephemeral    bool      `json:",omitempty"`
	Created      time.Time // whole milliseconds
	Ends         time.Time `json:",omitzero"` // the zero time is never
	Cancelled    time.Time `json:",omitzero"`
}

func reservationBase(r *capacityReservation) *resource { return &r.resource }

func (r *capacityReservation) state(now time.Time) types.CapacityReservationState {
	switch {
	case !r.Cancelled.IsZero():
		return types.CapacityReservationStateCancelled
	case !r.Ends.IsZero() && !now.Before(r.Ends):
		return types.CapacityReservationStateExpired
	}
	return types.CapacityReservationStateActive
}

func (r *capacityReservation) active(now time.Time) bool {
	return r.state(now) == types.CapacityReservationStateActive
}

func (r *capacityReservation) endType() types.EndDateType {
	if r.Ends.IsZero() {
		return types.EndDateTypeUnlimited
	}
	return types.EndDateTypeLimited
}

var capacityReservations = &kind[capacityReservation]{
	prefix: "cr-", typ: types.ResourceTypeCapacityReservation, base: reservationBase, notFound: errReservationNotFound, malformed: errReservationMalformed,
	table: tableOf("capacity-reservations", reservationBase, map[string]func(*capacityReservation) []string{
		"type": func(r *capacityReservation) []string { return one(string(r.Type)) },
	}),
	narrow: map[string]string{"instance-type": "type"},
	pages:  pageBounds{1, 1000},
	filters: filters[capacityReservation]{
		"availability-zone":       func(_ tx, r *capacityReservation) []string { return one(r.Zone) },
		"end-date":                func(_ tx, r *capacityReservation) []string { return one(filterTime(r.Ends)) },
		"end-date-type":           func(_ tx, r *capacityReservation) []string { return one(string(r.endType())) },
		"instance-match-criteria": func(_ tx, r *capacityReservation) []string { return one(string(r.Match)) },
		"instance-platform":       func(tx, *capacityReservation) []string { return one(platformLinux) },
		"instance-type":           func(_ tx, r *capacityReservation) []string { return one(string(r.Type)) },
		"outpost-arn":             func(tx, *capacityReservation) []string { return nil },
		"owner-id":                func(t tx, _ *capacityReservation) []string { return one(t.scope.Account) },
		"placement-group-arn":     func(tx, *capacityReservation) []string { return nil },
		"start-date":              func(_ tx, r *capacityReservation) []string { return one(filterTime(r.Created)) },
		"state":                   func(t tx, r *capacityReservation) []string { return one(string(r.state(t.Now()))) },
		"tenancy":                 func(_ tx, r *capacityReservation) []string { return one(string(r.Tenancy)) },
	},
}

// platformLinux is what all instances here run, as it is named in prices.
const platformLinux = string(types.CapacityReservationInstancePlatformLinuxUnix)

// maxReserved is how many instances a reservation is made for at most, and by how many a change makes it larger or smaller.
// AWS: "CreateCapacityReservation" and "ModifyCapacityReservation", InstanceCount.
const maxReserved = 1000

func (s *Service) registerCapacityReservations(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateCapacityReservation, makes(s, "CreateCapacityReservation", types.ResourceTypeCapacityReservation, func(*ec2.CreateCapacityReservationInput) []string { return nil })),
		awsapi.Op(s.DescribeCapacityReservations, inRegion[ec2.DescribeCapacityReservationsInput]("DescribeCapacityReservations")),
		awsapi.Op(s.ModifyCapacityReservation, on(s, "ModifyCapacityReservation", func(in *ec2.ModifyCapacityReservationInput) []string { return strs(in.CapacityReservationId) })),
		awsapi.Op(s.CancelCapacityReservation, on(s, "CancelCapacityReservation", func(in *ec2.CancelCapacityReservationInput) []string { return strs(in.CapacityReservationId) })),
		awsapi.Op(s.GetCapacityReservationUsage, on(s, "GetCapacityReservationUsage", func(in *ec2.GetCapacityReservationUsageInput) []string { return strs(in.CapacityReservationId) })),
		awsapi.Op(s.GetGroupsForCapacityReservation, on(s, "GetGroupsForCapacityReservation", func(in *ec2.GetGroupsForCapacityReservationInput) []string { return strs(in.CapacityReservationId) })),
		awsapi.Op(s.ModifyInstanceCapacityReservationAttributes, on(s, "ModifyInstanceCapacityReservationAttributes", func(in *ec2.ModifyInstanceCapacityReservationAttributesInput) []string {
			return append(strs(in.InstanceId), targetOf(in.CapacityReservationSpecification)...)
		})),
	)
}

// CreateCapacityReservation reserves room from now on. Instances that run already, match, and are open to it move into it.
func (s *Service) CreateCapacityReservation(ctx context.Context, in *ec2.CreateCapacityReservationInput) (*ec2.CreateCapacityReservationOutput, error) {
	if err := unsupported("CreateCapacityReservation", "StartDate", in.StartDate, "CommitmentDuration", in.CommitmentDuration, "DeliveryPreference", in.DeliveryPreference,
		"OutpostArn", in.OutpostArn, "PlacementGroupArn", in.PlacementGroupArn); err != nil {
		return nil, err
	}
	made := &capacityReservation{
		Type: types.InstanceType(*in.InstanceType), Tenancy: cmp.Or(in.Tenancy, types.CapacityReservationTenancyDefault), Total: *in.InstanceCount,
		Match: cmp.Or(in.InstanceMatchCriteria, types.InstanceMatchCriteriaOpen), EBSOptimized: aws.ToBool(in.EbsOptimized), Ephemeral: aws.ToBool(in.EphemeralStorage),
	}
	if _, known := instanceTypes().findCached(*in.InstanceType); !known {
		return nil, errInvalidParameterValue("Invalid value '%s' for InstanceType.", *in.InstanceType)
	}
	if in.InstancePlatform != types.CapacityReservationInstancePlatformLinuxUnix {
		return nil, errNotImplemented("A Capacity Reservation for another platform than Linux/UNIX")
	}
	if made.Total < 1 || made.Total > maxReserved {
		return nil, errInvalidParameterValue("%d is an invalid value for InstanceCount. InstanceCount must be between 1 and %d.", made.Total, maxReserved)
	}
	where := cmp.Or(aws.ToString(in.AvailabilityZone), aws.ToString(in.AvailabilityZoneId))
	switch {
	case where == "":
		return nil, errMissingParameter("AvailabilityZone")
	case in.AvailabilityZone != nil && in.AvailabilityZoneId != nil:
		return nil, errInvalidParameterCombination("You cannot specify both AvailabilityZone and AvailabilityZoneId in the same request.")
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeCapacityReservation)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateCapacityReservationOutput{}
	return out, s.update(ctx, func(t tx) error {
		at, err := findZone(t.scope.Region, where)
		if err != nil {
			return err
		}
		if !instanceTypes().offeredIn(*in.InstanceType, at.name) {
			return errUnsupported("Your requested instance type (%s) is not supported in your requested Availability Zone (%s).", *in.InstanceType, at.name)
		}
		r, err := capacityReservations.makeOnce(t, "CreateCapacityReservation", in.ClientToken, in, func() (string, error) {
			r := *made
			r.resource = resource{ID: t.NewID("cr-"), Tags: tags}
			r.Zone, r.ZoneID, r.Created = at.name, at.id, t.Now().UTC().Truncate(time.Millisecond)
			if err := r.endAt(t, in.EndDateType, in.EndDate); err != nil {
				return "", err
			}
			if err := capacityReservations.insert(t, &r); err != nil {
				return "", err
			}
			return r.ID, r.adopt(t)
		})
		if err != nil {
			return err
		}
		shown, err := s.reservationToAPI(t, r)
		out.CapacityReservation = &shown
		return err
	})
}

// change takes over what is given of a reservation that as many instances use.
// AWS: "ModifyCapacityReservation", InstanceCount and InstanceMatchCriteria.
func (r *capacityReservation) change(used int32, count *int32, match types.InstanceMatchCriteria) error {
	if count != nil {
		switch wanted := *count; {
		case wanted < 1:
			return errInvalidParameterValue("%d is an invalid value for InstanceCount. InstanceCount must be at least 1.", wanted)
		case max(wanted-r.Total, r.Total-wanted) > maxReserved:
			return errInvalidParameterValue("%d is an invalid value for InstanceCount. InstanceCount can't be changed by more than %d.", wanted, maxReserved)
		case wanted < used:
			return errInvalidParameterValue("%d is an invalid value for InstanceCount. %d instances run in the Capacity Reservation.", wanted, used)
		}
		r.Total = *count
	}
	if match != "" && match != r.Match {
		if used > 0 {
			return errInvalidParameterValue("%s is an invalid value for InstanceMatchCriteria. %d instances run in the Capacity Reservation.", match, used)
		}
		r.Match = match
	}
	return nil
}

// endAt takes over when it ends. AWS: "CreateCapacityReservation", EndDate and EndDateType.
func (r *capacityReservation) endAt(t tx, typ types.EndDateType, at *time.Time) error {
	switch {
	case typ == types.EndDateTypeLimited && at == nil:
		return errInvalidParameterCombination("You must specify EndDate if EndDateType is limited.")
	case typ == types.EndDateTypeUnlimited && at != nil:
		return errInvalidParameterCombination("You can't specify EndDate if EndDateType is unlimited.")
	case typ == types.EndDateTypeUnlimited:
		r.Ends = time.Time{}
	case at != nil:
		if !at.After(t.Now()) {
			return errInvalidParameterValue("The EndDate must be in the future.")
		}
		r.Ends = at.UTC().Truncate(time.Second)
		return reconcile.WantAfter(t, t.item(goneKind, r.ID), r.Ends.Add(goneLifetime).Sub(t.Now()))
	}
	return nil
}

// forgetReservation removes one that ended, or answers how long it is still to be shown; 0 for one without an end.
func forgetReservation(t tx, r *capacityReservation) (time.Duration, error) {
	ended := cmp.Or(r.Cancelled, r.Ends)
	if ended.IsZero() {
		return 0, nil
	}
	if left := ended.Add(goneLifetime).Sub(t.Now()); left > 0 {
		return left, nil
	}
	return 0, capacityReservations.delete(t, r.ID)
}

// DescribeCapacityReservations lists reservations. Those that ended are shown for an hour.
func (s *Service) DescribeCapacityReservations(ctx context.Context, in *ec2.DescribeCapacityReservationsInput) (*ec2.DescribeCapacityReservationsOutput, error) {
	q := query{in.CapacityReservationIds, "capacityReservationIds", in.Filters, in.MaxResults, in.NextToken}
	list, next, err := describe(ctx, s, capacityReservations, q, s.reservationToAPI)
	return &ec2.DescribeCapacityReservationsOutput{CapacityReservations: list, NextToken: next}, err
}

func (s *Service) reservationToAPI(t tx, r *capacityReservation) (types.CapacityReservation, error) {
	out := types.CapacityReservation{
		CapacityReservationId: aws.String(r.ID), OwnerId: aws.String(t.scope.Account), CapacityReservationArn: aws.String(arn(t.scope, types.ResourceTypeCapacityReservation, r.ID)),
		AvailabilityZone: aws.String(r.Zone), AvailabilityZoneId: aws.String(r.ZoneID), InstanceType: aws.String(string(r.Type)), InstancePlatform: types.CapacityReservationInstancePlatformLinuxUnix,
		Tenancy: r.Tenancy, TotalInstanceCount: aws.Int32(r.Total), AvailableInstanceCount: aws.Int32(0), EbsOptimized: aws.Bool(r.EBSOptimized), EphemeralStorage: aws.Bool(r.Ephemeral),
		State: r.state(t.Now()), StartDate: aws.Time(r.Created), CreateDate: aws.Time(r.Created), EndDateType: r.endType(), InstanceMatchCriteria: r.Match,
		ReservationType: types.CapacityReservationTypeDefault, CapacityAllocations: []types.CapacityAllocation{}, Interruptible: aws.Bool(false), Tags: tagsToAPI(s.onEngine(), r.Tags),
	}
	if !r.Ends.IsZero() {
		out.EndDate = aws.Time(r.Ends)
	}
	used, err := r.used(t)
	if used > 0 {
		out.CapacityAllocations = append(out.CapacityAllocations, types.CapacityAllocation{AllocationType: types.AllocationTypeUsed, Count: aws.Int32(used)})
	}
	if r.active(t.Now()) {
		out.AvailableInstanceCount = aws.Int32(max(0, r.Total-used))
	}
	return out, err
}

// ModifyCapacityReservation changes how many instances a reservation is for, when it ends, and which instances it takes.
func (s *Service) ModifyCapacityReservation(ctx context.Context, in *ec2.ModifyCapacityReservationInput) (*ec2.ModifyCapacityReservationOutput, error) {
	return &ec2.ModifyCapacityReservationOutput{Return: aws.Bool(true)}, s.editReservation(ctx, *in.CapacityReservationId, func(t tx, r *capacityReservation) error {
		used, err := r.used(t)
		if err != nil {
			return err
		}
		if err := r.change(used, in.InstanceCount, in.InstanceMatchCriteria); err != nil {
			return err
		}
		if err := r.endAt(t, in.EndDateType, in.EndDate); err != nil {
			return err
		}
		if err := capacityReservations.put(t, r); err != nil {
			return err
		}
		return r.adopt(t)
	})
}

// CancelCapacityReservation gives the room back. Instances in it run on.
func (s *Service) CancelCapacityReservation(ctx context.Context, in *ec2.CancelCapacityReservationInput) (*ec2.CancelCapacityReservationOutput, error) {
	return &ec2.CancelCapacityReservationOutput{Return: aws.Bool(true)}, s.editReservation(ctx, *in.CapacityReservationId, func(t tx, r *capacityReservation) error {
		r.Cancelled = t.Now().UTC().Truncate(time.Millisecond)
		if err := wantGone(t, r.ID); err != nil {
			return err
		}
		return capacityReservations.put(t, r)
	})
}

// editReservation changes an active reservation; change writes it. AWS: "ModifyCapacityReservation": one that ended cannot be modified.
func (s *Service) editReservation(ctx context.Context, id string, change func(tx, *capacityReservation) error) error {
	return s.update(ctx, func(t tx) error {
		r, err := capacityReservations.get(t, id)
		if err != nil {
			return err
		}
		if state := r.state(t.Now()); state != types.CapacityReservationStateActive {
			return errIncorrectState("The Capacity Reservation '%s' is in the state '%s'.", r.ID, state)
		}
		return change(t, r)
	})
}

// GetCapacityReservationUsage tells how many instances are in a reservation; only those of its owner can be.
func (s *Service) GetCapacityReservationUsage(ctx context.Context, in *ec2.GetCapacityReservationUsageInput) (*ec2.GetCapacityReservationUsageOutput, error) {
	out := &ec2.GetCapacityReservationUsageOutput{}
	return out, s.view(ctx, func(t tx) error {
		r, err := capacityReservations.get(t, *in.CapacityReservationId)
		if err != nil {
			return err
		}
		shown, err := s.reservationToAPI(t, r)
		out.CapacityReservationId, out.InstanceType, out.State, out.Interruptible = shown.CapacityReservationId, shown.InstanceType, shown.State, shown.Interruptible
		out.TotalInstanceCount, out.AvailableInstanceCount = shown.TotalInstanceCount, shown.AvailableInstanceCount
		out.InstanceUsages = []types.InstanceUsage{}
		for _, a := range shown.CapacityAllocations {
			out.InstanceUsages = append(out.InstanceUsages, types.InstanceUsage{AccountId: aws.String(t.scope.Account), UsedInstanceCount: a.Count})
		}
		return err
	})
}

// GetGroupsForCapacityReservation answers none: groups of resources are another service's, which is not here.
func (s *Service) GetGroupsForCapacityReservation(ctx context.Context, in *ec2.GetGroupsForCapacityReservationInput) (*ec2.GetGroupsForCapacityReservationOutput, error) {
	out := &ec2.GetGroupsForCapacityReservationOutput{CapacityReservationGroups: []types.CapacityReservationGroup{}}
	return out, s.view(ctx, func(t tx) error {
		_, err := capacityReservations.get(t, *in.CapacityReservationId)
		return err
	})
}

// instancesIn are the instances that take room in a reservation: stopped ones do not.
func instancesIn(t tx, reservation string) ([]*instance, error) {
	list, err := shared(instances.in(t).Index("capacity").Shared(store.Query{Parts: []string{reservation}}))
	return slices.DeleteFunc(list, func(i *instance) bool { return i.State == stateTerminated || i.State == stateStopped }), err
}

// used is how many instances are in the reservation; none once it ended.
func (r *capacityReservation) used(t tx) (int32, error) {
	if !r.active(t.Now()) {
		return 0, nil
	}
	there, err := instancesIn(t, r.ID)
	return int32(len(there)), err //nolint:gosec // bounded by the reservation's size
}
