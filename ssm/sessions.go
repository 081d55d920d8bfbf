package ssm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/node/guest"
	"miniaws/backend/session"
	"miniaws/backend/store"
)

// sessionRecord is a session as DescribeSessions shows it. That it goes on is known by the process that has it alone:
// after a restart it is over.
type sessionRecord struct {
	ID, Target, Document string
	// Owner is the ARN of who began it, OwnerID the id.
	Owner, OwnerID string
	Reason         string `json:",omitempty"`
	Status         types.SessionStatus
	Details        string `json:",omitempty"`
	Started        time.Time
	Ended          time.Time `json:",omitzero"`
}

func (r *sessionRecord) active() bool { return r.Ended.IsZero() }

var sessionRecords = store.NewTable(store.Spec[sessionRecord]{
	Service: "ssm", Name: "sessions", ID: func(r *sessionRecord) store.ID { return store.ID{r.ID} },
})

// sessionHome says whose a session is, for those who know only its id, and when its record may go.
type sessionHome struct {
	ID, Account, Region string
	Ended               time.Time `json:",omitzero"`
}

var sessionHomes = store.NewTable(store.Spec[sessionHome]{
	Service: "ssm", Name: "session-homes", ID: func(r *sessionHome) store.ID { return store.ID{r.ID} },
})

// The documents of sessions.
// AWS: "Session document schema", "Start a session".
const (
	shellDocument      = "SSM-SessionManagerRunShell"
	commandDocument    = "AWS-StartInteractiveCommand"
	portDocument       = "AWS-StartPortForwardingSession"
	remotePortDocument = "AWS-StartPortForwardingSessionToRemoteHost"
	sshDocument        = "AWS-StartSSHSession"
	// OwnSSHDocument leads to the SSH server of the instance's init; "mini-aws ssh" and "mini-aws cp" use it.
	OwnSSHDocument = "MiniAWS-StartSSH"
)

var sessionDocuments = []string{shellDocument, commandDocument, portDocument, remotePortDocument, sshDocument, OwnSSHDocument}

// StartSession lets the caller into an instance: it answers where, and a token that is good for a minute.
func (s *Service) StartSession(ctx context.Context, in *api.StartSessionInput) (*api.StartSessionOutput, error) {
	c := callOf(ctx)
	target, name := *in.Target, aws.ToString(in.DocumentName)
	if name == "" {
		name = shellDocument
	}
	if !slices.Contains(sessionDocuments, name) {
		return nil, errInvalidDocument(name)
	}
	m, ok, err := s.machine(ctx, c, target)
	if err != nil {
		return nil, err
	}
	if !ok || !s.connected(m) {
		return nil, errTargetNotConnected(target)
	}
	record := &sessionRecord{
		ID: sessionID(c.caller), Target: target, Document: name, Owner: c.caller, OwnerID: awsapi.FromContext(ctx).Principal.ID, Reason: aws.ToString(in.Reason), Status: types.SessionStatusConnected, Started: c.now,
	}
	spec, err := sessionSpec(record, in.Parameters)
	if err != nil {
		return nil, err
	}
	// It is there before its record is: the sweep takes a record without a session for one of an earlier process.
	opened := s.config.Sessions.Begin(spec)
	err = s.config.DB.Update(ctx, func(t store.Tx) error {
		if err := sessionRecords.In(t, c.scope).Insert(record); err != nil {
			return err
		}
		return sessionHomes.In(t, store.Scope{}).Insert(&sessionHome{ID: record.ID, Account: c.scope.Account, Region: c.scope.Region})
	})
	if err != nil {
		s.config.Sessions.End(record.ID, "")
		return nil, err
	}
	return &api.StartSessionOutput{SessionId: aws.String(record.ID), TokenValue: aws.String(opened), StreamUrl: streamURL(ctx, record.ID)}, nil
}

// sessionID begins with the caller's name. AWS: "StartSession", SessionId.
func sessionID(caller string) string {
	name := caller[strings.LastIndexAny(caller, "/:")+1:]
	var random [9]byte
	_, _ = rand.Read(random[:]) // never fails
	return name + "-" + hex.EncodeToString(random[:])[:17]
}

// streamURL is where the client opens the data channel: at the address that it called.
func streamURL(ctx context.Context, id string) *string {
	r := awsapi.FromContext(ctx)
	scheme, host := "ws", ""
	if r.Secure {
		scheme = "wss"
	}
	if r.HTTP != nil {
		host = r.HTTP.Host
	}
	return aws.String(scheme + "://" + host + session.Path + id + "?role=publish_subscribe")
}

var hostNames = lazyregexp.New(`^[A-Za-z0-9.:_-]{1,255}$`)

// sessionSpec is what the document and its parameters ask for.
func sessionSpec(r *sessionRecord, parameters map[string][]string) (session.Spec, error) {
	spec := session.Spec{ID: r.ID, Instance: r.Target, User: guest.LinkUser}
	left := map[string]string{}
	for name, values := range parameters {
		if len(values) != 1 && name != "command" {
			return spec, errInvalidSessionParameter(name)
		}
		left[name] = strings.Join(values, " ")
	}
	take := func(name, otherwise string) string {
		value, ok := left[name]
		delete(left, name)
		if !ok {
			return otherwise
		}
		return value
	}
	port := func(name, otherwise string) (int, error) {
		number, err := strconv.Atoi(take(name, otherwise))
		if err != nil || number < 1 || number > 65535 {
			return 0, errInvalidSessionParameter(name)
		}
		return number, nil
	}
	var err error
	switch r.Document {
	case shellDocument:
		spec.Kind = session.Shell
	case commandDocument:
		spec.Kind = session.Command
		if spec.Line = take("command", ""); spec.Line == "" {
			return spec, errInvalidSessionParameter("command")
		}
	case portDocument, remotePortDocument:
		spec.Kind = session.Port
		otherwise := "80"
		if r.Document == remotePortDocument {
			otherwise = ""
			if spec.Host = take("host", ""); !hostNames.MatchString(spec.Host) {
				return spec, errInvalidSessionParameter("host")
			}
		}
		if spec.Port, err = port("portNumber", otherwise); err != nil {
			return spec, err
		}
		spec.Properties = map[string]string{
			"portNumber": strconv.Itoa(spec.Port), "localPortNumber": take("localPortNumber", "0"), "type": "LocalPortForwarding",
			"localConnectionType": take("localConnectionType", ""), "localUnixSocket": take("localUnixSocket", ""),
		}
	case sshDocument:
		spec.Kind = session.Port
		if spec.Port, err = port("portNumber", "22"); err != nil {
			return spec, err
		}
		spec.Properties = map[string]string{"portNumber": strconv.Itoa(spec.Port)}
	case OwnSSHDocument:
		spec.Kind = session.SSH
	}
	for name := range left {
		return spec, errInvalidSessionParameter(name)
	}
	return spec, nil
}

// ResumeSession answers a new token after the connection of a session broke; none once the session is over.
func (s *Service) ResumeSession(ctx context.Context, in *api.ResumeSessionInput) (*api.ResumeSessionOutput, error) {
	c := callOf(ctx)
	err := s.config.DB.View(ctx, func(t store.Tx) error {
		r, err := sessionRecords.In(t, c.scope).Find(*in.SessionId)
		if err == nil && r == nil {
			err = errNoSession(*in.SessionId)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.ResumeSessionOutput{SessionId: in.SessionId}
	if opened, ok := s.config.Sessions.Resume(*in.SessionId); ok {
		out.TokenValue, out.StreamUrl = aws.String(opened), streamURL(ctx, *in.SessionId)
	}
	return out, nil
}

// TerminateSession ends a session for good. One that has ended, or never was, is no error.
func (s *Service) TerminateSession(ctx context.Context, in *api.TerminateSessionInput) (*api.TerminateSessionOutput, error) {
	c := callOf(ctx)
	mine := false
	err := s.config.DB.View(ctx, func(t store.Tx) error {
		r, err := sessionRecords.In(t, c.scope).Find(*in.SessionId)
		mine = r != nil && r.active()
		return err
	})
	if err != nil {
		return nil, err
	}
	if mine {
		s.config.Sessions.End(*in.SessionId, "terminated")
		err = s.sessionEnded(ctx, *in.SessionId, "")
	}
	return &api.TerminateSessionOutput{SessionId: in.SessionId}, err
}

// sessionEnded writes the end down, once.
func (s *Service) sessionEnded(ctx context.Context, id, why string) error {
	return s.config.DB.Update(ctx, func(t store.Tx) error {
		homes := sessionHomes.In(t, store.Scope{})
		home, err := homes.Find(id)
		if home == nil || err != nil || !home.Ended.IsZero() {
			return err
		}
		home.Ended = t.Now()
		if err := homes.Put(home); err != nil {
			return err
		}
		rows := sessionRecords.In(t, store.Scope{Account: home.Account, Region: home.Region})
		r, err := rows.Find(id)
		if r == nil || err != nil {
			return err
		}
		r.Status, r.Ended, r.Details = types.SessionStatusTerminated, home.Ended, why
		return rows.Put(r)
	})
}

// noteSessionEnd is told of the ends of sessions.
func (s *Service) noteSessionEnd(id, why string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.sessionEnded(ctx, id, why); err != nil && !errors.Is(err, store.ErrClosed) { // else the next process finds it
		slog.Error("ssm: the end of a session", "session", id, "error", err)
	}
}

// sweepSessions ends the records of sessions that ended with an earlier process, and forgets those of long ago.
func (s *Service) sweepSessions(ctx context.Context) error {
	var lost []string
	var old []*sessionHome
	err := s.config.DB.View(ctx, func(t store.Tx) error {
		lost, old = nil, nil
		for home, err := range sessionHomes.In(t, store.Scope{}).Scan(store.Query{}) {
			switch {
			case err != nil:
				return err
			case home.Ended.IsZero() && !s.config.Sessions.Running(home.ID):
				lost = append(lost, home.ID)
			case !home.Ended.IsZero() && t.Now().Sub(home.Ended) > historyKept:
				old = append(old, home)
			}
		}
		return nil
	})
	for _, id := range lost {
		err = errors.Join(err, s.sessionEnded(ctx, id, "the connection was lost"))
	}
	for _, home := range old {
		err = errors.Join(err, s.config.DB.Update(ctx, func(t store.Tx) error {
			if err := sessionRecords.In(t, store.Scope{Account: home.Account, Region: home.Region}).Delete(home.ID); err != nil {
				return err
			}
			return sessionHomes.In(t, store.Scope{}).Delete(home.ID)
		}))
	}
	return err
}

// historyKept is how long sessions and commands are shown after their end.
// AWS: "DescribeSessions": the past 30 days; "Understanding command statuses": commands are removed after 30 days.
const historyKept = 30 * 24 * time.Hour

// DescribeSessions lists sessions, the youngest first.
func (s *Service) DescribeSessions(ctx context.Context, in *api.DescribeSessionsInput) (*api.DescribeSessionsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 200)
	if err != nil {
		return nil, err
	}
	keep, err := sessionFilter(in)
	if err != nil {
		return nil, err
	}
	var all []*sessionRecord
	err = s.config.DB.View(ctx, func(t store.Tx) (err error) {
		all, _, err = sessionRecords.In(t, c.scope).List(store.Query{})
		return err
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(r *sessionRecord) bool { return !keep(r) })
	place := func(r *sessionRecord) string { return r.Started.UTC().Format(time.RFC3339Nano) + " " + r.ID }
	slices.SortFunc(all, func(a, b *sessionRecord) int { return strings.Compare(place(b), place(a)) })
	out := &api.DescribeSessionsOutput{Sessions: []types.Session{}}
	last := ""
	for _, r := range all {
		if after != "" && place(r) >= after {
			continue
		}
		if len(out.Sessions) == limit {
			out.NextToken = token(last)
			break
		}
		last = place(r)
		out.Sessions = append(out.Sessions, r.toAPI())
	}
	return out, nil
}

func sessionFilter(in *api.DescribeSessionsInput) (func(*sessionRecord) bool, error) {
	all := []func(*sessionRecord) bool{func(r *sessionRecord) bool { return r.active() == (in.State == types.SessionStateActive) }}
	for _, f := range in.Filters {
		value := aws.ToString(f.Value)
		switch f.Key {
		case types.SessionFilterKeyInvokedAfter, types.SessionFilterKeyInvokedBefore:
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return nil, errValidation("The filter value " + value + " is not a date in the format 2018-08-29T00:00:00Z.")
			}
			wantAfter := f.Key == types.SessionFilterKeyInvokedAfter
			all = append(all, func(r *sessionRecord) bool { return r.Started.After(at) == wantAfter })
		case types.SessionFilterKeyTargetId:
			all = append(all, func(r *sessionRecord) bool { return r.Target == value })
		case types.SessionFilterKeyOwner:
			all = append(all, func(r *sessionRecord) bool { return r.Owner == value })
		case types.SessionFilterKeyStatus:
			all = append(all, func(r *sessionRecord) bool { return string(r.Status) == value })
		case types.SessionFilterKeySessionId:
			all = append(all, func(r *sessionRecord) bool { return r.ID == value })
		default:
			return nil, errListFilterKey(string(f.Key))
		}
	}
	return func(r *sessionRecord) bool {
		for _, keep := range all {
			if !keep(r) {
				return false
			}
		}
		return true
	}, nil
}

func (r *sessionRecord) toAPI() types.Session {
	out := types.Session{
		SessionId: aws.String(r.ID), Target: aws.String(r.Target), Status: r.Status, StartDate: aws.Time(r.Started), DocumentName: aws.String(r.Document),
		Owner: aws.String(r.Owner), AccessType: types.AccessTypeStandard, OutputUrl: &types.SessionManagerOutputUrl{},
	}
	if r.Reason != "" {
		out.Reason = aws.String(r.Reason)
	}
	if r.Details != "" {
		out.Details = aws.String(r.Details)
	}
	if !r.active() {
		out.EndDate = aws.Time(r.Ended)
	}
	return out
}
