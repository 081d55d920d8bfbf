package ec2

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// capacityOptions say in which Capacity Reservation an instance may run: a preference, and with "capacity-reservations-only" or
// without one also a target. The zero value is open to all that match.
type capacityOptions struct {
	Preference types.CapacityReservationPreference `json:",omitempty"`
	Target     string                              `json:",omitempty"`
}

// targetOf is the reservation that a specification names, as a list of one or none.
func targetOf(in *types.CapacityReservationSpecification) []string {
	if in == nil || in.CapacityReservationTarget == nil {
		return nil
	}
	return strs(in.CapacityReservationTarget.CapacityReservationId)
}

// capacityOptionsOf checks a specification. AWS: "CapacityReservationSpecification".
func capacityOptionsOf(in *types.CapacityReservationSpecification) (capacityOptions, error) {
	if in == nil {
		return capacityOptions{}, nil
	}
	o := capacityOptions{Preference: in.CapacityReservationPreference}
	target := in.CapacityReservationTarget
	switch {
	case target == nil:
		return o, nil
	case target.CapacityReservationResourceGroupArn != nil:
		return o, errNotImplemented("CapacityReservationResourceGroupArn of CapacityReservationTarget")
	case aws.ToString(target.CapacityReservationId) == "":
		return o, errMissingParameter("CapacityReservationTarget.CapacityReservationId")
	case o.Preference != "" && o.Preference != types.CapacityReservationPreferenceCapacityReservationsOnly:
		return o, errInvalidParameterCombination("You can only specify CapacityReservationPreference and CapacityReservationTarget if the CapacityReservationPreference is capacity-reservations-only.")
	}
	o.Target = *target.CapacityReservationId
	return o, nil
}

// open tells whether the instance moves into a reservation by itself.
func (o capacityOptions) open() bool {
	return o.Target == "" && (o.Preference == "" || o.Preference == types.CapacityReservationPreferenceOpen)
}

// forSpot refuses options that let an instance run in a reservation alone.
// AWS: "Reserve compute capacity with EC2 On-Demand Capacity Reservations": not for Spot Instances.
func (o capacityOptions) forSpot() error {
	if o.Target != "" || o.Preference == types.CapacityReservationPreferenceCapacityReservationsOnly {
		return errInvalidParameterCombination("Spot Instances can't run in a Capacity Reservation.")
	}
	return nil
}

func (o capacityOptions) toAPI() *types.CapacityReservationSpecificationResponse {
	out := &types.CapacityReservationSpecificationResponse{CapacityReservationPreference: o.Preference}
	if o.Target != "" {
		out.CapacityReservationTarget = &types.CapacityReservationTargetResponse{CapacityReservationId: aws.String(o.Target)}
	} else {
		out.CapacityReservationPreference = cmp.Or(o.Preference, types.CapacityReservationPreferenceOpen)
	}
	return out
}

// takes tells whether the reservation is for instances like this one.
// AWS: "Launch instances into an existing Capacity Reservation": type, platform, zone and tenancy.
func (r *capacityReservation) takes(i *instance) bool {
	return r.Type == i.Type && r.Zone == i.Zone && string(r.Tenancy) == i.Tenancy && i.Lifecycle == ""
}

// reserve finds the Capacity Reservation of an instance that comes up, whose type, zone, tenancy and market are known; the
// caller writes it.
func reserve(t tx, i *instance) error {
	i.Capacity = ""
	if i.CapacityOptions.Target != "" {
		r, err := capacityReservations.get(t, i.CapacityOptions.Target)
		if err != nil {
			return err
		}
		if !r.takes(i) {
			return errReservationFull()
		}
		return r.enter(t, i)
	}
	if i.CapacityOptions.Preference == types.CapacityReservationPreferenceNone {
		return nil
	}
	all, err := capacityReservations.seen(t, "type", string(i.Type))
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *capacityReservation) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	for _, r := range all {
		if r.Match != types.InstanceMatchCriteriaOpen || !r.takes(i) {
			continue
		}
		if err := r.enter(t, i); err == nil || !noRoom(err) {
			return err
		}
	}
	if !i.CapacityOptions.open() {
		return errReservationFull()
	}
	return nil
}

// noRoom tells whether an error is one of a reservation without room, so that another one may do.
func noRoom(err error) bool {
	var known *awsapi.Error
	return errors.As(err, &known) && known.Code == reservationFull
}

// enter gives the instance room in the reservation.
func (r *capacityReservation) enter(t tx, i *instance) error {
	used, err := r.used(t)
	switch {
	case err != nil:
		return err
	case !r.active(t.Now()) || used >= r.Total:
		return errReservationFull()
	}
	i.Capacity = r.ID
	return nil
}

// adopt lets instances into an open reservation that match it and run outside of any.
// AWS: "On-Demand Capacity Reservations": running instances that match run in it.
func (r *capacityReservation) adopt(t tx) error {
	if r.Match != types.InstanceMatchCriteriaOpen {
		return nil
	}
	all, err := shared(instances.in(t).Shared(store.Query{}))
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *instance) int { return a.Launched.Compare(b.Launched) })
	for _, i := range all {
		if i.State != statePending && i.State != stateRunning || !i.CapacityOptions.open() || !r.takes(i) {
			continue
		}
		if held, err := reservationOf(t, i); held != "" || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		err := instances.edit(t, i.ID, func(i *instance) error { return r.enter(t, i) })
		if noRoom(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reservationOf is the active reservation that an instance is in, "" for none.
func reservationOf(t tx, i *instance) (string, error) {
	if i.Capacity == "" || i.State == stateStopped || i.State == stateTerminated {
		return "", nil
	}
	r, err := capacityReservations.see(t, i.Capacity)
	if err != nil || r == nil || !r.active(t.Now()) {
		return "", err
	}
	return r.ID, nil
}

// ModifyInstanceCapacityReservationAttributes changes where a stopped instance runs when it comes up again.
func (s *Service) ModifyInstanceCapacityReservationAttributes(ctx context.Context, in *ec2.ModifyInstanceCapacityReservationAttributesInput) (*ec2.ModifyInstanceCapacityReservationAttributesOutput, error) {
	options, err := capacityOptionsOf(in.CapacityReservationSpecification)
	if err != nil {
		return nil, err
	}
	return &ec2.ModifyInstanceCapacityReservationAttributesOutput{Return: aws.Bool(true)}, s.editStopped(ctx, *in.InstanceId, func(t tx, i *instance) error {
		if options.Target != "" {
			if _, err := capacityReservations.get(t, options.Target); err != nil {
				return err
			}
		}
		if options == (capacityOptions{}) {
			return errMissingParameter("CapacityReservationSpecification")
		}
		if i.Lifecycle != "" {
			if err := options.forSpot(); err != nil {
				return err
			}
		}
		i.CapacityOptions = options
		return nil
	})
}
