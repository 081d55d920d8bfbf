package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// file is a log file that was delivered, for the next digest.
type file struct {
	Home, Trail, Region string
	Key, Bucket         string
	Hash                string // SHA-256 of what is in the file before it is packed, in hexadecimal digits
	Newest, Oldest      time.Time
}

func (f *file) id() store.ID { return store.ID{f.Home, f.Trail, f.Region, f.Key} }

// files are in the account's scope of all regions.
var files = store.NewTable(store.Spec[file]{Service: "cloudtrail", Name: "files", ID: (*file).id})

// AWS: "CreateTrail": a prefix has up to 200 characters.
const maxPrefix = 200

var bucketName = lazyregexp.New(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// folder is where a trail's objects of a kind lie: CloudTrail or CloudTrail-Digest.
func (t *trail) folder(account, kind string) string {
	folder := "AWSLogs/" + account + "/" + kind + "/"
	if t.Prefix != "" {
		folder = t.Prefix + "/" + folder
	}
	return folder
}

// checkBucket writes an empty object, as CloudTrail does, to see that the bucket is there and lets it.
func (s *Service) checkBucket(ctx context.Context, t *trail) error {
	switch {
	case !bucketName.MatchString(t.Bucket):
		return errInvalidS3BucketName("Bucket name is not valid: " + t.Bucket)
	case len(t.Prefix) > maxPrefix || strings.HasPrefix(t.Prefix, "/") || strings.HasSuffix(t.Prefix, "/"):
		return errInvalidS3Prefix("S3 prefix is not valid: " + t.Prefix)
	case s.config.Buckets == nil:
		return errNotDone("delivery to S3")
	}
	r := awsapi.FromContext(ctx)
	err := s.config.Buckets.PutLog(ctx, Log{Account: r.Principal.Account, Region: r.Region, Source: t.arn(r.Principal.Account), Bucket: t.Bucket, Key: t.folder(r.Principal.Account, "CloudTrail")})
	switch code := codeOf(err); {
	case err == nil:
		return nil
	case code == "NoSuchBucket":
		return errS3BucketDoesNotExist(t.Bucket)
	case code == "AccessDenied":
		return errInsufficientS3BucketPolicy(t.Bucket)
	}
	return err
}

func codeOf(err error) string {
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorCode()
	}
	return ""
}

// deliver is the sweep that brings every trail up to date: log files where the last ones are old enough, then digests.
func (s *Service) deliver(ctx context.Context) error {
	if s.config.Buckets == nil {
		return nil
	}
	var all error
	err := s.everyPlace(ctx, func(p place) error {
		list, err := s.trailsOf(ctx, p)
		if err != nil {
			return err
		}
		for _, t := range list {
			if err := s.deliverTrail(ctx, p, t); err != nil {
				all = errors.Join(all, fmt.Errorf("trail %s: %w", t.arn(p.Account), err))
			}
		}
		return nil
	})
	return errors.Join(all, err)
}

// trailsOf answers the trails that deliver, or have still to deliver, events of the place.
func (s *Service) trailsOf(ctx context.Context, p place) (list []*trail, err error) {
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		list = nil
		for t, err := range trails.In(tx, store.Scope{Account: p.Account}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if (t.HomeRegion == p.Region || t.AllRegions) && !t.Started.IsZero() {
				list = append(list, t)
			}
		}
		return nil
	})
	return list, err
}

func (s *Service) deliverTrail(ctx context.Context, p place, t *trail) error {
	now := s.config.Now().UTC()
	done := t.Progress[p.Region]
	if done == nil {
		done = &progress{Until: t.Started, DataUntil: t.Started, Digested: t.Started.Truncate(time.Second)}
	}
	changed := *done
	ending := !t.Logging && changed.Until.Before(t.Stopped)
	if (t.Logging || ending) && now.Sub(changed.Attempted) >= s.config.DeliverEvery {
		made, err := s.deliverLogs(ctx, p, t, &changed, now)
		if err := s.saveProgress(ctx, p, t, &changed, made); err != nil {
			return err
		}
		if err != nil {
			slog.Warn("a trail's log file was not delivered", "trail", t.arn(p.Account), "bucket", t.Bucket, "error", err)
		}
	}
	if t.Validation && now.Sub(changed.Digested) >= s.config.DigestEvery && (t.Logging || changed.Digested.Before(t.Stopped)) {
		used, err := s.deliverDigest(ctx, p, t, &changed, now)
		if err != nil {
			changed.DigestFailure = shown(err)
			slog.Warn("a trail's digest was not delivered", "trail", t.arn(p.Account), "bucket", t.Bucket, "error", err)
		}
		return s.saveDigest(ctx, p, t, &changed, used)
	}
	return nil
}

// shown is an error as GetTrailStatus shows it: S3's code.
// AWS: "GetTrailStatus": LatestDeliveryError has the error of S3.
func shown(err error) string {
	if code := codeOf(err); code != "" {
		return code
	}
	return "InternalError"
}

// eventsInFile bounds the events of one log file.
const eventsInFile = 5000

// deliverLogs writes the events after the last delivery into a file, and moves the marks of done.
func (s *Service) deliverLogs(ctx context.Context, p place, t *trail, done *progress, now time.Time) (*file, error) {
	done.Attempted = now
	until := now
	if !t.Logging {
		until = t.Stopped
	}
	management, mark, err := s.collect(ctx, events, p, t, done.Until, until)
	if err != nil {
		return nil, err
	}
	data, dataMark, err := s.collect(ctx, dataEvents, p, t, done.DataUntil, until)
	if err != nil {
		return nil, err
	}
	list := append(management, data...)
	slices.SortFunc(list, func(a, b *event) int { return a.Time.Compare(b.Time) })
	if len(list) == 0 {
		done.Until, done.DataUntil = mark, dataMark
		return nil, nil
	}
	content := logContent(list)
	body, err := gzipped(content)
	if err != nil {
		return nil, err
	}
	// The name follows from what is in the file, so that a delivery that was interrupted is repeated, not doubled.
	unique := sha256.Sum256([]byte(t.Name + list[0].ID + list[len(list)-1].ID))
	newest := list[len(list)-1].Time
	made := &file{
		Home: t.HomeRegion, Trail: t.Name, Region: p.Region, Bucket: t.Bucket,
		Key: fmt.Sprintf("%s%s/%s/%s_CloudTrail_%s_%s_%s.json.gz", t.folder(p.Account, "CloudTrail"), p.Region, newest.Format("2006/01/02"),
			p.Account, p.Region, newest.Format("20060102T1504Z"), hex.EncodeToString(unique[:8])),
		Hash: hexDigest(content), Newest: newest, Oldest: list[0].Time,
	}
	err = s.config.Buckets.PutLog(ctx, Log{Account: p.Account, Region: p.Region, Source: t.arn(p.Account), Bucket: made.Bucket, Key: made.Key, ContentType: "application/json", Body: body})
	if err != nil {
		done.Failure = shown(err)
		return nil, err
	}
	done.Until, done.DataUntil, done.Delivered, done.Failure = mark, dataMark, now, ""
	if len(management)+len(data) >= eventsInFile {
		done.Attempted = time.Time{} // there is more: go on with the next sweep
	}
	return made, nil
}

func hexDigest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// collect answers the oldest events of a table after one time and until another that the trail wants, and the time up to
// which all were looked at.
func (s *Service) collect(ctx context.Context, table *store.Table[batch], p place, t *trail, after, until time.Time) (list []*event, mark time.Time, err error) {
	scope := store.Scope{Account: p.Account, Region: p.Region}
	var batches []*batch
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		batches = nil
		for b, err := range table.In(tx, scope).Scan(store.Query{After: before(inverted(until.Add(maxSpan)))}) {
			if err != nil {
				return err
			}
			if !b.Newest.After(after) {
				break // older ones end even earlier
			}
			batches = append(batches, b)
		}
		return nil
	})
	if err != nil {
		return nil, after, err
	}
	mark = after
	for _, b := range slices.Backward(batches) {
		found, err := b.unpack(p.Account, p.Region)
		if err != nil {
			return nil, after, err
		}
		for _, e := range slices.Backward(found) {
			if !e.Time.After(after) || e.Time.After(until) {
				continue
			}
			mark = e.Time
			if t.wants(e) {
				list = append(list, e)
			}
		}
		if len(list) >= eventsInFile {
			break
		}
	}
	return list, mark, nil
}

// logContent is what a file of CloudTrail holds.
func logContent(list []*event) []byte {
	b := []byte(`{"Records":[`)
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.Record...)
	}
	return append(b, "]}"...)
}

func gzipped(content []byte) ([]byte, error) {
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	_, err := packed.Write(content)
	err = errors.Join(err, packed.Close())
	return out.Bytes(), err
}

// saveProgress notes a delivery and its file in one transaction.
func (s *Service) saveProgress(ctx context.Context, p place, t *trail, done *progress, made *file) error {
	account := store.Scope{Account: p.Account}
	return s.config.DB.Update(ctx, func(tx store.Tx) error {
		now, err := trails.In(tx, account).Find(t.HomeRegion, t.Name)
		if err != nil || now == nil || !now.Created.Equal(t.Created) {
			return err // deleted meanwhile
		}
		if now.Progress == nil {
			now.Progress = map[string]*progress{}
		}
		now.Progress[p.Region] = done
		if made != nil && now.Validation {
			if err := files.In(tx, account).Put(made); err != nil {
				return err
			}
		}
		return trails.In(tx, account).Put(now)
	})
}

// saveDigest notes a digest, and forgets the files that it lists.
func (s *Service) saveDigest(ctx context.Context, p place, t *trail, done *progress, used []*file) error {
	err := s.saveProgress(ctx, p, t, done, nil)
	for len(used) > 0 && err == nil {
		now := used[:min(len(used), removedAtOnce)]
		err = s.config.DB.Update(ctx, func(tx store.Tx) error {
			for _, f := range now {
				if err := files.In(tx, store.Scope{Account: p.Account}).Delete(f.id()...); err != nil {
					return err
				}
			}
			return nil
		})
		used = used[len(now):]
	}
	return err
}
