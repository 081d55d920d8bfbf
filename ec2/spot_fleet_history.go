package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
)

// fleetEvent is something that happened to a Spot Fleet.
type fleetEvent struct {
	Number      int64
	At          time.Time
	Type        types.EventType
	Sub         string
	Instance    string `json:",omitempty"`
	Description string `json:",omitempty"`
}

const (
	// eventLifetime is how long events are remembered. AWS: "DescribeSpotFleetRequestHistory": 48 hours.
	eventLifetime = 48 * time.Hour
	// maxFleetEvents bounds a fleet's record.
	maxFleetEvents = 1000
)

// note remembers an event; those of other fleets are not asked for.
func (f *fleet) note(t tx, typ types.EventType, sub, instance, description string) {
	x := f.SpotFleet
	if x == nil {
		return
	}
	number := int64(1)
	if len(x.Events) > 0 {
		number = x.Events[len(x.Events)-1].Number + 1
	}
	now := t.Now().UTC()
	kept := slices.Clone(x.Events)
	for len(kept) > 0 && (len(kept) >= maxFleetEvents || now.Sub(kept[0].At) > eventLifetime) {
		kept = kept[1:]
	}
	x.Events = append(kept, fleetEvent{number, now, typ, sub, instance, description})
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
	case f.SpotFleet == nil || err != nil:
		return err
	case i == nil:
		f.note(t, types.EventTypeInstanceChange, sub, m.Instance, "")
	default:
		f.noteInstance(t, sub, i)
	}
	return nil
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
		var all []fleetEvent
		for _, e := range f.SpotFleet.Events {
			if !e.At.Before(*in.StartTime) && (in.EventType == "" || e.Type == in.EventType) {
				all = append(all, e)
			}
		}
		page, next, err := cut(all, func(e fleetEvent) string { return fmt.Sprintf("%019d", e.Number) }, "spot-fleet-history", pageBounds{1, 1000}, query{max: in.MaxResults, token: in.NextToken})
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
