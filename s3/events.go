package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// event is one that waits for its delivery. It is written before the answer to the call that caused it, so an
// acknowledged change is told of at least once.
type event struct {
	Bucket string
	// ID is in the order of time.
	ID   string
	At   time.Time
	Body json.RawMessage
}

var events = store.NewTable(store.Spec[event]{
	Service: "s3",
	Name:    "events",
	ID:      func(e *event) store.ID { return store.ID{e.Bucket, e.ID} },
})

// AWS: "Using EventBridge", event message structure.
type bridgeEvent struct {
	Version    string      `json:"version"`
	ID         string      `json:"id"`
	DetailType string      `json:"detail-type"`
	Source     string      `json:"source"`
	Account    string      `json:"account"`
	Time       string      `json:"time"`
	Region     string      `json:"region"`
	Resources  []string    `json:"resources"`
	Detail     eventDetail `json:"detail"`
}

type eventDetail struct {
	Version      string            `json:"version"`
	Bucket       map[string]string `json:"bucket"`
	Object       eventObject       `json:"object"`
	RequestID    string            `json:"request-id,omitempty"`
	Requester    string            `json:"requester"`
	SourceIP     string            `json:"source-ip-address,omitempty"`
	Reason       string            `json:"reason,omitempty"`
	DeletionType string            `json:"deletion-type,omitempty"`
}

type eventObject struct {
	Key       string `json:"key"`
	Size      *int64 `json:"size,omitempty"`
	ETag      string `json:"etag,omitempty"`
	VersionID string `json:"version-id,omitempty"`
	Sequencer string `json:"sequencer,omitempty"`
}

// happening is what is told of.
type happening struct {
	detailType, reason, deletion string
	key, version                 string
	object                       *object // nil where nothing is left
}

// Record tells of what a call changed, and logs the call, before it is answered.
func (s *Service) Record(ctx context.Context, o *awsapi.Outcome) error {
	if o.Service != meta.S3 || o.Input == nil {
		return nil
	}
	name := nameIn(o.Input)
	if name == "" {
		return nil
	}
	var b *bucket
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		b, err = sharedBucket(tx, name)
		return err
	})
	if err != nil || b == nil {
		return err
	}
	if b.Has[kindLogging] {
		if err := s.logAccess(ctx, b, o); err != nil {
			return err
		}
	}
	if s.webhook == "" || !b.Has[kindNotifications] || o.Err != nil {
		return nil
	}
	happened := happenings(o)
	if len(happened) == 0 {
		return nil
	}
	return s.db.Update(ctx, func(tx store.Tx) error {
		for _, h := range happened {
			if h.deletion != "" && h.version == "" && b.versioned() {
				h.deletion = "Delete Marker Created" // which a quiet answer does not say
			}
			if h.deletion == "" {
				var version *string
				if h.version != "" {
					version = &h.version
				}
				found, _, err := find(tx, b, &h.key, version)
				if err == nil {
					h.object = found
				}
			}
			if err := s.tell(tx, b, h, o.Request); err != nil {
				return err
			}
		}
		return nil
	})
}

// happenings are what a successful call is told of.
// AWS: "Using EventBridge", events and their reasons.
func happenings(o *awsapi.Outcome) []happening {
	removed := func(key, version *string, marker bool, reason string) happening {
		h := happening{detailType: "Object Deleted", reason: reason, deletion: "Permanently Deleted", key: aws.ToString(key), version: aws.ToString(version)}
		if marker {
			h.deletion = "Delete Marker Created"
		}
		return h
	}
	switch in := o.Input.(type) {
	case *s3.PutObjectInput:
		out, _ := o.Output.(*s3.PutObjectOutput)
		if out == nil {
			return nil
		}
		reason := "PutObject"
		if o.HTTP != nil && o.HTTP.Method == http.MethodPost {
			reason = "POST Object"
		}
		return []happening{{detailType: "Object Created", reason: reason, key: aws.ToString(in.Key), version: aws.ToString(out.VersionId)}}
	case *s3.CopyObjectInput:
		if out, ok := o.Output.(*s3.CopyObjectOutput); ok {
			return []happening{{detailType: "Object Created", reason: "CopyObject", key: aws.ToString(in.Key), version: aws.ToString(out.VersionId)}}
		}
	case *s3.CompleteMultipartUploadInput:
		if out, ok := o.Output.(*s3.CompleteMultipartUploadOutput); ok {
			return []happening{{detailType: "Object Created", reason: "CompleteMultipartUpload", key: aws.ToString(in.Key), version: aws.ToString(out.VersionId)}}
		}
	case *s3.DeleteObjectInput:
		if out, ok := o.Output.(*s3.DeleteObjectOutput); ok {
			return []happening{removed(in.Key, out.VersionId, aws.ToBool(out.DeleteMarker) && in.VersionId == nil, "DeleteObject")}
		}
	case *s3.DeleteObjectsInput:
		out, _ := o.Output.(*s3.DeleteObjectsOutput)
		if out == nil || in.Delete == nil {
			return nil
		}
		failed := map[string]bool{}
		for _, e := range out.Errors {
			failed[aws.ToString(e.Key)+"\x00"+aws.ToString(e.VersionId)] = true
		}
		// Those that succeeded are not in a quiet answer.
		var all []happening
		for _, one := range in.Delete.Objects {
			if failed[aws.ToString(one.Key)+"\x00"+aws.ToString(one.VersionId)] {
				continue
			}
			h := removed(one.Key, one.VersionId, false, "DeleteObject")
			for _, d := range out.Deleted {
				if aws.ToString(d.Key) == h.key && one.VersionId == nil && aws.ToBool(d.DeleteMarker) {
					h.deletion, h.version = "Delete Marker Created", aws.ToString(d.DeleteMarkerVersionId)
				}
			}
			all = append(all, h)
		}
		return all
	case *s3.RestoreObjectInput:
		return []happening{{detailType: "Object Restore Completed", key: aws.ToString(in.Key), version: aws.ToString(in.VersionId)}}
	case *s3.PutObjectAclInput:
		return []happening{{detailType: "Object ACL Updated", key: aws.ToString(in.Key), version: aws.ToString(in.VersionId)}}
	case *s3.PutObjectTaggingInput:
		return []happening{{detailType: "Object Tags Added", key: aws.ToString(in.Key), version: aws.ToString(in.VersionId)}}
	case *s3.DeleteObjectTaggingInput:
		return []happening{{detailType: "Object Tags Deleted", key: aws.ToString(in.Key), version: aws.ToString(in.VersionId)}}
	}
	return nil
}

// expired tells of what a lifecycle removed.
func (s *Service) expired(tx store.Tx, b *bucket, o *object, how string) error {
	if s.webhook == "" || !b.Has[kindNotifications] {
		return nil
	}
	return s.tell(tx, b, happening{detailType: "Object Deleted", reason: "Lifecycle Expiration", deletion: how, key: o.Key, version: o.versionID()}, nil)
}

// tell writes an event and asks for its delivery. Without a request it is S3 itself that acted.
func (s *Service) tell(tx store.Tx, b *bucket, h happening, r *awsapi.Request) error {
	now := tx.Now().UTC()
	e := bridgeEvent{
		Version: "0", ID: newEventID(), DetailType: h.detailType, Source: "aws.s3", Account: b.Account,
		Time: now.Format(time.RFC3339), Region: b.Region, Resources: []string{b.arn()},
		Detail: eventDetail{
			Version: "0", Bucket: map[string]string{"name": b.Name}, Reason: h.reason, DeletionType: h.deletion, Requester: "s3.amazonaws.com",
			Object: eventObject{Key: h.key, Sequencer: fmt.Sprintf("%018X", now.UnixNano())},
		},
	}
	if b.versioned() {
		e.Detail.Object.VersionID = h.version
	}
	if h.object != nil {
		e.Detail.Object.Size, e.Detail.Object.ETag = &h.object.Size, h.object.ETag
		if b.versioned() {
			e.Detail.Object.VersionID = h.object.versionID()
		}
	}
	if r != nil {
		e.Detail.RequestID, e.Detail.Requester = r.ID, r.Principal.Account
		if r.Principal.Anonymous() {
			e.Detail.Requester = "Anonymous"
		}
		if r.SourceIP.IsValid() {
			e.Detail.SourceIP = r.SourceIP.String()
		}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := events.In(tx, global).Put(&event{Bucket: b.Name, ID: fmt.Sprintf("%016x-%s", now.UnixNano(), e.ID), At: now, Body: body}); err != nil {
		return err
	}
	return reconcile.Want(tx, reconcile.Item{Kind: kindEvents, ID: b.Name})
}

// newEventID is a random UUID, version 4.
func newEventID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	text := hex.EncodeToString(raw[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

const (
	// kindEvents is the reconcile loop's kind of a bucket with events to deliver.
	kindEvents = "s3.events"
	// eventLife is how long a delivery is tried. AWS: "Event retry policy and using dead-letter queues": 24 hours.
	eventLife = 24 * time.Hour
	// eventsTogether are delivered by one look.
	eventsTogether = 100
)

// deliverEvents posts a bucket's events to the webhook, one by one in their order. What it does not take is tried again
// for a day.
func (s *Service) deliverEvents(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	var waiting []*event
	var now time.Time
	var next store.Cursor
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		now = tx.Now()
		waiting, next, err = events.In(tx, global).List(store.Query{Parts: store.ID{item.ID}, Limit: eventsTogether})
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, e := range waiting {
		if now.Sub(e.At) < eventLife && s.webhook != "" {
			if err := s.post(ctx, e.Body); err != nil {
				return 0, err
			}
		}
		if err := s.db.Update(ctx, func(tx store.Tx) error { return events.In(tx, global).Delete(e.Bucket, e.ID) }); err != nil {
			return 0, err
		}
	}
	if next != "" {
		return time.Millisecond, nil
	}
	return 0, nil
}

// webhookPatience is how long the webhook may take for one event.
const webhookPatience = 10 * time.Second

func (s *Service) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, webhookPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("the webhook answered %s", answer.Status)
	}
	return nil
}
