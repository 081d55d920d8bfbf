package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/blob"
	"miniaws/backend/checksum"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// logLine is one line that waits for its log object.
type logLine struct {
	Bucket string
	// Source is the bucket's own id: another one may have its name by the time that its lines are delivered.
	Source string `json:",omitempty"`
	ID     string // in the order of time
	At     time.Time
	Text   string
}

var logLines = store.NewTable(store.Spec[logLine]{
	Service: "s3",
	Name:    "log-lines",
	ID:      func(l *logLine) store.ID { return store.ID{l.Bucket, l.ID} },
})

const (
	// kindLogs is the reconcile loop's kind of a bucket with lines to deliver.
	kindLogs = "s3.access-log"
	// linesTogether go into one log object at most.
	linesTogether = 2000
)

// nameIn and keyIn are the bucket and the key of an operation's input, if it has them.
func nameIn(in any) string { return textIn(in, "Bucket") }
func keyIn(in any) string  { return textIn(in, "Key") }

func textIn(in any, name string) string {
	value := reflect.ValueOf(in)
	if value.Kind() != reflect.Pointer || value.IsNil() || value.Elem().Kind() != reflect.Struct {
		return ""
	}
	field := value.Elem().FieldByName(name)
	if !field.IsValid() {
		return ""
	}
	text, _ := field.Interface().(*string)
	return aws.ToString(text)
}

// logAccess writes the line of a call.
func (s *Service) logAccess(ctx context.Context, b *bucket, o *awsapi.Outcome) error {
	line := accessLine(b, o)
	return s.db.Update(ctx, func(tx store.Tx) error {
		if err := logLines.In(tx, global).Put(&logLine{Bucket: b.Name, Source: b.ID, ID: fmt.Sprintf("%016x-%s", o.Time.UnixNano(), o.ID), At: o.Time, Text: line}); err != nil {
			return err
		}
		return s.wantLogs(tx, b)
	})
}

// wantLogs asks for a delivery some time after the first line; more lines do not put it off.
func (s *Service) wantLogs(tx store.Tx, b *bucket) error {
	return reconcile.WantAfter(tx, reconcile.Item{Kind: kindLogs, ID: b.Name}, s.logsEvery)
}

// accessLine is a call in the format of server access logs.
// AWS: "Amazon S3 server access log format".
func accessLine(b *bucket, o *awsapi.Outcome) string {
	dash := func(text string) string {
		if text == "" {
			return "-"
		}
		return strings.ReplaceAll(text, " ", "%20")
	}
	quoted := func(text string) string {
		if text == "" {
			return `"-"`
		}
		return `"` + strings.NewReplacer(`"`, `%22`, "\n", "%0A", "\r", "%0D").Replace(text) + `"`
	}
	requester, remote := o.Principal.ARN, ""
	if o.Principal.Root {
		requester = canonicalID(o.Principal.Account)
	}
	if o.SourceIP.IsValid() {
		remote = o.SourceIP.String()
	}
	var uri, referer, operation, signature, kind, host, tlsVersion, cipher string
	key := keyIn(o.Input)
	if r := o.HTTP; r != nil {
		uri = r.Method + " " + r.URL.RequestURI() + " " + r.Proto
		referer, host = r.Referer(), r.Host
		operation = logOperation(r, o.Operation, key)
		keys := keysOf(o.Request, b.Account)
		if kind = strings.Join(keys["s3:authType"], ""); kind == "REST-HEADER" {
			kind = "AuthHeader"
		} else if kind == "REST-QUERY-STRING" {
			kind = "QueryString"
		}
		signature = map[string]string{"AWS4-HMAC-SHA256": "SigV4", "AWS": "SigV2"}[strings.Join(keys["s3:signatureversion"], "")]
		if r.TLS != nil {
			tlsVersion, cipher = "TLSv"+strings.Join(keys["s3:TlsVersion"], ""), "-"
		}
	}
	size, sent := int64(-1), int64(-1)
	if length, ok := lengthIn(o.Output); ok {
		size, sent = length, length
	} else if length, ok := lengthIn(o.Input); ok {
		size = length
	}
	number := func(n int64) string {
		if n < 0 {
			return "-"
		}
		return strconv.FormatInt(n, 10)
	}
	fields := []string{
		canonicalID(b.Account), b.Name, "[" + o.Time.UTC().Format("02/Jan/2006:15:04:05 -0700") + "]", dash(remote), dash(requester), o.ID,
		dash(operation), dash(url.PathEscape(key)), quoted(uri), strconv.Itoa(o.Status), dash(o.Code), number(sent), number(size),
		strconv.FormatInt(o.Took.Milliseconds(), 10), strconv.FormatInt(o.Took.Milliseconds(), 10), quoted(referer), quoted(o.UserAgent),
		dash(textIn(o.Input, "VersionId")), "-", dash(signature), dash(cipher), dash(kind), dash(host), dash(tlsVersion), "-", "-", b.Region,
	}
	return strings.Join(fields, " ")
}

func lengthIn(value any) (int64, bool) {
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return 0, false
	}
	field := v.Elem().FieldByName("ContentLength")
	if !field.IsValid() {
		return 0, false
	}
	length, ok := field.Interface().(*int64)
	if !ok || length == nil {
		return 0, false
	}
	return *length, true
}

// logOperation is the operation as logs name it: REST.HTTP_method.resource_type.
func logOperation(r *http.Request, operation, key string) string {
	if operation == "DeleteObjects" {
		return "REST.POST.MULTI_OBJECT_DELETE"
	}
	resource := "BUCKET"
	if key != "" {
		resource = "OBJECT"
	}
	for _, sub := range []struct{ query, name string }{
		{"acl", "ACL"}, {"policy", "BUCKETPOLICY"}, {"versioning", "VERSIONING"}, {"tagging", "TAGGING"}, {"cors", "CORS"}, {"lifecycle", "LIFECYCLE"},
		{"logging", "LOGGING_STATUS"}, {"notification", "NOTIFICATION"}, {"website", "WEBSITE"}, {"location", "LOCATION"}, {"encryption", "ENCRYPTION"},
		{"uploads", "UPLOADS"}, {"uploadId", "UPLOAD"}, {"versions", "BUCKETVERSIONS"}, {"publicAccessBlock", "PUBLIC_ACCESS_BLOCK"},
		{"ownershipControls", "OWNERSHIP_CONTROLS"}, {"replication", "REPLICATION"}, {"object-lock", "OBJECT_LOCK_CONFIGURATION"},
	} {
		if r.URL.Query().Has(sub.query) {
			resource = sub.name
			if sub.query == "uploadId" && r.Method == http.MethodPut {
				resource = "PART"
			}
			if sub.query == "tagging" && key != "" {
				resource = "OBJECT_TAGGING"
			}
			break
		}
	}
	return "REST." + r.Method + "." + resource
}

// deliverLogs makes a log object of the lines that wait.
func (s *Service) deliverLogs(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	var b, target *bucket
	var config *types.LoggingEnabled
	var lines []*logLine
	var next store.Cursor
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		if lines, next, err = logLines.In(tx, global).List(store.Query{Parts: store.ID{item.ID}, Limit: linesTogether}); err != nil || len(lines) == 0 {
			return err
		}
		if b, err = findBucket(tx, item.ID); err != nil || b == nil {
			return err
		}
		if config, err = findSetting[types.LoggingEnabled](tx, b.Name, kindLogging, ""); err != nil || config == nil {
			return err
		}
		target, err = logTarget(tx, b, config)
		return err
	})
	if err != nil || len(lines) == 0 {
		return 0, err
	}
	if target == nil {
		// Nobody wants them any more. AWS: delivery is best effort.
		return again(next), s.dropLines(ctx, lines, nil)
	}
	var text strings.Builder
	for _, line := range lines {
		if line.Source == b.ID {
			text.WriteString(line.Text + "\n")
		}
	}
	if text.Len() == 0 {
		return again(next), s.dropLines(ctx, lines, nil)
	}
	written, err := s.blobs.Write(ctx, strings.NewReader(text.String()), blob.WriteOptions{Size: int64(text.Len()), Sums: []checksum.Algorithm{checksum.CRC64NVME}})
	if err != nil {
		return 0, err
	}
	defer s.blobs.Discard(written)
	return again(next), s.dropLines(ctx, lines, func(tx store.Tx) error {
		// The records of now count, not those that were read above.
		t, err := logTarget(tx, b, config)
		if err != nil || t == nil || t.ID != target.ID {
			return err
		}
		o := &object{
			Key: logKey(config, b, tx.Now(), lines), Owner: t.Account, Size: written.Size, Blob: written.Ref, ETag: etagOf(written, nil),
			Sum:        claim{algorithm: checksum.CRC64NVME}.fullSum(written),
			Attributes: Attributes{Type: "text/plain"},
		}
		if t.acls() && len(config.TargetGrants) > 0 {
			o.ACL = ownerOnly(t.Account)
			for _, g := range config.TargetGrants {
				to, ok := accountOf(aws.ToString(g.Grantee.ID))
				if !ok {
					if to, ok = groupOf(aws.ToString(g.Grantee.URI)); !ok {
						continue
					}
				}
				o.ACL = append(o.ACL, grant{to, types.Permission(g.Permission)})
			}
		}
		if err := s.blobs.Keep(tx, written); err != nil {
			return err
		}
		return s.insert(tx, t, o)
	})
}

// logTarget finds the bucket that a bucket's lines go to; nil if it is gone, or is another owner's by now.
// AWS: API reference of PutBucketLogging: both have the same owner, and are in the same Region.
func logTarget(tx store.Tx, b *bucket, config *types.LoggingEnabled) (*bucket, error) {
	target, err := findBucket(tx, aws.ToString(config.TargetBucket))
	if err != nil || target == nil || target.Account != b.Account || target.Region != b.Region {
		return nil, err
	}
	return target, nil
}

func again(next store.Cursor) time.Duration {
	if next == "" {
		return 0
	}
	return time.Millisecond
}

// logKey is the name of a log object.
// AWS: "Log object key format".
func logKey(config *types.LoggingEnabled, b *bucket, now time.Time, lines []*logLine) string {
	prefix, unique := aws.ToString(config.TargetPrefix), strings.ToUpper(newOrder(now, "")[16:])
	if f := config.TargetObjectKeyFormat; f != nil && f.PartitionedPrefix != nil {
		at := now
		if f.PartitionedPrefix.PartitionDateSource == types.PartitionDateSourceEventTime {
			at = lines[0].At
		}
		return prefix + b.Account + "/" + b.Region + "/" + b.Name + "/" + at.UTC().Format("2006/01/02/2006-01-02-15-04-05-") + unique
	}
	return prefix + now.UTC().Format("2006-01-02-15-04-05-") + unique
}

// dropLines removes lines together with what else is to be written; nil for nothing.
func (s *Service) dropLines(ctx context.Context, lines []*logLine, also func(store.Tx) error) error {
	return s.db.Update(ctx, func(tx store.Tx) error {
		for _, line := range lines {
			if err := logLines.In(tx, global).Delete(line.Bucket, line.ID); err != nil {
				return err
			}
		}
		if also == nil {
			return nil
		}
		return also(tx)
	})
}
