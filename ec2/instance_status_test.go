package ec2

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/sim"
	"miniaws/backend/store"
)

// TestInstanceCheck: what is said of an instance, by whether its init answers and since when.
func TestInstanceCheck(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for name, c := range map[string]struct {
		now, launched int
		answers       bool
		since         time.Time
		state         instanceState
		status        types.SummaryStatus
		failed        time.Time
	}{
		"answers":                          {now: 100, launched: 10, answers: true, since: at(11), status: types.SummaryStatusOk},
		"has not answered yet":             {now: 100, launched: 10, status: types.SummaryStatusInitializing},
		"never answered":                   {now: 500, launched: 10, status: types.SummaryStatusImpaired, failed: at(10)},
		"boots again":                      {now: 110, launched: 10, since: at(100), status: types.SummaryStatusOk},
		"does not answer any more":         {now: 130, launched: 10, since: at(100), status: types.SummaryStatusImpaired, failed: at(100)},
		"was started again":                {now: 130, launched: 120, since: at(100), status: types.SummaryStatusInitializing},
		"runs for long, we do not":         {now: 100, launched: -5000, status: types.SummaryStatusInsufficientData},
		"was not found again":              {now: 500, launched: -5000, status: types.SummaryStatusImpaired, failed: began},
		"is stopped, whatever it answered": {now: 500, launched: 10, answers: true, since: at(11), state: stateStopped, status: types.SummaryStatusNotApplicable},
	} {
		now := began
		s := New(Config{
			Network: sim.OpenNetwork(time.Now), Now: func() time.Time { return now },
			Reachable: func(string) (bool, time.Time) { return c.answers, c.since },
		})
		now = at(c.now)
		i := &instance{Launched: at(c.launched), State: stateRunning}
		if c.state != "" {
			i.State = c.state
		}
		if got := s.instanceCheck(i); got.status != c.status || !got.since.Equal(c.failed) {
			t.Errorf("an instance that %s: %v instead of %s since %v", name, got, c.status, c.failed)
		}
		if s.engineLost(); i.State == stateRunning && s.instanceCheck(i).status != types.SummaryStatusImpaired {
			t.Errorf("an instance that %s, without an engine: %v", name, s.instanceCheck(i))
		}
	}
}

// TestStatusOfOthers: a check is not applicable to what does not run, and filters know.
func TestStatusOfOthers(t *testing.T) {
	s, client, _ := newCloud(t)
	guest, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	err := s.updateIn(t.Context(), store.Scope{Account: testAccount, Region: "us-east-1"}, func(x tx) error {
		return instances.edit(x, *guest.InstanceId, func(i *instance) error { i.State = stateStopped; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	for value, count := range map[string]int{"ok": 0, "not-applicable": 1} {
		for _, name := range []string{"instance-status.status", "system-status.status", "attached-ebs-status.status"} {
			out, err := client.DescribeInstanceStatus(t.Context(), &ec2.DescribeInstanceStatusInput{
				IncludeAllInstances: aws.Bool(true), Filters: []types.Filter{{Name: aws.String(name), Values: []string{value}}},
			})
			if err != nil || len(out.InstanceStatuses) != count {
				t.Errorf("%s is %s: %+v, %v", name, value, out, err)
			}
		}
	}
}
