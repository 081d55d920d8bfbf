package cloudtrail

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/lazyregexp"
)

// record is an event as CloudTrail writes it.
// AWS: "CloudTrail record contents for management, data, and network activity events".
type record struct {
	EventVersion       string           `json:"eventVersion"`
	UserIdentity       userIdentity     `json:"userIdentity"`
	EventTime          string           `json:"eventTime"`
	EventSource        string           `json:"eventSource"`
	EventName          string           `json:"eventName"`
	AWSRegion          string           `json:"awsRegion"`
	SourceIPAddress    string           `json:"sourceIPAddress"`
	UserAgent          string           `json:"userAgent"`
	ErrorCode          string           `json:"errorCode,omitempty"`
	ErrorMessage       string           `json:"errorMessage,omitempty"`
	RequestParameters  json.RawMessage  `json:"requestParameters"`
	ResponseElements   json.RawMessage  `json:"responseElements"`
	AdditionalData     *additionalData  `json:"additionalEventData,omitempty"`
	RequestID          string           `json:"requestID"`
	EventID            string           `json:"eventID"`
	ReadOnly           bool             `json:"readOnly"`
	Resources          []recordResource `json:"resources,omitempty"`
	EventType          string           `json:"eventType"`
	ManagementEvent    bool             `json:"managementEvent"`
	RecipientAccountID string           `json:"recipientAccountId"`
	EventCategory      string           `json:"eventCategory"`
	VPCEndpointID      string           `json:"vpcEndpointId,omitempty"`
	VPCEndpointAccount string           `json:"vpcEndpointAccountId,omitempty"`
	TLSDetails         *tlsDetails      `json:"tlsDetails,omitempty"`
}

type additionalData struct {
	// Milliseconds is how long the call took, which CloudTrail does not say.
	Milliseconds float64 `json:"mini-aws:durationMilliseconds"`
}

type recordResource struct {
	ARN       string `json:"ARN"`
	AccountID string `json:"accountId,omitempty"`
	Type      string `json:"type,omitempty"`
}

type tlsDetails struct {
	ClientProvidedHostHeader string `json:"clientProvidedHostHeader"`
}

// userIdentity is who called.
// AWS: "CloudTrail userIdentity element".
type userIdentity struct {
	Type        string          `json:"type"`
	PrincipalID string          `json:"principalId,omitempty"`
	ARN         string          `json:"arn,omitempty"`
	AccountID   string          `json:"accountId,omitempty"`
	AccessKeyID string          `json:"accessKeyId,omitempty"`
	UserName    string          `json:"userName,omitempty"`
	Session     *sessionContext `json:"sessionContext,omitempty"`
	InvokedBy   string          `json:"invokedBy,omitempty"`
}

type sessionContext struct {
	Issuer         *sessionIssuer    `json:"sessionIssuer,omitempty"`
	Attributes     sessionAttributes `json:"attributes"`
	SourceIdentity string            `json:"sourceIdentity,omitempty"`
}

type sessionIssuer struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
	ARN         string `json:"arn"`
	AccountID   string `json:"accountId"`
	UserName    string `json:"userName"`
}

type sessionAttributes struct {
	CreationDate     string `json:"creationDate"`
	MFAAuthenticated string `json:"mfaAuthenticated"`
}

// accessDenied is S3's code of a refusal; only S3 has data events.
const accessDenied = "AccessDenied"

const stampFormat = "2006-01-02T15:04:05Z"

// identityOf answers who called, and the name under which LookupEvents knows them.
func identityOf(p awsapi.Principal) (userIdentity, string) {
	u := userIdentity{PrincipalID: p.ID, ARN: p.ARN, AccountID: p.Account, AccessKeyID: p.AccessKeyID}
	username := ""
	switch p.Type {
	case awsapi.RootUser:
		u.Type, username = "Root", "root"
	case awsapi.User:
		u.Type, u.UserName, username = "IAMUser", p.UserName, p.UserName
	case awsapi.AssumedRole:
		u.Type = "AssumedRole"
	case awsapi.FederatedUser:
		u.Type = "FederatedUser"
	case awsapi.ServicePrincipal:
		u = userIdentity{Type: "AWSService", InvokedBy: p.ARN}
	default:
		u.Type = "Unknown"
	}
	if p.Session == nil || p.Type == awsapi.ServicePrincipal {
		return u, username
	}
	mfa := "false"
	if !p.Session.MFA.IsZero() {
		mfa = "true"
	}
	u.Session = &sessionContext{
		Attributes:     sessionAttributes{CreationDate: p.Session.Issued.UTC().Format(stampFormat), MFAAuthenticated: mfa},
		SourceIdentity: p.Session.SourceIdentity,
	}
	if p.RoleARN != "" {
		name := p.RoleARN[strings.LastIndexByte(p.RoleARN, '/')+1:]
		u.Session.Issuer = &sessionIssuer{Type: "Role", PrincipalID: p.RoleID, ARN: p.RoleARN, AccountID: p.Account, UserName: name}
		username = p.Session.Name
	}
	return u, username
}

// global services write their events in one region, whatever region the client names.
// AWS: "Global service events".
var global = map[*meta.Service]bool{meta.IAM: true, meta.Organizations: true, meta.Route53: true}

var regionPattern = lazyregexp.New(`^[a-z]{2}[a-z0-9-]{1,30}$`)

// readOnlyNames begin the names of operations that change nothing.
var readOnlyNames = []string{"Get", "List", "Describe", "Head", "Lookup", "Search", "Select", "BatchGet", "Simulate", "Validate", "Decode", "Check", "Estimate", "Download", "Query", "Test", "Verify", "Preview"}

// isReadOnly tells whether the operation changes nothing.
// AWS: the field readOnly; AssumeRole and its like make credentials, which CloudTrail calls read-only.
func isReadOnly(service *meta.Service, operation string) bool {
	return slices.ContainsFunc(readOnlyNames, func(prefix string) bool { return strings.HasPrefix(operation, prefix) }) ||
		service == meta.STS
}

// newEvent makes the part of the event that does not depend on when it is written.
func (s *Service) newEvent(o *awsapi.Outcome, data bool) *event {
	region := o.Region
	if global[o.Service] {
		region = "us-east-1"
	} else if !regionPattern.MatchString(region) {
		region = s.config.Region // the client's own word for it, which may be anything
	}
	e := &event{
		RequestID: o.ID, Account: o.Principal.Account, Region: region,
		Name: o.Operation, Source: sourceOf(o.Service), AccessKeyID: o.Principal.AccessKeyID,
		ReadOnly: isReadOnly(o.Service, o.Operation), Data: data,
	}
	_, e.Username = identityOf(o.Principal)
	e.Resources = resourcesOf(o, e.ReadOnly)
	return e
}

// sourceOf is the service's name among event sources.
func sourceOf(m *meta.Service) string { return m.SigningName + ".amazonaws.com" }

// maxParameters bounds parameters and response elements.
// AWS: "CloudTrail record contents": what is too large is left out.
const maxParameters = 12 << 10

var omitted = json.RawMessage(`{"omitted":true}`)

// render writes the record of an event whose time is known.
func (s *Service) render(e *event, o *awsapi.Outcome) {
	e.ID = newEventID(e.Time)
	who, _ := identityOf(o.Principal)
	r := record{
		EventVersion: "1.11", UserIdentity: who, EventTime: e.Time.Format(stampFormat),
		EventSource: e.Source, EventName: e.Name, AWSRegion: e.Region,
		SourceIPAddress: "mini-aws.internal", UserAgent: clipped(o.UserAgent, 1024),
		RequestParameters: parametersOf(o.Input), ResponseElements: json.RawMessage("null"),
		AdditionalData: &additionalData{Milliseconds: float64(o.Took.Microseconds()) / 1000},
		RequestID:      e.RequestID, EventID: e.ID, ReadOnly: e.ReadOnly,
		EventType: "AwsApiCall", ManagementEvent: !e.Data, RecipientAccountID: e.Account, EventCategory: "Management",
	}
	if e.Data {
		r.EventCategory = "Data"
	}
	if o.SourceIP.IsValid() {
		r.SourceIPAddress = o.SourceIP.String()
	}
	if through := o.Endpoint; through != nil {
		r.VPCEndpointID, r.VPCEndpointAccount = through.ID, through.Account
	}
	if o.Err != nil {
		r.ErrorCode, r.ErrorMessage = o.Code, clipped(messageOf(o.Err), 1024)
	} else if !e.ReadOnly || o.Service == meta.STS {
		r.ResponseElements = parametersOf(o.Output)
	}
	for _, a := range o.Accesses {
		for _, arn := range a.Resources {
			if len(r.Resources) < 20 && strings.HasPrefix(arn, "arn:") && !strings.ContainsAny(arn, "*?") {
				resource, _ := resourceOf(arn)
				r.Resources = append(r.Resources, recordResource{ARN: arn, AccountID: accountOf(arn), Type: resource.Type})
			}
		}
	}
	if o.Secure && o.HTTP != nil {
		r.TLSDetails = &tlsDetails{ClientProvidedHostHeader: clipped(o.HTTP.Host, 256)}
	}
	e.Record = encoded(r)
	if decisions := o.Decisions(); len(decisions) > 0 {
		explanations := make([]awsapi.Explanation, 0, len(decisions))
		for _, d := range decisions {
			explanations = append(explanations, d.Explain())
		}
		if e.Decisions = encoded(explanations); len(e.Decisions) > maxParameters {
			e.Decisions = encoded(explanations[len(explanations)-1:]) // the one that decided
		}
		if len(e.Decisions) > maxParameters {
			e.Decisions = nil
		}
	}
}

// encoded is JSON without escapes for HTML.
func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null") // not with these types
	}
	return b
}

func clipped(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "")
}

// messageOf is what the client was told, and of an internal failure nothing.
func messageOf(err error) string {
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorMessage()
	}
	return "An unknown error occurred"
}

// newEventID answers a UUID of version 7, whose first 48 bits are the time in milliseconds: an event is found by it
// without an index of its own.
func newEventID(at time.Time) string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	for i, ms := 0, uint64(at.UnixMilli()); i < 6; i++ {
		raw[i] = byte(ms >> (40 - 8*i))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x70, raw[8]&0x3f|0x80
	text := hex.EncodeToString(raw[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
