package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
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
//
// AWS: "Logging requests with server access logging": after logging was turned off or got another target, what was logged
// before still comes, best effort. So a line knows where it goes, and whose it is: by then the bucket may be gone, and its
// name be another account's.
type logLine struct {
	Bucket  string
	Account string
	Region  string
	To      *types.LoggingEnabled
	ID      string // in the order of time
	At      time.Time
	Text    string
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
		to, err := findSetting[types.LoggingEnabled](tx, b.Name, kindLogging, "")
		if err != nil || to == nil {
			return err
		}
		err = logLines.In(tx, global).Put(&logLine{
			Bucket: b.Name, Account: b.Account, Region: b.Region, To: to, ID: fmt.Sprintf("%016x-%s", o.Time.UnixNano(), o.ID), At: o.Time, Text: line,
		})
		if err != nil {
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

// deliverLogs makes a log object of the lines that wait: of the first ones that go to one place.
func (s *Service) deliverLogs(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	var target *bucket
	var lines []*logLine
	var more bool
	err := s.db.View(ctx, func(tx store.Tx) error {
		waiting, next, err := logLines.In(tx, global).List(store.Query{Parts: store.ID{item.ID}, Limit: linesTogether})
		if err != nil || len(waiting) == 0 {
			return err
		}
		other := slices.IndexFunc(waiting, func(l *logLine) bool { return !l.goesWith(waiting[0]) })
		if lines = waiting; other > 0 {
			lines = waiting[:other]
		}
		more = other > 0 || next != ""
		target, err = logTarget(tx, lines[0])
		return err
	})
	if err != nil || len(lines) == 0 {
		return 0, err
	}
	again := time.Duration(0)
	if more {
		again = time.Millisecond
	}
	if target == nil {
		// They can go nowhere any more. AWS: delivery is best effort.
		return again, s.dropLines(ctx, lines, nil)
	}
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line.Text + "\n")
	}
	config := lines[0].To
	written, err := s.blobs.Write(ctx, strings.NewReader(text.String()), blob.WriteOptions{Size: int64(text.Len()), Sums: []checksum.Algorithm{checksum.CRC64NVME}})
	if err != nil {
		return 0, err
	}
	defer s.blobs.Discard(written)
	return again, s.dropLines(ctx, lines, func(tx store.Tx) error {
		// The records of now count, not those that were read above.
		t, err := logTarget(tx, lines[0])
		if err != nil || t == nil || t.ID != target.ID {
			return err
		}
		o := &object{
			Key: logKey(lines[0], tx.Now()), Owner: t.Account, Size: written.Size, Blob: written.Ref, ETag: etagOf(written, nil),
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

// goesWith tells whether two lines of one bucket may lie in one log object.
func (l *logLine) goesWith(other *logLine) bool {
	return l.Account == other.Account && l.Region == other.Region && reflect.DeepEqual(l.To, other.To)
}

// logTarget finds the bucket that a line goes to; nil if it is gone, or is another owner's by now.
// AWS: API reference of PutBucketLogging: both have the same owner, and are in the same Region.
func logTarget(tx store.Tx, line *logLine) (*bucket, error) {
	if line.To == nil {
		return nil, nil
	}
	target, err := findBucket(tx, aws.ToString(line.To.TargetBucket))
	if err != nil || target == nil || target.Account != line.Account || target.Region != line.Region {
		return nil, err
	}
	return target, nil
}

// logKey is the name of a log object, by its first line.
// AWS: "Log object key format".
func logKey(first *logLine, now time.Time) string {
	prefix, unique := aws.ToString(first.To.TargetPrefix), strings.ToUpper(newOrder(now, "")[16:])
	if f := first.To.TargetObjectKeyFormat; f != nil && f.PartitionedPrefix != nil {
		at := now
		if f.PartitionedPrefix.PartitionDateSource == types.PartitionDateSourceEventTime {
			at = first.At
		}
		return prefix + first.Account + "/" + first.Region + "/" + first.Bucket + "/" + at.UTC().Format("2006/01/02/2006-01-02-15-04-05-") + unique
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
