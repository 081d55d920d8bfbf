package s3

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// preconditions of a read, or of the source of a copy. Prefix is what their names begin with in error answers.
type preconditions struct {
	prefix                         string
	match, noneMatch               *string
	modifiedSince, unmodifiedSince *time.Time
}

// etagMatches compares an object's ETag with a list of them.
func etagMatches(list, etag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.Trim(strings.TrimPrefix(one, "W/"), `"`) == etag {
			return true
		}
	}
	return false
}

// check answers 412 PreconditionFailed, or 304 NotModified for a read.
// AWS: API reference of GetObject and CopyObject, which follow RFC 7232: a match counts more than a date, and a date that
// has not come counts as any other.
func (p preconditions) check(o *object) error {
	switch {
	case p.match != nil && !etagMatches(*p.match, o.ETag):
		return errPreconditionFailed(p.prefix + "If-Match")
	case p.match == nil && p.unmodifiedSince != nil && o.Modified.After(*p.unmodifiedSince):
		return errPreconditionFailed(p.prefix + "If-Unmodified-Since")
	}
	unchanged := ""
	switch {
	case p.noneMatch != nil && etagMatches(*p.noneMatch, o.ETag):
		unchanged = "If-None-Match"
	case p.noneMatch == nil && p.modifiedSince != nil && !o.Modified.After(*p.modifiedSince):
		unchanged = "If-Modified-Since"
	}
	switch {
	case unchanged == "":
		return nil
	case p.prefix != "":
		return errPreconditionFailed(p.prefix + unchanged)
	}
	return errNotModified(o)
}

// writeCondition is what a write expects of the current version.
type writeCondition struct{ match, noneMatch *string }

// valid refuses what S3 does not do.
// AWS: "How to prevent object overwrites with conditional writes"; API reference of PutObject, CopyObject and
// CompleteMultipartUpload, If-Match: it "expects the ETag value", where that of DeleteObject takes "*" too; the words as S3 sends them, with the backslash
// (versitygw issue 2108).
func (w writeCondition) valid() error {
	if w.noneMatch != nil && strings.TrimSpace(*w.noneMatch) != "*" {
		return errNotImplementedHere("If-None-Match", `We don\'t accept the provided value of If-None-Match header for this API`)
	}
	if w.match != nil && w.noneMatch == nil && strings.TrimSpace(*w.match) == "*" {
		return errNotImplementedHere("If-Match", `We don\'t accept the provided value of If-Match header for this API`)
	}
	if w.match != nil && w.noneMatch != nil {
		return errNotImplementedHere("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
	}
	return nil
}

// check compares with the current version, nil if there is none.
func (w writeCondition) check(key string, current *object) error {
	missing := current == nil || current.Marker
	switch {
	case w.noneMatch != nil && !missing:
		return errPreconditionFailed("If-None-Match")
	case w.match != nil && missing:
		return errNoSuchKey(key)
	case w.match != nil && !etagMatches(aws.ToString(w.match), current.ETag):
		return errPreconditionFailed("If-Match")
	}
	return nil
}
