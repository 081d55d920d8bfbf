package s3

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// maxListed is how many entries a page of a listing has at most.
const maxListed = 1000

// listing is what all listings of keys have in common.
type listing struct {
	prefix, delimiter string
	// after is the last key or common prefix of the page before, or where the client wants to start behind.
	after string
	limit int
	// encode tells that names are percent-encoded in the answer.
	encode bool
}

// limitOf reads max-keys and its like.
func limitOf(value *int32, name string) (int, error) {
	if value == nil {
		return maxListed, nil
	}
	if *value < 0 {
		return 0, errInvalidArgument("Argument "+name+" must be an integer between 0 and 2147483647", name, strconv.Itoa(int(*value)))
	}
	return min(int(*value), maxListed), nil
}

func encodes(kind types.EncodingType) (bool, error) {
	if kind != "" && kind != types.EncodingTypeUrl {
		return false, errInvalidArgument("Invalid Encoding Method specified in Request", "encoding-type", string(kind))
	}
	return kind != "", nil
}

// group is the common prefix that a key is listed under; "" if it is listed itself.
func (l listing) group(key string) string {
	if l.delimiter == "" {
		return ""
	}
	if at := strings.Index(key[len(l.prefix):], l.delimiter); at >= 0 {
		return key[:len(l.prefix)+at+len(l.delimiter)]
	}
	return ""
}

// name is a key or prefix as the answer has it.
func (l listing) name(text string) *string {
	if l.encode {
		text = urlEncoded(text)
	}
	return &text
}

// optional is name, and nil for nothing.
func (l listing) optional(text string) *string {
	if text == "" {
		return nil
	}
	return l.name(text)
}

// urlEncoded is the encoding of forms, as listings have it: a space is a plus, slashes stay.
// AWS: measured in ap-northeast-2 in September 2026 (brekkylab/backlot, issue 178); a tilde is encoded as MinIO does it.
func urlEncoded(s string) string {
	const hexDigits = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '/' || c == '*'
	}
	n := 0
	for i := range len(s) {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		switch c := s[i]; {
		case plain(c):
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// found is a page.
type found struct {
	objects   []*object
	prefixes  []string
	truncated bool
	last      string // key or common prefix
}

// page reads the current versions of a page. What is below a common prefix is not read: the scan goes on behind it.
func (l listing) page(tx store.Tx, b *bucket) (f found, err error) {
	if l.limit == 0 {
		return f, nil
	}
	var cursor, jump store.Cursor
	if l.after != "" {
		cursor = store.After(b.ID, l.after)
	}
	for o, err := range objects.In(tx, global).Scan(store.Query{Parts: store.ID{b.ID}, Prefix: l.prefix, After: cursor, Jump: &jump}) {
		if err != nil {
			return f, err
		}
		if o.Marker {
			continue
		}
		group := l.group(o.Key)
		// A common prefix that the page before ended with, or that the client wants to start behind.
		if group == "" || group > l.after {
			if len(f.objects)+len(f.prefixes) == l.limit {
				f.truncated = true
				return f, nil
			}
			if group == "" {
				f.objects, f.last = append(f.objects, o), o.Key
				continue
			}
			f.prefixes, f.last = append(f.prefixes, group), group
		}
		jump = store.AfterPrefix(b.ID, group)
	}
	return f, nil
}

func (l listing) shownPrefixes(all []string) []types.CommonPrefix {
	var shown []types.CommonPrefix
	for _, prefix := range all {
		shown = append(shown, types.CommonPrefix{Prefix: l.name(prefix)})
	}
	return shown
}

// shown is an object as listings have it.
func (l listing) shown(o *object, owner, restores bool) types.Object {
	entry := types.Object{
		Key: l.name(o.Key), LastModified: &o.Modified, ETag: o.quoted(), Size: &o.Size, StorageClass: types.ObjectStorageClass(o.class()),
	}
	if o.Sum.Value != "" {
		entry.ChecksumAlgorithm, entry.ChecksumType = []types.ChecksumAlgorithm{types.ChecksumAlgorithm(o.Sum.Algorithm)}, o.Sum.kind()
	}
	if owner {
		entry.Owner = ownerOf(o.Owner)
	}
	if restores {
		entry.RestoreStatus = o.restoreStatus()
	}
	return entry
}

func (o *object) restoreStatus() *types.RestoreStatus {
	if o.Restored == nil {
		return nil
	}
	return &types.RestoreStatus{IsRestoreInProgress: aws.Bool(false), RestoreExpiryDate: o.Restored}
}

// ListObjects is version 1 of the listing.
func (s *Service) ListObjects(ctx context.Context, in *s3.ListObjectsInput) (*s3.ListObjectsOutput, error) {
	limit, err := limitOf(in.MaxKeys, "max-keys")
	if err != nil {
		return nil, err
	}
	l := listing{prefix: aws.ToString(in.Prefix), delimiter: aws.ToString(in.Delimiter), after: aws.ToString(in.Marker), limit: limit}
	if l.encode, err = encodes(in.EncodingType); err != nil {
		return nil, err
	}
	var f found
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		f, err = l.page(tx, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &s3.ListObjectsOutput{
		Name: in.Bucket, Prefix: l.name(l.prefix), Marker: l.name(l.after), MaxKeys: aws.Int32(int32(limit)), Delimiter: l.optional(l.delimiter),
		EncodingType: in.EncodingType, IsTruncated: &f.truncated, CommonPrefixes: l.shownPrefixes(f.prefixes),
	}
	for _, o := range f.objects {
		out.Contents = append(out.Contents, l.shown(o, true, wantsRestores(in.OptionalObjectAttributes)))
	}
	// AWS: API reference of ListObjects: without a delimiter clients take the last key.
	if f.truncated && l.delimiter != "" {
		out.NextMarker = l.name(f.last)
	}
	return out, nil
}

func wantsRestores(names []types.OptionalObjectAttributes) bool {
	for _, name := range names {
		if name == types.OptionalObjectAttributesRestoreStatus {
			return true
		}
	}
	return false
}

// ListObjectsV2 is version 2.
func (s *Service) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	limit, err := limitOf(in.MaxKeys, "max-keys")
	if err != nil {
		return nil, err
	}
	l := listing{prefix: aws.ToString(in.Prefix), delimiter: aws.ToString(in.Delimiter), after: aws.ToString(in.StartAfter), limit: limit}
	if l.encode, err = encodes(in.EncodingType); err != nil {
		return nil, err
	}
	if aws.ToString(in.ContinuationToken) != "" {
		place, ok := openToken(*in.ContinuationToken)
		if !ok {
			return nil, errInvalidArgument("The continuation token provided is incorrect", "continuation-token", "")
		}
		l.after = place
	}
	var f found
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		f, err = l.page(tx, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &s3.ListObjectsV2Output{
		Name: in.Bucket, Prefix: l.name(l.prefix), MaxKeys: aws.Int32(int32(limit)), Delimiter: l.optional(l.delimiter),
		EncodingType: in.EncodingType, IsTruncated: &f.truncated, CommonPrefixes: l.shownPrefixes(f.prefixes),
		KeyCount: aws.Int32(int32(len(f.objects) + len(f.prefixes))), ContinuationToken: in.ContinuationToken,
	}
	if in.StartAfter != nil {
		out.StartAfter = l.name(*in.StartAfter)
	}
	out.Contents = make([]types.Object, 0, len(f.objects))
	for _, o := range f.objects {
		out.Contents = append(out.Contents, l.shown(o, aws.ToBool(in.FetchOwner), wantsRestores(in.OptionalObjectAttributes)))
	}
	if f.truncated {
		out.NextContinuationToken = aws.String(sealToken(f.last))
	}
	return out, nil
}
