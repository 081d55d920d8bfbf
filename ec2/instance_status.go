package ec2

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// check is what a status check of an instance says; since is when it began to fail.
type check struct {
	status types.SummaryStatus
	since  time.Time
}

// bootPatience is how long nothing is said of an instance that has not been heard of since it, or this program, started;
// linkPatience is how long one that was may be silent, as it is while it boots again.
const (
	bootPatience = 3 * time.Minute
	linkPatience = 20 * time.Second
)

// systemCheck says whether the engine below the instance answers.
func (s *Service) systemCheck(i *instance) check {
	if i.State != stateRunning {
		return check{status: types.SummaryStatusNotApplicable}
	}
	if lost := s.engineLostSince(); !lost.IsZero() {
		return check{types.SummaryStatusImpaired, lost}
	}
	return check{status: types.SummaryStatusOk}
}

// instanceCheck says whether the instance itself answers: its init keeps a link to the gateway and is asked on it every half
// a minute. AWS asks the interface, by ARP.
// AWS: "Status checks for Amazon EC2 instances".
func (s *Service) instanceCheck(i *instance) check {
	system := s.systemCheck(i)
	if system.status != types.SummaryStatusOk || s.config.Reachable == nil || s.config.EngineSimulated || !s.wired() {
		return system
	}
	now := s.now()
	answers, since := s.config.Reachable(i.ID)
	switch known := since.After(i.Launched); {
	case answers || known && now.Sub(since) < linkPatience:
		return check{status: types.SummaryStatusOk}
	case known:
		return check{types.SummaryStatusImpaired, since}
	case now.Sub(i.Launched) < bootPatience:
		return check{status: types.SummaryStatusInitializing}
	case now.Sub(s.began) < bootPatience:
		return check{status: types.SummaryStatusInsufficientData}
	case s.began.After(i.Launched):
		return check{types.SummaryStatusImpaired, s.began}
	}
	return check{types.SummaryStatusImpaired, i.Launched}
}

// reachability is the only detail that checks have.
func (c check) reachability() types.StatusType {
	switch c.status {
	case types.SummaryStatusOk:
		return types.StatusTypePassed
	case types.SummaryStatusImpaired:
		return types.StatusTypeFailed
	case types.SummaryStatusInitializing:
		return types.StatusTypeInitializing
	case types.SummaryStatusInsufficientData:
		return types.StatusTypeInsufficientData
	case types.SummaryStatusNotApplicable:
	}
	return ""
}

func (c check) toAPI() *types.InstanceStatusSummary {
	out := &types.InstanceStatusSummary{Status: c.status}
	if status := c.reachability(); status != "" {
		detail := types.InstanceStatusDetails{Name: types.StatusNameReachability, Status: status}
		if !c.since.IsZero() {
			detail.ImpairedSince = aws.Time(c.since.UTC().Truncate(time.Second))
		}
		out.Details = []types.InstanceStatusDetails{detail}
	}
	return out
}

var eventFilters = func() filters[instance] {
	all := filters[instance]{
		"event.code":                eventValues(func(e scheduledEvent) string { return e.Code }),
		"event.description":         eventValues(func(e scheduledEvent) string { return e.Description }),
		"event.instance-event-id":   eventValues(func(e scheduledEvent) string { return e.ID }),
		"event.not-after":           eventValues(func(e scheduledEvent) string { return filterTime(e.NotAfter) }),
		"event.not-before":          eventValues(func(e scheduledEvent) string { return filterTime(e.NotBefore) }),
		"event.not-before-deadline": eventValues(func(e scheduledEvent) string { return filterTime(e.Deadline) }),
		"attached-ebs-status.status": func(_ tx, i *instance) []string {
			if i.State != stateRunning {
				return one(string(types.SummaryStatusNotApplicable))
			}
			return one(string(types.SummaryStatusOk))
		},
	}
	for _, name := range []string{"availability-zone", "availability-zone-id", "instance-state-code", "instance-state-name", "operator.managed", "operator.principal"} {
		all[name] = instanceFilters[name]
	}
	return all
}()

// statusFilters are those of DescribeInstanceStatus.
func (s *Service) statusFilters() filters[instance] {
	all := maps.Clone(eventFilters)
	for name, of := range map[string]func(*instance) check{"instance-status": s.instanceCheck, "system-status": s.systemCheck} {
		all[name+".status"] = func(_ tx, i *instance) []string { return one(string(of(i).status)) }
		all[name+".reachability"] = func(_ tx, i *instance) []string { return one(string(of(i).reachability())) }
	}
	return all
}

// DescribeInstanceStatus says of running instances whether the engine and they themselves are well. While the engine does not
// answer nobody knows, and the checks say so.
func (s *Service) DescribeInstanceStatus(ctx context.Context, in *ec2.DescribeInstanceStatusInput) (*ec2.DescribeInstanceStatusOutput, error) {
	match, err := s.statusFilters().compile(instanceBase, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstanceStatusOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.InstanceStatuses = []types.InstanceStatus{}
		list, _, err := s.selectInstances(t, query{ids: in.InstanceIds})
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(slices.Clone(list), func(i *instance) bool {
			return i.State != stateRunning && !aws.ToBool(in.IncludeAllInstances) || !match.matches(t, i)
		})
		q := query{ids: in.InstanceIds, idsName: "instanceIds", max: in.MaxResults, token: in.NextToken}
		page, next, err := cut(list, func(i *instance) string { return i.ID }, "instance-status", pageBounds{5, 1000}, q)
		for _, i := range page {
			out.InstanceStatuses = append(out.InstanceStatuses, s.statusOf(i))
		}
		out.NextToken = next
		return err
	})
}

func (s *Service) statusOf(i *instance) types.InstanceStatus {
	var attached *types.EbsStatusSummary
	if i.State == stateRunning {
		attached = &types.EbsStatusSummary{Status: types.SummaryStatusOk, Details: []types.EbsStatusDetails{{Name: types.StatusNameReachability, Status: types.StatusTypePassed}}}
	}
	return types.InstanceStatus{
		AttachedEbsStatus: attached, InstanceId: aws.String(i.ID), AvailabilityZone: aws.String(i.Zone), AvailabilityZoneId: aws.String(i.ZoneID),
		InstanceState: stateToAPI(i.State), InstanceStatus: s.instanceCheck(i).toAPI(), SystemStatus: s.systemCheck(i).toAPI(), Events: i.shownEvents(),
		Operator: &types.OperatorResponse{Managed: aws.Bool(false)},
	}
}

// engineState notes since when the engine does not answer.
type engineState struct {
	sync.Mutex
	since time.Time
}

// engineLost notes that the engine does not answer, engineFound that it does again.
func (s *Service) engineLost() {
	s.engine.Lock()
	defer s.engine.Unlock()
	if s.engine.since.IsZero() {
		s.engine.since = time.Now()
	}
}

func (s *Service) engineFound() {
	s.engine.Lock()
	defer s.engine.Unlock()
	s.engine.since = time.Time{}
}

func (s *Service) engineLostSince() time.Time {
	s.engine.Lock()
	defer s.engine.Unlock()
	return s.engine.since
}
