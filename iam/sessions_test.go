package iam

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"miniaws/awsapi"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// cloud is the service over a store that keeps nothing, with a clock that the test sets.
func cloud(t testing.TB) (*Service, *time.Time) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := &now
	db := store.OpenMemory(store.Options{Clock: func() time.Time { return *clock }})
	t.Cleanup(func() { _ = db.Close() })
	return New(Config{DB: db, Key: seal.NewKey(), Account: "000000000000", Root: NewRootKey(), Now: func() time.Time { return *clock }}), clock
}

// put writes a record as the account's own operations would.
func put[T any](t testing.TB, s *Service, account string, k *kind[T], record *T) {
	t.Helper()
	err := s.updateIn(context.Background(), account, func(tx store.Tx, account string) error { return k.put(tx, account, record) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestSessionsEnd(t *testing.T) {
	s, clock := cloud(t)
	made, _, err := s.CreateAccount(t.Context(), AccountInput{Name: "other", Email: "a@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	r := &role{identity: identity{Name: "Work", Path: "/", ID: "AROAWORK"}, MaxSession: 3600}
	put(t, s, made.ID, roles, r)
	begun := session{Type: awsapi.AssumedRole, Account: made.ID, Owner: r.ID, Session: awsapi.Session{Name: "me"}}
	begun.lasting(*clock, 900)
	c, err := s.sealSession(begun)
	if err != nil {
		t.Fatal(err)
	}
	find := func(key, token string) (awsapi.Principal, error) {
		_, who, err := s.Find(t.Context(), key, token)
		return who, err
	}
	who, err := find(*c.AccessKeyId, *c.SessionToken)
	if err != nil || who.ARN != "arn:aws:sts::"+made.ID+":assumed-role/Work/me" || who.ID != "AROAWORK:me" || who.RoleARN != "arn:aws:iam::"+made.ID+":role/Work" {
		t.Fatalf("%+v, %v", who, err)
	}
	// A token belongs to its key, and cannot be changed at any place.
	if _, err := find("ASIAANOTHER000000000", *c.SessionToken); !errors.Is(err, awsapi.ErrInvalidToken) {
		t.Errorf("another key: %v", err)
	}
	for _, i := range []int{0, 20, len(*c.SessionToken) / 2, len(*c.SessionToken) - 5} {
		changed := []byte(*c.SessionToken)
		if changed[i]++; changed[i] > 'y' {
			changed[i] = 'A'
		}
		if _, err := find(*c.AccessKeyId, string(changed)); !errors.Is(err, awsapi.ErrInvalidToken) {
			t.Errorf("changed at %d: %v", i, err)
		}
	}
	if _, err := find(*c.AccessKeyId, ""); !errors.Is(err, awsapi.ErrUnknownAccessKey) {
		t.Errorf("no token: %v", err)
	}
	*clock = clock.Add(899 * time.Second)
	if _, err := find(*c.AccessKeyId, *c.SessionToken); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	*clock = clock.Add(time.Second)
	if _, err := find(*c.AccessKeyId, *c.SessionToken); !errors.Is(err, awsapi.ErrExpiredToken) {
		t.Errorf("at its end: %v", err)
	}
	*clock = clock.Add(-time.Minute)
	// Another role of the same name is not the session's.
	again := *r
	again.ID = "AROAAGAIN"
	put(t, s, made.ID, roles, &again)
	if _, err := find(*c.AccessKeyId, *c.SessionToken); !errors.Is(err, awsapi.ErrInvalidToken) {
		t.Errorf("the role was made again: %v", err)
	}
}

// TestRevokedSessions: what began before the revocation has ended, of that principal alone; what begins after is good.
func TestRevokedSessions(t *testing.T) {
	s, clock := cloud(t)
	const account = "000000000000"
	put(t, s, account, roles, &role{identity: identity{Name: "work", Path: "/team/", ID: "AROAWORK"}, MaxSession: 3600})
	put(t, s, account, users, &user{identity: identity{Name: "alice", Path: "/", ID: "AIDAALICE"}})
	kinds := map[string]session{
		"role":      {Type: awsapi.AssumedRole, Account: account, Owner: "AROAWORK", Session: awsapi.Session{Name: "me"}},
		"user":      {Type: awsapi.User, Account: account, Owner: "AIDAALICE"},
		"federated": {Type: awsapi.FederatedUser, Account: account, Owner: "AIDAALICE", Session: awsapi.Session{Name: "guest"}},
		"root":      {Type: awsapi.RootUser, Account: account},
	}
	begin := func() map[string]*types.Credentials {
		all := map[string]*types.Credentials{}
		for name, begun := range kinds {
			begun.lasting(*clock, 900)
			c, err := s.sealSession(begun)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = c
		}
		return all
	}
	check := func(when string, all map[string]*types.Credentials, good ...string) {
		t.Helper()
		for name, c := range all {
			_, _, err := s.Find(t.Context(), *c.AccessKeyId, *c.SessionToken)
			if want := slices.Contains(good, name); want && err != nil || !want && !errors.Is(err, awsapi.ErrInvalidToken) {
				t.Errorf("%s: %s: %v", when, name, err)
			}
		}
	}
	all := begin()
	check("begun", all, "role", "user", "federated", "root")
	for _, step := range []struct {
		arn  string
		good []string
	}{
		{"arn:aws:iam::" + account + ":role/team/work", []string{"user", "federated", "root"}},
		{"arn:aws:iam::" + account + ":user/alice", []string{"root"}},
		{"arn:aws:iam::" + account + ":root", nil},
	} {
		*clock = clock.Add(time.Millisecond) // within the second in which they began
		if _, err := s.RevokeSessions(t.Context(), step.arn); err != nil {
			t.Fatal(err)
		}
		check("revoked "+step.arn, all, step.good...)
	}
	check("begun again", begin(), "role", "user", "federated", "root")
	for _, wrong := range []string{"", "work", "arn:aws:iam::" + account + ":role/work", "arn:aws:iam::" + account + ":group/g", "arn:aws:iam::999999999999:root", "arn:aws:s3:::b"} {
		if _, err := s.RevokeSessions(t.Context(), wrong); !errors.Is(err, ErrNoSessions) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// TestKeysOfAccounts: each account has a root key of its own, which is sealed and can be read again by its owner.
func TestKeysOfAccounts(t *testing.T) {
	s, _ := cloud(t)
	first, key, err := s.CreateAccount(t.Context(), AccountInput{Name: "first", Email: "A@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CreateAccount(t.Context(), AccountInput{Name: "second", Email: "a@EXAMPLE.com"}); !errors.Is(err, ErrEmailTaken) {
		t.Errorf("the same address: %v", err)
	}
	secret, who, err := s.Find(t.Context(), key.AccessKeyID, "")
	if err != nil || secret != key.SecretAccessKey || !who.Root || who.Account != first.ID || len(first.ID) != 12 {
		t.Errorf("%q %+v %v", secret, who, err)
	}
	if again, err := s.AccountRootKey(t.Context(), first.ID); err != nil || again != key {
		t.Errorf("read again: %v", err)
	}
	if _, _, err := s.Find(t.Context(), key.AccessKeyID, "token"); !errors.Is(err, awsapi.ErrInvalidToken) {
		t.Errorf("a root key with a token: %v", err)
	}
	err = s.config.DB.View(t.Context(), func(tx store.Tx) error {
		for row, err := range tx.Scan(store.PrefixRange("/")) {
			if err != nil {
				return err
			}
			if strings.Contains(string(row.Value), key.SecretAccessKey) {
				t.Errorf("the secret is readable in %q", row.Key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	u := &user{identity: identity{Name: "alice", Path: "/", ID: "AIDA1"}}
	put(t, s, first.ID, users, u)
	err = s.config.DB.Update(t.Context(), func(tx store.Tx) error {
		return s.putAccessKey(tx, &accessKey{ID: "AKIAALICE", Account: first.ID, User: u.ID}, "secret")
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, who, err := s.Find(t.Context(), "AKIAALICE", ""); err != nil || who.UserName != "alice" {
		t.Errorf("%+v, %v", who, err)
	}
	if err := s.ForgetAccount(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Find(t.Context(), "AKIAALICE", ""); !errors.Is(err, awsapi.ErrUnknownAccessKey) {
		t.Errorf("a forgotten account's key: %v", err)
	}
	if _, who, err := s.Find(t.Context(), key.AccessKeyID, ""); err != nil || !who.Root {
		t.Errorf("its root key: %v", err)
	}
}

// TestGrants: all policies of a user and its groups, until something changes; a federated user has no more than its
// session's.
func TestGrants(t *testing.T) {
	s, _ := cloud(t)
	const account = "000000000000"
	put(t, s, account, groups, &group{identity{Name: "Writers", Path: "/", ID: "AGPA1", Attached: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}}})
	u := &user{identity: identity{Name: "alice", Path: "/", ID: "AIDA1", Inline: map[string]document{"own": "{}"}, Tags: tagList{{"team", "blue"}}}, Groups: []string{"AGPA1"}}
	put(t, s, account, users, u)
	caller := userPrincipal(account, "AKIA", u)
	first, err := s.Grants(t.Context(), caller)
	if err != nil || len(first.Identity) != 2 || first.Identity[0].Name != "own" || first.Identity[1].Holder != "arn:aws:iam::"+account+":group/Writers" || first.Tags["team"] != "blue" || first.Limited {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := s.Grants(t.Context(), caller); err != nil || again != first {
		t.Errorf("nothing changed, and the grants are others: %v", err)
	}
	u.Boundary = "arn:aws:iam::" + account + ":policy/gone"
	put(t, s, account, users, u)
	changed, err := s.Grants(t.Context(), caller)
	if err != nil || changed == first || changed.Boundary == nil {
		t.Errorf("a boundary that is gone does not bound: %+v, %v", changed, err)
	}
	caller.Type, caller.Session = awsapi.FederatedUser, &awsapi.Session{Name: "guest"}
	if federated, err := s.Grants(t.Context(), caller); err != nil || !federated.Limited || len(federated.Session) != 0 {
		t.Errorf("%+v, %v", federated, err)
	}
}

func BenchmarkFindSession(b *testing.B) {
	s, clock := cloud(b)
	put(b, s, "000000000000", roles, &role{identity: identity{Name: "work", Path: "/", ID: "AROA1"}, MaxSession: 3600})
	begun := session{Type: awsapi.AssumedRole, Account: "000000000000", Owner: "AROA1", Session: awsapi.Session{Name: "me"}}
	begun.lasting(*clock, 900)
	c, err := s.sealSession(begun)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := s.Find(b.Context(), *c.AccessKeyId, *c.SessionToken); err != nil {
			b.Fatal(err)
		}
	}
}
