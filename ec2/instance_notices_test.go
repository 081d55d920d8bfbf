package ec2

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"miniaws/backend/store"
)

func TestNoticesAreBounded(t *testing.T) {
	s, client, _ := newCloud(t)
	one, _ := launchGuest(t, s, client, &ec2.RunInstancesInput{})
	event := Notice{Kind: "event", Code: "instance-retirement", Description: strings.Repeat("\n", maxDescription)}
	for range maxEvents {
		if err := s.Announce(t.Context(), *one.InstanceId, event); err != nil {
			t.Fatal(err)
		}
	}
	for name, n := range map[string]Notice{
		"one more":         event,
		"a long text":      {Kind: "event", Code: event.Code, Description: event.Description + "."},
		"far off":          {Kind: "event", Code: event.Code, Seconds: 1 << 40},
		"before now":       {Kind: "event", Code: event.Code, Seconds: -1},
		"no kind of event": {Kind: "event", Code: "none"},
	} {
		if err := s.Announce(t.Context(), *one.InstanceId, n); !errors.Is(err, ErrNotice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, n := range []Notice{{Kind: "cancel"}, event} {
		if err := s.Announce(t.Context(), *one.InstanceId, n); err != nil {
			t.Fatal(err)
		}
	}
	err := s.viewIn(t.Context(), store.Scope{Account: testAccount, Region: "us-east-1"}, func(x tx) error {
		i, err := instances.get(x, *one.InstanceId)
		if err == nil && (len(i.Notices.Events) != maxEvents || !i.Notices.Events[maxEvents-1].active() || i.Notices.Events[maxEvents-2].active()) {
			t.Errorf("after the cancelation: %+v", i.Notices.Events)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConnectKeysAreForgotten(t *testing.T) {
	s, _, _ := newCloud(t)
	err := s.updateIn(t.Context(), store.Scope{Account: testAccount, Region: "us-east-1"}, func(x tx) error {
		rows := connectKeys.In(x, x.scope)
		left := func() (users string) {
			list, _, err := rows.List(store.Query{Parts: store.ID{"i-1"}})
			for _, row := range list {
				users += row.User + " "
			}
			if err != nil {
				t.Error(err)
			}
			return users
		}
		for user, end := range map[string]time.Time{"past": x.Now(), "now": x.Now().Add(connectLifetime)} {
			if err := rows.Put(&connectKey{Instance: "i-1", User: user, Keys: map[string]time.Time{"ssh-rsa A": end}}); err != nil {
				return err
			}
		}
		if err := forgetConnectKeys(x, "i-1", x.Now()); err != nil || left() != "now " {
			t.Errorf("%q are left: %v", left(), err)
		}
		err := forgetConnectKeys(x, "i-1", x.Now().Add(connectLifetime))
		if left() != "" {
			t.Errorf("%q are left of an instance that ended", left())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
