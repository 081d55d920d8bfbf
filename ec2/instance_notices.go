package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// instanceNotices are what was announced to an instance from outside: there is no market and no ageing hardware here, so all of
// them are made by a call of Mini AWS's own.
type instanceNotices struct {
	Events []scheduledEvent `json:",omitempty"`
	// SpotAction is what becomes of a Spot Instance at SpotTime: "terminate" or "stop"; "" for nothing.
	SpotAction string    `json:",omitempty"`
	SpotTime   time.Time `json:",omitzero"`
	// Rebalance is when a rebalance recommendation was given; zero for none.
	Rebalance time.Time `json:",omitzero"`
}

// scheduledEvent is a maintenance that is to come. AWS: "Scheduled events for Amazon EC2 instances".
type scheduledEvent struct {
	ID, Code, Description string
	NotBefore             time.Time
	NotAfter, Deadline    time.Time `json:",omitzero"`
	// State is "active", "completed" or "canceled".
	State string
}

func (e scheduledEvent) active() bool { return e.State == "active" }

// Notice is what is to be announced to an instance.
type Notice struct {
	// Kind is "spot-interruption", "rebalance", "event", or "cancel", which takes back what has not come true.
	Kind string `json:"kind"`
	// Code is an event's: system-reboot, instance-reboot, system-maintenance, instance-stop or instance-retirement.
	Code        string `json:"code,omitempty"`
	Description string `json:"description,omitempty"`
	// Seconds is how far off it is; 0 is AWS's two minutes for an interruption, and an hour for an event.
	Seconds int `json:"seconds,omitempty"`
}

// ErrNotice tells what is wrong with a notice.
var ErrNotice = errors.New("the notice cannot be given")

const (
	// AWS: "Spot Instance interruption notices": two minutes.
	interruptionNotice = 2 * time.Minute
	eventNotice        = time.Hour
	// maxEvents bounds an instance's record: of events that are over the oldest are forgotten.
	maxEvents      = 50
	maxDescription = 255 // bytes of an event's
	maxNotice      = 365 * 24 * time.Hour
)

// eventWords are what AWS's events say.
var eventWords = map[string]string{
	"instance-reboot":     "The instance is scheduled for a reboot",
	"system-reboot":       "The host of the instance is scheduled for a reboot",
	"system-maintenance":  "The instance is scheduled for maintenance of its host",
	"instance-stop":       "The instance is running on degraded hardware",
	"instance-retirement": "The instance is running on degraded hardware",
}

// Announce gives a notice to an instance, of whatever account and region: it shows in the metadata service and in
// DescribeInstanceStatus at once, and comes true at its time.
func (s *Service) Announce(ctx context.Context, id string, n Notice) error {
	h, err := s.homeOf(ctx, id)
	if err != nil {
		return err
	}
	if h == nil {
		return fmt.Errorf("%w: there is no instance %s", ErrNotice, id)
	}
	if most := int(maxNotice / time.Second); n.Seconds < 0 || n.Seconds > most || len(n.Description) > maxDescription {
		return fmt.Errorf("%w: it is at most %d seconds off and has a description of at most %d bytes", ErrNotice, most, maxDescription)
	}
	return s.updateIn(ctx, store.Scope{Account: h.Account, Region: h.Region}, func(t tx) error {
		i, err := instances.get(t, id)
		if err != nil {
			return err
		}
		now, after := t.Now().UTC().Truncate(time.Second), time.Duration(n.Seconds)*time.Second
		switch n.Kind {
		case "spot-interruption":
			if i.Lifecycle != "spot" || i.State != stateRunning {
				return fmt.Errorf("%w: %s is no running Spot Instance", ErrNotice, id)
			}
			if after == 0 {
				after = interruptionNotice
			}
			r, missing := spotRequests.find(t, i.SpotRequest)
			if missing != nil {
				return missing
			}
			i.Notices.SpotAction, i.Notices.SpotTime = "terminate", now.Add(after)
			code, message := "marked-for-termination", "Your Spot Instance is marked for termination."
			if r != nil && r.Interruption == types.InstanceInterruptionBehaviorStop {
				i.Notices.SpotAction, code, message = "stop", "marked-for-stop", "Your Spot Instance is marked for stop."
			}
			err = s.noteSpot(t, i, types.SpotInstanceStateActive, code, message)
		case "rebalance":
			if i.Lifecycle != "spot" {
				return fmt.Errorf("%w: %s is no Spot Instance", ErrNotice, id)
			}
			i.Notices.Rebalance = now
			err = wantFleet(t, i)
		case "event":
			words, known := eventWords[n.Code]
			if !known {
				return fmt.Errorf("%w: there is no event %q", ErrNotice, n.Code)
			}
			if n.Description != "" {
				words = n.Description
			}
			if after == 0 {
				after = eventNotice
			}
			if len(i.Notices.Events) >= maxEvents {
				over := slices.IndexFunc(i.Notices.Events, func(e scheduledEvent) bool { return !e.active() })
				if over < 0 {
					return fmt.Errorf("%w: %s has %d events that are to come", ErrNotice, id, maxEvents)
				}
				i.Notices.Events = slices.Delete(i.Notices.Events, over, over+1)
			}
			begin := now.Add(after)
			if w, err := windowOf(t, i); err != nil {
				return err
			} else if w != nil {
				begin = w.next(begin)
			}
			i.Notices.Events = append(i.Notices.Events, scheduledEvent{
				ID: t.NewID("instance-event-"), Code: n.Code, Description: words, State: "active",
				NotBefore: begin, NotAfter: begin.Add(2 * time.Hour), Deadline: begin.Add(7 * 24 * time.Hour),
			})
		case "cancel":
			i.Notices.SpotAction, i.Notices.SpotTime, i.Notices.Rebalance = "", time.Time{}, time.Time{}
			for k := range i.Notices.Events {
				if e := &i.Notices.Events[k]; e.active() {
					e.State, e.Description = "canceled", "[Canceled] "+e.Description
				}
			}
			err = errors.Join(s.noteSpot(t, i, types.SpotInstanceStateActive, "fulfilled", "Your spot request is fulfilled."), s.capacityIsBack(t, i), wantFleet(t, i))
			return errors.Join(err, reconcile.Want(t, t.item(instanceKind, id)))
		default:
			return fmt.Errorf("%w: its kind is spot-interruption, rebalance, event or cancel", ErrNotice)
		}
		return errors.Join(err, instances.put(t, i), reconcile.Want(t, t.item(instanceKind, id)))
	})
}

// noteSpot writes what became of an instance's Spot request, if it has one that is active.
func (s *Service) noteSpot(t tx, i *instance, state types.SpotInstanceState, code, message string) error {
	r, err := spotRequests.find(t, i.SpotRequest)
	if r == nil || err != nil || r.State != types.SpotInstanceStateActive {
		return err
	}
	return moveSpot(t, r, state, code, message)
}

// noteSpotStopped has the request say that its instance stopped, so that it can be started again: by a call, or from inside.
// AWS: "Spot request status", instance-stopped-by-user.
func (s *Service) noteSpotStopped(t tx, i *instance) error {
	if !i.Persistent {
		return nil
	}
	return s.noteSpot(t, i, types.SpotInstanceStateDisabled, "instance-stopped-by-user", "Your Spot Instance was stopped by the user.")
}

func moveSpot(t tx, r *spotRequest, state types.SpotInstanceState, code, message string) error {
	r.State, r.Code, r.Message, r.Updated = state, code, message, t.Now()
	return spotRequests.put(t, r)
}

// comeTrue does what was announced once its time has come, and answers how long it is to the next.
func (s *Service) comeTrue(ctx context.Context, scope store.Scope, inst *instance) (next time.Duration, err error) {
	due := func(at time.Time) bool {
		left := time.Until(at)
		if left > 0 && (next == 0 || left < next) {
			next = left
		}
		return left <= 0
	}
	n := inst.Notices
	spot := n.SpotAction != "" && due(n.SpotTime)
	events := false
	for _, e := range n.Events {
		events = e.active() && due(e.NotBefore) || events
	}
	if !spot && !events {
		return next, nil
	}
	return next, s.confirmInstance(ctx, scope, inst, func(t tx, i *instance) error {
		if spot && i.Notices.SpotAction != "" {
			if i.Notices.SpotAction == "stop" {
				return s.interrupt(t, i)
			}
			terminate(t, i, spotTermination, "Spot instance termination")
			if i.Persistent {
				return reconcile.Want(t, t.item(instanceKind, i.ID)) // endSpot writes what becomes of the request
			}
			return errors.Join(
				s.noteSpot(t, i, types.SpotInstanceStateClosed, "instance-terminated-no-capacity", "There is no Spot capacity available that matches your request."),
				reconcile.Want(t, t.item(instanceKind, i.ID)),
			)
		}
		for k := range i.Notices.Events {
			e := &i.Notices.Events[k]
			if !e.active() || time.Until(e.NotBefore) > 0 {
				continue
			}
			e.State, e.Description = "completed", "[Completed] "+e.Description
			switch e.Code {
			case "instance-reboot", "system-reboot":
				i.Reboot = true
			case "instance-stop", "instance-retirement":
				i.State, i.ReasonCode, i.Reason = stateStopping, "Server.ScheduledStop", "Server.ScheduledStop: Stopped due to a scheduled retirement"
			}
		}
		return reconcile.Want(t, t.item(instanceKind, i.ID))
	})
}

// spotTermination is the reason of instances that an interruption ended.
const spotTermination = "Server.SpotInstanceTermination"

// interrupt stops a Spot Instance for want of capacity, which comes back.
func (s *Service) interrupt(t tx, i *instance) error {
	i.Notices.SpotAction, i.Notices.SpotTime = "", time.Time{}
	i.State, i.ReasonCode, i.Reason = stateStopping, "Server.SpotInstanceShutdown", "Server.SpotInstanceShutdown: Instance shutdown by Spot"
	err := s.noteSpot(t, i, types.SpotInstanceStateOpen, "instance-stopped-no-capacity", "There is no Spot capacity available that matches your request.")
	return errors.Join(err, reconcile.Want(t, t.item(instanceKind, i.ID)), reconcile.WantAfter(t, t.item(spotKind, i.SpotRequest), capacityBack))
}

// capacityIsBack writes a changed instance, and takes an interruption back that has come true.
func (s *Service) capacityIsBack(t tx, i *instance) error {
	if err := instances.put(t, i); err != nil || !i.Persistent {
		return err
	}
	return s.resumeSpot(t, i.SpotRequest)
}

// shownEvents are an instance's events as DescribeInstanceStatus has them.
func (i *instance) shownEvents() []types.InstanceStatusEvent {
	list := []types.InstanceStatusEvent{}
	for _, e := range i.Notices.Events {
		list = append(list, e.toAPI())
	}
	return list
}

func (e scheduledEvent) toAPI() types.InstanceStatusEvent {
	return types.InstanceStatusEvent{
		InstanceEventId: aws.String(e.ID), Code: types.EventCode(e.Code), Description: aws.String(e.Description),
		NotBefore: aws.Time(e.NotBefore), NotAfter: aws.Time(e.NotAfter), NotBeforeDeadline: aws.Time(e.Deadline),
	}
}

// eventValues makes a filter's function of one that answers an event's value.
func eventValues(value func(scheduledEvent) string) func(tx, *instance) []string {
	return func(_ tx, i *instance) []string {
		var all []string
		for _, e := range i.Notices.Events {
			all = append(all, one(value(e))...)
		}
		return all
	}
}

// ModifyInstanceEventStartTime moves an event, to its deadline at most.
func (s *Service) ModifyInstanceEventStartTime(ctx context.Context, in *ec2.ModifyInstanceEventStartTimeInput) (*ec2.ModifyInstanceEventStartTimeOutput, error) {
	out := &ec2.ModifyInstanceEventStartTimeOutput{}
	return out, s.editInstance(ctx, *in.InstanceId, func(t tx, i *instance) error {
		k := slices.IndexFunc(i.Notices.Events, func(e scheduledEvent) bool { return e.ID == *in.InstanceEventId && e.active() })
		if k < 0 {
			return errInvalidParameterValue("The instance event ID '%s' is not valid for the instance '%s'.", *in.InstanceEventId, i.ID)
		}
		e := &i.Notices.Events[k]
		if !in.NotBefore.After(t.Now()) || in.NotBefore.After(e.Deadline) {
			return errInvalidParameterValue("The new start time must be in the future, and not after the event's deadline.")
		}
		length := e.NotAfter.Sub(e.NotBefore)
		e.NotBefore, e.NotAfter = *in.NotBefore, in.NotBefore.Add(length)
		shown := e.toAPI()
		out.Event = &shown
		return reconcile.Want(t, t.item(instanceKind, i.ID))
	})
}
