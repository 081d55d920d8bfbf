package s3

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// conditions are the condition keys of one call.
type conditions map[string][]string

// set adds a key with one value; an absent or empty value adds nothing.
func (c conditions) set(key string, value *string) {
	if value != nil && *value != "" {
		c[key] = []string{*value}
	}
}

// AWS: "Actions, resources, and condition keys for Amazon S3", service authorization reference.

// keysOf are the condition keys that every call of S3 has.
func keysOf(r *awsapi.Request, owner string) conditions {
	keys := conditions{"s3:ResourceAccount": {owner}}
	if r.HTTP == nil {
		return keys
	}
	header, query := r.HTTP.Header, r.HTTP.URL.RawQuery
	if hash := header.Get("X-Amz-Content-Sha256"); hash != "" {
		keys["s3:x-amz-content-sha256"] = []string{hash}
	}
	switch authorization := header.Get("Authorization"); {
	case strings.HasPrefix(authorization, "AWS4-"):
		keys["s3:authType"], keys["s3:signatureversion"] = []string{"REST-HEADER"}, []string{"AWS4-HMAC-SHA256"}
	case strings.HasPrefix(authorization, "AWS "):
		keys["s3:authType"], keys["s3:signatureversion"] = []string{"REST-HEADER"}, []string{"AWS"}
	case strings.Contains(query, "X-Amz-Signature="):
		keys["s3:authType"], keys["s3:signatureversion"] = []string{"REST-QUERY-STRING"}, []string{"AWS4-HMAC-SHA256"}
		if signed, err := time.Parse("20060102T150405Z", r.HTTP.URL.Query().Get("X-Amz-Date")); err == nil {
			keys["s3:signatureAge"] = []string{strconv.FormatInt(r.Time.Sub(signed).Milliseconds(), 10)}
		}
	case strings.Contains(query, "Signature="):
		keys["s3:authType"], keys["s3:signatureversion"] = []string{"REST-QUERY-STRING"}, []string{"AWS"}
	case strings.HasPrefix(header.Get("Content-Type"), "multipart/form-data") && !r.Principal.Anonymous():
		keys["s3:authType"] = []string{"POST"}
	}
	if state := r.HTTP.TLS; state != nil {
		keys["s3:TlsVersion"] = []string{map[uint16]string{0x301: "1", 0x302: "1.1", 0x303: "1.2", 0x304: "1.3"}[state.Version]}
	}
	return keys
}

// keys are keysOf, and the bucket's tags where ABAC is on.
// AWS: "Using tags with S3 general purpose buckets": s3:BucketTag is about the data in the bucket too.
func (b *bucket) keys(r *awsapi.Request) conditions {
	keys := keysOf(r, b.Account)
	for key, value := range b.tags {
		keys["s3:BucketTag/"+key] = []string{value}
	}
	return keys
}

// members finds members of an input by their names, once for each operation.
type members struct{ bucket, key, version, owner []int }

func membersOf[In any]() members {
	in := reflect.TypeFor[In]()
	index := func(name string) []int {
		if field, ok := in.FieldByName(name); ok && field.Type == reflect.TypeFor[*string]() {
			return field.Index
		}
		return nil
	}
	return members{index("Bucket"), index("Key"), index("VersionId"), index("ExpectedBucketOwner")}
}

func member(in any, index []int) string {
	if index == nil {
		return ""
	}
	return aws.ToString(reflect.ValueOf(in).Elem().FieldByIndex(index).Interface().(*string))
}

// onBucket makes the access function of an operation on a bucket: it finds the bucket and asks for the action on its
// ARN. More functions add condition keys.
func onBucket[In any](s *Service, action string, more ...func(*In, conditions)) func(context.Context, *In) ([]awsapi.Access, error) {
	names := membersOf[In]()
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		b, err := s.locate(ctx, member(in, names.bucket), member(in, names.owner))
		if err != nil {
			return nil, err
		}
		keys := b.keys(awsapi.FromContext(ctx))
		for _, add := range more {
			add(in, keys)
		}
		return s.through(ctx, member(in, names.bucket), "", awsapi.Access{Action: action, Resources: []string{b.arn()}, Conditions: keys})
	}
}

// onObject is [onBucket] for an operation on an object. With a version id the action is versionAction, if there is one,
// and s3:VersionId is set.
func onObject[In any](s *Service, action, versionAction string, more ...func(*In, conditions)) func(context.Context, *In) ([]awsapi.Access, error) {
	names := membersOf[In]()
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		b, err := s.locate(ctx, member(in, names.bucket), member(in, names.owner))
		if err != nil {
			return nil, err
		}
		keys := b.keys(awsapi.FromContext(ctx))
		wanted := action
		if version := member(in, names.version); version != "" {
			keys["s3:VersionId"] = []string{version}
			if versionAction != "" {
				wanted = versionAction
			}
		}
		for _, add := range more {
			add(in, keys)
		}
		key := member(in, names.key)
		return s.through(ctx, member(in, names.bucket), key, awsapi.Access{Action: wanted, Resources: []string{b.objectARN(key)}, Conditions: keys})
	}
}

// through adds to accesses to a bucket, or to an object where there is a key, what it takes to come through an access
// point, where the name that was used for the bucket is one's. Every access function of this package ends here.
//
// AWS: "Configuring IAM policies for using access points": both must permit the request. Requests through an access
// point have s3:DataAccessPointArn, s3:DataAccessPointAccount and s3:AccessPointNetworkOrigin.
func (s *Service) through(ctx context.Context, name, key string, wanted ...awsapi.Access) ([]awsapi.Access, error) {
	if !maybeAccessPoint(name) {
		return wanted, nil
	}
	var p *accessPoint
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		p, err = findAccessPoint(tx, name)
		return err
	})
	if err != nil || p == nil {
		return wanted, err
	}
	resource := p.arn()
	if key != "" {
		resource += "/object/" + key
	}
	all := make([]awsapi.Access, 0, 2*len(wanted))
	for _, w := range wanted {
		keys := conditions(w.Conditions)
		p.conditions(keys)
		own := maps.Clone(keys)
		p.tagConditions(own)
		all = append(all, awsapi.Access{Action: w.Action, Resources: []string{resource}, Conditions: own}, w)
	}
	return all, nil
}

// findBucket answers nil if there is no bucket of the name, which may be an access point's alias or ARN.
func findBucket(tx store.Tx, name string) (*bucket, error) {
	name, err := bucketName(tx, name)
	if err != nil || name == "" {
		return nil, err
	}
	return buckets.In(tx, store.Scope{}).Find(name)
}

// sharedBucket is findBucket for those who only read: other calls have the same record.
func sharedBucket(tx store.Tx, name string) (*bucket, error) {
	name, err := bucketName(tx, name)
	if err != nil || name == "" {
		return nil, err
	}
	b, err := buckets.In(tx, store.Scope{}).GetShared(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

// bucketName answers the bucket that a request's name for one means, which may be an access point's; empty for none.
func bucketName(tx store.Tx, name string) (string, error) {
	if !maybeAccessPoint(name) {
		return name, nil
	}
	p, err := findAccessPoint(tx, name)
	switch {
	case err != nil:
		return "", err
	case p != nil:
		return p.Bucket, nil
	case isPointLabel(name):
		return name, nil
	}
	return "", nil
}

// isAccount tells whether a text has the form of an account's number.
func isAccount(text string) bool {
	_, ok := digits(text)
	return ok && len(text) == 12
}

// locate finds the bucket that a request names, for its access function.
func (s *Service) locate(ctx context.Context, name, expectedOwner string) (b *bucket, err error) {
	for _, header := range []string{"X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner"} {
		if values := awsapi.FromContext(ctx).Header[header]; values != nil && !isAccount(values[0]) {
			return nil, errNoAccountNumber()
		}
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		b, err = s.sharedBucketOf(ctx, tx, &name, &expectedOwner)
		if err == nil {
			b, err = b.withTags(tx)
		}
		return err
	})
	return b, err
}

// withTags answers the bucket with its tags, where ABAC is on.
func (b *bucket) withTags(tx store.Tx) (*bucket, error) {
	if b.ABAC != types.BucketAbacStatusEnabled {
		return b, nil
	}
	tagged := *b // the record is everybody's
	tags, err := bucketTags(tx, b)
	tagged.tags = tags
	return &tagged, err
}

// bucketOf finds the bucket that an operation works on, in the operation's own transaction.
// Errors: InvalidBucketName, NoSuchBucket, AccessDenied if the owner is not the expected one, and the region's errors.
func (s *Service) bucketOf(ctx context.Context, tx store.Tx, name, expectedOwner *string) (*bucket, error) {
	b, err := findBucket(tx, aws.ToString(name))
	if err != nil {
		return nil, err
	}
	return b, checkBucket(ctx, b, name, expectedOwner)
}

// sharedBucketOf is bucketOf for those who only read.
func (s *Service) sharedBucketOf(ctx context.Context, tx store.Tx, name, expectedOwner *string) (*bucket, error) {
	b, err := sharedBucket(tx, aws.ToString(name))
	if err != nil {
		return nil, err
	}
	return b, checkBucket(ctx, b, name, expectedOwner)
}

// checkBucket answers the errors of bucketOf for the bucket that was found.
func checkBucket(ctx context.Context, b *bucket, name, expectedOwner *string) error {
	switch {
	case b == nil && strings.HasPrefix(*name, "arn:aws:s3:") && strings.Contains(*name, ":accesspoint/"):
		_, point, _ := strings.Cut(*name, ":accesspoint/")
		return errNoSuchAccessPoint(point)
	case b == nil && !validForLookup(aws.ToString(name)):
		return errInvalidBucketName(aws.ToString(name))
	case b == nil:
		return errNoSuchBucket(aws.ToString(name))
	}
	if owner := aws.ToString(expectedOwner); owner != "" && owner != b.Account {
		return errWrongOwner()
	}
	// Who did not sign named no region.
	if r := awsapi.FromContext(ctx); !r.Principal.Anonymous() && r.Region != b.Region {
		return errWrongRegion(r, b.Region)
	}
	return nil
}
