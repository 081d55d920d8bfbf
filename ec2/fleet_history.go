package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// fleetEvent is something that happened to a fleet: a row of its own, as a fleet's record has no room for many.
type fleetEvent struct {
	Fleet       string
	Number      int64
	At          time.Time
	Type        types.EventType
	Sub         string
	Instance    string `json:",omitempty"`
	Description string `json:",omitempty"`
}

var fleetEvents = store.NewTable(store.Spec[fleetEvent]{
	Service: "ec2", Name: "fleet-events", ID: func(e *fleetEvent) store.ID { return store.ID{e.Fleet, e.place()} },
})

// place is where an event stands among those of its fleet.
func (e *fleetEvent) place() string { return fmt.Sprintf("%019d", e.Number) }

const (
	// eventLifetime is how long events are remembered. AWS: "DescribeSpotFleetRequestHistory", "DescribeFleetHistory": 48 hours.
	eventLifetime = 48 * time.Hour
	// maxFleetEvents bounds those of a fleet.
	maxFleetEvents = 1000
)

// note remembers an event. Whoever calls it writes the fleet, which counts them. Fleets of type instant have none.
// AWS: "Monitor fleet events using Amazon EventBridge".
func (f *fleet) note(t tx, typ types.EventType, sub, instance, description string) {
	if f.Type == types.FleetTypeInstant {
		return
	}
	f.Noted++
	rows, now := fleetEvents.In(t, t.scope), t.Now().UTC()
	t.fail(rows.Put(&fleetEvent{f.ID, f.Noted, now, typ, sub, instance, description}))
	oldest, _, err := rows.List(store.Query{Parts: store.ID{f.ID}, Limit: 2})
	t.fail(err)
	for _, e := range oldest {
		if now.Sub(e.At) > eventLifetime || e.Number <= f.Noted-maxFleetEvents {
			t.fail(rows.Delete(e.Fleet, e.place()))
		}
	}
}

// forgetEvents removes those of a fleet.
func forgetEvents(t tx, id string) error {
	rows := fleetEvents.In(t, t.scope)
	all, _, err := rows.List(store.Query{Parts: store.ID{id}})
	for _, e := range all {
		err = errors.Join(err, rows.Delete(e.Fleet, e.place()))
	}
	return err
}

// noteInstance remembers what happened to an instance. AWS: "Monitor fleet events using Amazon EventBridge": the description.
func (f *fleet) noteInstance(t tx, sub string, i *instance) {
	description, _ := json.Marshal(struct { //nolint:errchkjson // of texts
		Type    string `json:"instanceType"`
		Image   string `json:"image"`
		Product string `json:"productDescription"`
		Zone    string `json:"availabilityZone"`
	}{string(i.Type), i.ImageID, string(types.RIProductDescriptionLinuxUnix), i.Zone})
	f.note(t, types.EventTypeInstanceChange, sub, i.ID, string(description))
}

// noteMember is noteInstance for a member whose instance may be forgotten already.
func (f *fleet) noteMember(t tx, sub string, m fleetMember) error {
	i, err := instances.see(t, m.Instance)
	switch {
	case err != nil:
		return err
	case i == nil:
		f.note(t, types.EventTypeInstanceChange, sub, m.Instance, "")
	default:
		f.noteInstance(t, sub, i)
	}
	return nil
}

// concludeFleet notes the end of a deleted fleet: that of its last instance. It is forgotten when its events are.
func concludeFleet(t tx, id string) error {
	f, err := fleets.find(t, id)
	if f == nil || err != nil || f.Over {
		return err
	}
	left, err := f.left(t)
	if left || err != nil {
		return err
	}
	f.Over = true
	f.note(t, types.EventTypeBatchChange, string(types.FleetStateCodeDeleted), "", "")
	return errors.Join(fleets.put(t, f), reconcile.WantAfter(t, t.item(goneKind, id), eventLifetime))
}

// noteRefusal remembers why nothing was launched in a pool: the lack of room may pass, what is wrong is not.
func (f *fleet) noteRefusal(t tx, p pool, refused *awsapi.Error) {
	parts := strs(aws.String(string(p.typ)))
	if p.spec != nil {
		parts = append(parts, aws.ToString(p.spec.ImageId))
	}
	description := fmt.Sprintf("%s: %s", strings.Join(append(parts, string(types.RIProductDescriptionLinuxUnix)), ", "), refused.Message)
	if noRoom(refused) || strings.HasPrefix(refused.Code, "Insufficient") {
		f.note(t, types.EventTypeInformation, "launchSpecTemporarilyBlacklisted", "", description)
		return
	}
	f.note(t, types.EventTypeError, "spotFleetRequestConfigurationInvalid", "", description)
}

// DescribeSpotFleetRequestHistory lists what happened to a Spot Fleet since a time, the oldest first.
func (s *Service) DescribeSpotFleetRequestHistory(ctx context.Context, in *ec2.DescribeSpotFleetRequestHistoryInput) (*ec2.DescribeSpotFleetRequestHistoryOutput, error) {
	if in.EventType != "" && !slices.Contains(in.EventType.Values(), in.EventType) {
		return nil, errInvalidParameterValue("Value (%s) for parameter eventType is invalid.", in.EventType)
	}
	out := &ec2.DescribeSpotFleetRequestHistoryOutput{SpotFleetRequestId: in.SpotFleetRequestId, StartTime: in.StartTime}
	return out, s.view(ctx, func(t tx) error {
		out.HistoryRecords = []types.HistoryRecord{}
		f, err := spotFleets.read(t, *in.SpotFleetRequestId)
		if err != nil {
			return err
		}
		page, next, err := f.happened(t, *in.StartTime, func(typ types.EventType) bool { return in.EventType == "" || typ == in.EventType }, query{max: in.MaxResults, token: in.NextToken})
		for _, e := range page {
			out.HistoryRecords = append(out.HistoryRecords, types.HistoryRecord{
				EventType: e.Type, Timestamp: aws.Time(e.At),
				EventInformation: &types.EventInformation{EventSubType: aws.String(e.Sub), InstanceId: optional(e.Instance), EventDescription: optional(e.Description)},
			})
		}
		if out.NextToken = next; next == nil {
			out.LastEvaluatedTime = aws.Time(t.Now().UTC().Truncate(time.Second))
		}
		return err
	})
}

// happened is a page of the fleet's events of some types since a time.
func (f *fleet) happened(t tx, since time.Time, wanted func(types.EventType) bool, q query) ([]*fleetEvent, *string, error) {
	all, _, err := fleetEvents.In(t, t.scope).List(store.Query{Parts: store.ID{f.ID}})
	if err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(e *fleetEvent) bool {
		return e.At.Before(since) || !wanted(e.Type) || t.Now().Sub(e.At) > eventLifetime
	})
	return cut(all, (*fleetEvent).place, "fleet-history", pageBounds{1, 1000}, q)
}

// fleetEventTypes are the names that EC2 Fleet has for the types of events of Spot Fleet.
var fleetEventTypes = map[types.EventType]types.FleetEventType{
	types.EventTypeInstanceChange: types.FleetEventTypeInstanceChange, types.EventTypeBatchChange: types.FleetEventTypeFleetChange,
	types.EventTypeError: types.FleetEventTypeServiceError, types.EventTypeInformation: types.FleetEventTypeServiceError,
}

// DescribeFleetHistory lists what happened to a fleet since a time, the oldest first.
func (s *Service) DescribeFleetHistory(ctx context.Context, in *ec2.DescribeFleetHistoryInput) (*ec2.DescribeFleetHistoryOutput, error) {
	if in.EventType != "" && !slices.Contains(in.EventType.Values(), in.EventType) {
		return nil, errInvalidParameterValue("Value (%s) for parameter eventType is invalid.", in.EventType)
	}
	out := &ec2.DescribeFleetHistoryOutput{FleetId: in.FleetId, StartTime: in.StartTime}
	return out, s.view(ctx, func(t tx) error {
		out.HistoryRecords = []types.HistoryRecordEntry{}
		f, err := fleets.read(t, *in.FleetId)
		if err != nil {
			return err
		}
		if f.Type == types.FleetTypeInstant {
			return errUnsupported("DescribeFleetHistory does not support fleets of type instant.")
		}
		page, next, err := f.happened(t, *in.StartTime, func(typ types.EventType) bool { return in.EventType == "" || fleetEventTypes[typ] == in.EventType }, query{max: in.MaxResults, token: in.NextToken})
		for _, e := range page {
			out.HistoryRecords = append(out.HistoryRecords, types.HistoryRecordEntry{
				EventType: fleetEventTypes[e.Type], Timestamp: aws.Time(e.At),
				EventInformation: &types.EventInformation{EventSubType: aws.String(e.Sub), InstanceId: optional(e.Instance), EventDescription: optional(e.Description)},
			})
		}
		if out.NextToken = next; next == nil {
			out.LastEvaluatedTime = aws.Time(t.Now().UTC().Truncate(time.Second))
		}
		return err
	})
}
