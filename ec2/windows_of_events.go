package ec2

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// eventWindow says in which hours of the week scheduled events of its targets may begin: events that are announced to them
// begin in one of its hours.
// AWS: "Create custom event windows for scheduled events that affect your Amazon EC2 instances".
type eventWindow struct {
	resource
	Name string `json:",omitempty"`
	// Either of them is set: ranges of the week, or a cron expression.
	Ranges []weekRange `json:",omitempty"`
	Cron   string      `json:",omitempty"`
	// Of the targets one kind is set.
	Instances, Hosts []string    `json:",omitempty"`
	InstanceTags     []types.Tag `json:",omitempty"`
}

// weekRange is from the beginning of one hour to the beginning of another, in UTC; days are 0 for Sunday.
type weekRange struct{ StartDay, StartHour, EndDay, EndHour int }

const weekHours = 7 * 24

// hours answers at which hours of the week, from Sunday's first, a range is open.
func (r weekRange) hours() []int {
	from, to := r.StartDay*24+r.StartHour, r.EndDay*24+r.EndHour
	if to <= from {
		to += weekHours
	}
	var all []int
	for h := from; h < to; h++ {
		all = append(all, h%weekHours)
	}
	return all
}

func windowBase(w *eventWindow) *resource { return &w.resource }

var eventWindows = &kind[eventWindow]{
	prefix: "iew-", typ: types.ResourceTypeInstanceEventWindow, base: windowBase, notFound: errEventWindowNotFound,
	table: tableOf("event-windows", windowBase, map[string]func(*eventWindow) []string{}),
	pages: pageBounds{20, 500},
	filters: filters[eventWindow]{
		"dedicated-host-id": func(_ tx, w *eventWindow) []string { return w.Hosts },
		"event-window-name": func(_ tx, w *eventWindow) []string { return one(w.Name) },
		"instance-id":       func(_ tx, w *eventWindow) []string { return w.Instances },
		"instance-tag": func(_ tx, w *eventWindow) []string {
			return w.tagValues(func(key, value string) string { return key + "=" + value })
		},
		"instance-tag-key":   func(_ tx, w *eventWindow) []string { return w.tagValues(func(key, _ string) string { return key }) },
		"instance-tag-value": func(_ tx, w *eventWindow) []string { return w.tagValues(func(_, value string) string { return value }) },
	},
}

func (w *eventWindow) tagValues(show func(key, value string) string) []string {
	var all []string
	for _, tag := range w.InstanceTags {
		all = append(all, show(aws.ToString(tag.Key), aws.ToString(tag.Value)))
	}
	return all
}

func (s *Service) registerEventWindows(server *awsapi.Server) {
	window := func(id *string) []string { return strs(id) }
	server.Register(meta.EC2,
		awsapi.Op(s.CreateInstanceEventWindow, makes(s, "CreateInstanceEventWindow", types.ResourceTypeInstanceEventWindow, func(*ec2.CreateInstanceEventWindowInput) []string { return nil })),
		awsapi.Op(s.DescribeInstanceEventWindows, inRegion[ec2.DescribeInstanceEventWindowsInput]("DescribeInstanceEventWindows")),
		awsapi.Op(s.ModifyInstanceEventWindow, on(s, "ModifyInstanceEventWindow", func(in *ec2.ModifyInstanceEventWindowInput) []string { return window(in.InstanceEventWindowId) })),
		awsapi.Op(s.DeleteInstanceEventWindow, on(s, "DeleteInstanceEventWindow", func(in *ec2.DeleteInstanceEventWindowInput) []string { return window(in.InstanceEventWindowId) })),
		awsapi.Op(s.AssociateInstanceEventWindow, on(s, "AssociateInstanceEventWindow", func(in *ec2.AssociateInstanceEventWindowInput) []string { return window(in.InstanceEventWindowId) })),
		awsapi.Op(s.DisassociateInstanceEventWindow, on(s, "DisassociateInstanceEventWindow", func(in *ec2.DisassociateInstanceEventWindowInput) []string { return window(in.InstanceEventWindowId) })),
	)
}

// CreateInstanceEventWindow makes a window that has no targets yet.
func (s *Service) CreateInstanceEventWindow(ctx context.Context, in *ec2.CreateInstanceEventWindowInput) (*ec2.CreateInstanceEventWindowOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeInstanceEventWindow)
	if err != nil {
		return nil, err
	}
	made := &eventWindow{Name: aws.ToString(in.Name)}
	if err := made.set(in.TimeRanges, in.CronExpression); err != nil {
		return nil, err
	}
	if len(made.Ranges) == 0 && made.Cron == "" {
		return nil, errMissingParameter("timeRange or cronExpression")
	}
	out := &ec2.CreateInstanceEventWindowOutput{}
	return out, s.update(ctx, func(t tx) error {
		w := *made
		w.resource = resource{ID: t.NewID("iew-"), Tags: tags}
		out.InstanceEventWindow = w.toAPI(types.InstanceEventWindowStateCreating)
		return eventWindows.insert(t, &w)
	})
}

// set takes over when the window is open. AWS: at least two hours a range, and four hours a week.
func (w *eventWindow) set(ranges []types.InstanceEventWindowTimeRangeRequest, cron *string) error {
	if len(ranges) > 0 && aws.ToString(cron) != "" {
		return errInvalidParameterCombination("Only one of the parameters timeRange and cronExpression can be specified.")
	}
	var made []weekRange
	for _, r := range ranges {
		days := types.WeekDay("").Values()
		one := weekRange{slices.Index(days, r.StartWeekDay), int(aws.ToInt32(r.StartHour)), slices.Index(days, r.EndWeekDay), int(aws.ToInt32(r.EndHour))}
		if one.StartDay < 0 || one.EndDay < 0 || one.StartHour < 0 || one.StartHour > 23 || one.EndHour < 0 || one.EndHour > 23 {
			return errInvalidParameterValue("The time range is invalid: a day of the week and an hour from 0 to 23 are required.")
		}
		if len(one.hours()) < 2 {
			return errInvalidParameterValue("The time range is invalid: it must be at least two hours.")
		}
		made = append(made, one)
	}
	if text := aws.ToString(cron); text != "" {
		open, err := cronHours(text)
		if err != nil {
			return err
		}
		if len(open) < 4 {
			return errInvalidParameterValue("The event window must be open for at least four hours a week.")
		}
		w.Cron, w.Ranges = text, nil
	}
	if len(made) > 0 {
		w.Ranges, w.Cron = made, ""
		if len(w.open()) < 4 {
			return errInvalidParameterValue("The event window must be open for at least four hours a week.")
		}
	}
	return nil
}

// cronHours reads "* HOURS * * DAYS" with lists and ranges of at least two hours.
func cronHours(text string) (map[int]bool, error) {
	fields := strings.Fields(text)
	bad := errInvalidParameterValue("Value (%s) for parameter cronExpression is invalid.", text)
	if len(fields) != 5 || fields[0] != "*" || fields[2] != "*" || fields[3] != "*" {
		return nil, bad
	}
	hours, ok := cronField(fields[1], 23, nil)
	days, also := cronField(fields[4], 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"})
	if !ok || !also {
		return nil, bad
	}
	open := map[int]bool{}
	for day := range days {
		for hour := range hours {
			open[day%7*24+hour] = true
		}
	}
	const week = 7 * 24
	for hour := range open {
		if !open[(hour+1)%week] && !open[(hour+week-1)%week] {
			return nil, bad // alone
		}
	}
	return open, nil
}

// cronField reads a list of numbers, names and ranges from 0 to most.
func cronField(text string, most int, names []string) (map[int]bool, bool) {
	number := func(word string) (int, bool) {
		if i := slices.Index(names, strings.ToUpper(word)); i >= 0 {
			return i, true
		}
		n, err := strconv.Atoi(word)
		return n, err == nil && n >= 0 && n <= most
	}
	found := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		if part == "*" {
			part = "0-" + strconv.Itoa(most)
		}
		first, last, ranged := strings.Cut(part, "-")
		from, ok := number(first)
		to := from
		if ranged && ok {
			to, ok = number(last)
		}
		if !ok || to < from {
			return nil, false
		}
		for n := from; n <= to; n++ {
			found[n] = true
		}
	}
	return found, true
}

// open are the hours of the week in which the window is open.
func (w *eventWindow) open() map[int]bool {
	if w.Cron != "" {
		open, err := cronHours(w.Cron)
		if err != nil {
			return nil // it was checked
		}
		return open
	}
	open := map[int]bool{}
	for _, r := range w.Ranges {
		for _, h := range r.hours() {
			open[h] = true
		}
	}
	return open
}

// next answers the first time from at on at which the window is open.
func (w *eventWindow) next(at time.Time) time.Time {
	open, utc := w.open(), at.UTC()
	for range weekHours + 1 {
		if open[int(utc.Weekday())*24+utc.Hour()] {
			return utc
		}
		utc = utc.Truncate(time.Hour).Add(time.Hour)
	}
	return at
}

// leaveWindows takes an instance that ended out of the windows that name it.
func leaveWindows(t tx, id string) error {
	all, err := eventWindows.all(t)
	if err != nil {
		return err
	}
	for _, w := range all {
		if i := slices.Index(w.Instances, id); i >= 0 {
			w.Instances = slices.Delete(w.Instances, i, i+1)
			if err := eventWindows.put(t, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// windowOf answers the window that an instance is a target of, nil for none.
func windowOf(t tx, i *instance) (*eventWindow, error) {
	all, err := eventWindows.all(t)
	for _, w := range all {
		tagged := slices.ContainsFunc(w.InstanceTags, func(tag types.Tag) bool {
			value, has := i.Tags[aws.ToString(tag.Key)]
			return has && (value == aws.ToString(tag.Value) || aws.ToString(tag.Value) == "*")
		})
		if tagged || slices.Contains(w.Instances, i.ID) || i.Host != "" && slices.Contains(w.Hosts, i.Host) {
			return w, err
		}
	}
	return nil, err
}

// DescribeInstanceEventWindows lists windows.
func (s *Service) DescribeInstanceEventWindows(ctx context.Context, in *ec2.DescribeInstanceEventWindowsInput) (*ec2.DescribeInstanceEventWindowsOutput, error) {
	q := query{in.InstanceEventWindowIds, "instanceEventWindowIds", in.Filters, in.MaxResults, in.NextToken}
	list, next, err := describe(ctx, s, eventWindows, q, func(_ tx, w *eventWindow) (types.InstanceEventWindow, error) {
		return *w.toAPI(types.InstanceEventWindowStateActive), nil
	})
	return &ec2.DescribeInstanceEventWindowsOutput{InstanceEventWindows: list, NextToken: next}, err
}

// ModifyInstanceEventWindow changes its name, or when it is open; events that were announced stay where they are.
func (s *Service) ModifyInstanceEventWindow(ctx context.Context, in *ec2.ModifyInstanceEventWindowInput) (*ec2.ModifyInstanceEventWindowOutput, error) {
	out := &ec2.ModifyInstanceEventWindowOutput{}
	return out, s.update(ctx, func(t tx) error {
		return eventWindows.edit(t, *in.InstanceEventWindowId, func(w *eventWindow) error {
			if in.Name != nil {
				w.Name = *in.Name
			}
			err := w.set(in.TimeRanges, in.CronExpression)
			out.InstanceEventWindow = w.toAPI(types.InstanceEventWindowStateActive)
			return err
		})
	})
}

// DeleteInstanceEventWindow removes a window; one with targets only by force.
func (s *Service) DeleteInstanceEventWindow(ctx context.Context, in *ec2.DeleteInstanceEventWindowInput) (*ec2.DeleteInstanceEventWindowOutput, error) {
	out := &ec2.DeleteInstanceEventWindowOutput{}
	return out, s.update(ctx, func(t tx) error {
		w, err := eventWindows.get(t, *in.InstanceEventWindowId)
		if err != nil {
			return err
		}
		if !aws.ToBool(in.ForceDelete) && w.targeted() {
			return errInvalidParameterValue("The event window '%s' is associated with targets. Disassociate them, or specify forceDelete.", w.ID)
		}
		out.InstanceEventWindowState = &types.InstanceEventWindowStateChange{InstanceEventWindowId: aws.String(w.ID), State: types.InstanceEventWindowStateDeleting}
		return eventWindows.delete(t, w.ID)
	})
}

func (w *eventWindow) targeted() bool {
	return len(w.Instances)+len(w.Hosts)+len(w.InstanceTags) > 0
}

// AssociateInstanceEventWindow adds targets, all of one kind.
func (s *Service) AssociateInstanceEventWindow(ctx context.Context, in *ec2.AssociateInstanceEventWindowInput) (*ec2.AssociateInstanceEventWindowOutput, error) {
	target := in.AssociationTarget
	out := &ec2.AssociateInstanceEventWindowOutput{}
	return out, s.update(ctx, func(t tx) error {
		return eventWindows.edit(t, *in.InstanceEventWindowId, func(w *eventWindow) error {
			for _, id := range target.InstanceIds {
				if _, err := liveInstance(t, id); err != nil {
					return err
				}
			}
			for _, id := range target.DedicatedHostIds {
				if _, err := dedicatedHosts.get(t, id); err != nil {
					return err
				}
			}
			w.Instances = union(w.Instances, target.InstanceIds)
			w.Hosts = union(w.Hosts, target.DedicatedHostIds)
			for _, tag := range target.InstanceTags {
				if !slices.ContainsFunc(w.InstanceTags, sameTag(tag)) {
					w.InstanceTags = append(w.InstanceTags, tag)
				}
			}
			kinds := 0
			for _, n := range []int{len(w.Instances), len(w.Hosts), len(w.InstanceTags)} {
				kinds += min(n, 1)
			}
			if kinds != 1 {
				return errInvalidParameterCombination("Only one type of target (instance IDs, Dedicated Host IDs, or tags) can be associated with an event window.")
			}
			out.InstanceEventWindow = w.toAPI(types.InstanceEventWindowStateActive)
			return nil
		})
	})
}

func union(have, more []string) []string {
	for _, id := range more {
		if !slices.Contains(have, id) {
			have = append(have, id)
		}
	}
	return have
}

func sameTag(tag types.Tag) func(types.Tag) bool {
	return func(other types.Tag) bool {
		return aws.ToString(tag.Key) == aws.ToString(other.Key) && aws.ToString(tag.Value) == aws.ToString(other.Value)
	}
}

// DisassociateInstanceEventWindow removes targets.
func (s *Service) DisassociateInstanceEventWindow(ctx context.Context, in *ec2.DisassociateInstanceEventWindowInput) (*ec2.DisassociateInstanceEventWindowOutput, error) {
	target := in.AssociationTarget
	out := &ec2.DisassociateInstanceEventWindowOutput{}
	return out, s.update(ctx, func(t tx) error {
		return eventWindows.edit(t, *in.InstanceEventWindowId, func(w *eventWindow) error {
			w.Instances = slices.DeleteFunc(w.Instances, func(id string) bool { return slices.Contains(target.InstanceIds, id) })
			w.Hosts = slices.DeleteFunc(w.Hosts, func(id string) bool { return slices.Contains(target.DedicatedHostIds, id) })
			for _, tag := range target.InstanceTags {
				w.InstanceTags = slices.DeleteFunc(w.InstanceTags, sameTag(tag))
			}
			out.InstanceEventWindow = w.toAPI(types.InstanceEventWindowStateActive)
			return nil
		})
	})
}

func (w *eventWindow) toAPI(state types.InstanceEventWindowState) *types.InstanceEventWindow {
	out := &types.InstanceEventWindow{InstanceEventWindowId: aws.String(w.ID), Name: optional(w.Name), CronExpression: optional(w.Cron), State: state, Tags: tagSet(tx{}, w.Tags)}
	days := types.WeekDay("").Values()
	for _, r := range w.Ranges {
		out.TimeRanges = append(out.TimeRanges, types.InstanceEventWindowTimeRange{
			StartWeekDay: days[r.StartDay], StartHour: aws.Int32(int32(r.StartHour)), EndWeekDay: days[r.EndDay], EndHour: aws.Int32(int32(r.EndHour)),
		})
	}
	if w.targeted() {
		out.AssociationTarget = &types.InstanceEventWindowAssociationTarget{InstanceIds: append([]string{}, w.Instances...), DedicatedHostIds: append([]string{}, w.Hosts...), Tags: append([]types.Tag{}, w.InstanceTags...)}
	}
	return out
}
