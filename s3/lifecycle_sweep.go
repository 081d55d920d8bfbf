package s3

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// kindSweep is the reconcile loop's kind of a bucket whose lifecycle is due.
const kindSweep = "s3.lifecycle"

// wantSweep asks for a look at the bucket's lifecycle.
func wantSweep(tx store.Tx, b *bucket) error {
	return reconcile.Want(tx, reconcile.Item{Kind: kindSweep, Account: b.Account, Region: b.Region, ID: b.Name})
}

// day is the step of lifecycles.
const day = 24 * time.Hour

// due answers when something that is so many days old is due.
// AWS: "Lifecycle rules: based on an object's age": the next midnight UTC after the days are over.
func due(since time.Time, days int32) time.Time {
	return since.UTC().Add(time.Duration(days) * day).Truncate(day).Add(day)
}

// sweptTogether is how many keys one transaction looks at, so that it stays small and short.
const sweptTogether = 100

// sweepLifecycle does what the bucket's rules say by now, and comes back after the next midnight.
func (s *Service) sweepLifecycle(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	var b *bucket
	var rules *lifecycle
	var now time.Time
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		now = tx.Now().UTC()
		if b, err = findBucket(tx, item.ID); err != nil || b == nil || b.Account != item.Account {
			b = nil
			return err
		}
		rules, err = findSetting[lifecycle](tx, b.Name, kindLifecycle, "")
		return err
	})
	if err != nil || b == nil || rules == nil {
		return 0, err
	}
	enabled := slices.DeleteFunc(slices.Clone(rules.Rules), func(r types.LifecycleRule) bool { return r.Status != types.ExpirationStatusEnabled })
	sweep := &sweep{service: s, bucket: b, rules: enabled, minimum: rules.Minimum, now: now}
	for _, walk := range []func(context.Context) error{sweep.objects, sweep.uploads} {
		if err := walk(ctx); err != nil {
			return 0, err
		}
	}
	return now.Truncate(day).Add(day).Sub(now) + time.Minute, nil
}

// sweep is one look at a bucket.
type sweep struct {
	service *Service
	bucket  *bucket
	rules   []types.LifecycleRule
	minimum types.TransitionDefaultMinimumObjectSize
	now     time.Time
}

// objects walks over all keys.
func (w *sweep) objects(ctx context.Context) error {
	for after := store.Cursor(""); ; {
		var keys []string
		err := w.service.db.View(ctx, func(tx store.Tx) error {
			list, next, err := objects.In(tx, global).List(store.Query{Parts: store.ID{w.bucket.ID}, After: after, Limit: sweptTogether})
			keys, after = nil, next
			for _, o := range list {
				concerned, err := w.concerns(tx, o)
				if err != nil {
					return err
				}
				if concerned {
					keys = append(keys, o.Key)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := w.service.db.Update(ctx, func(tx store.Tx) error { return w.key(tx, key) }); err != nil {
				return err
			}
		}
		if after == "" {
			return nil
		}
	}
}

// concerns tells whether something may be due for a key, so that keys for which nothing is are only read.
func (w *sweep) concerns(tx store.Tx, o *object) (bool, error) {
	if w.removes(o) || w.class(o) != o.Class || o.Marker {
		return true, nil
	}
	for v, err := range versions.In(tx, global).Scan(store.Query{Parts: store.ID{o.Bucket, o.Key}}) {
		return v != nil, err
	}
	return false, nil
}

// key does what is due for a key, in one transaction.
func (w *sweep) key(tx store.Tx, key string) error {
	b, err := findBucket(tx, w.bucket.Name)
	if err != nil || b == nil || b.ID != w.bucket.ID {
		return err
	}
	current, err := currentOf(tx, b, key)
	if err != nil || current == nil {
		return err
	}
	var older []*object
	for v, err := range versions.In(tx, global).Scan(store.Query{Parts: store.ID{b.ID, key}}) {
		if err != nil {
			return err
		}
		older = append(older, v)
	}
	// From the oldest to the newest, so that each keeps the neighbour that says since when it is not current.
	for i, v := range slices.Backward(older) {
		since := current.Modified
		if i > 0 {
			since = older[i-1].Modified
		}
		switch {
		case w.removesOlder(v, since, i) && v.removable(w.now, false) == nil:
			if err := w.service.remove(tx, v, current); err != nil {
				return err
			}
			if err := w.service.expired(tx, b, v, "Permanently Deleted"); err != nil {
				return err
			}
			older = slices.Delete(older, i, i+1)
			if current, err = currentOf(tx, b, key); err != nil || current == nil {
				return err
			}
		case !v.Marker:
			if class := w.olderClass(v, since, i); class != v.Class {
				v.Class = class
				if err := versions.In(tx, global).Put(v); err != nil {
					return err
				}
			}
		}
	}
	if current.Marker {
		if len(older) == 0 && w.removesMarker(current) {
			if err := w.service.remove(tx, current, current); err != nil {
				return err
			}
			return w.service.expired(tx, b, current, "Permanently Deleted")
		}
		return nil
	}
	if w.removes(current) {
		done, err := w.service.delete(tx, b, w.now, deletion{key: &key})
		if locked := errLocked(); err != nil && err.Error() == locked.Error() {
			return nil
		}
		if err != nil {
			return err
		}
		how := "Permanently Deleted"
		if done.marker {
			how = "Delete Marker Created"
		}
		return w.service.expired(tx, b, current, how)
	}
	if class := w.class(current); class != current.Class {
		current.Class = class
		return objects.In(tx, global).Put(current)
	}
	return nil
}

// matches tells whether a rule is about an object.
func matches(r types.LifecycleRule, o *object) bool {
	if len(o.Key) < len(lifecyclePrefix(r)) || o.Key[:len(lifecyclePrefix(r))] != lifecyclePrefix(r) {
		return false
	}
	if r.Filter == nil {
		return true
	}
	greater, less := r.Filter.ObjectSizeGreaterThan, r.Filter.ObjectSizeLessThan
	var tags []types.Tag
	if r.Filter.Tag != nil {
		tags = []types.Tag{*r.Filter.Tag}
	}
	if and := r.Filter.And; and != nil {
		greater, less, tags = and.ObjectSizeGreaterThan, and.ObjectSizeLessThan, and.Tags
	}
	if greater != nil && o.Size <= *greater || less != nil && o.Size >= *less {
		return false
	}
	return !slices.ContainsFunc(tags, func(t types.Tag) bool {
		return !slices.Contains(o.Tags, tag{aws.ToString(t.Key), aws.ToString(t.Value)})
	})
}

// removes tells whether a current version is to go.
func (w *sweep) removes(o *object) bool {
	if o.Marker {
		return false
	}
	for _, r := range w.rules {
		if at := expiry(r, o); !at.IsZero() && !w.now.Before(at) {
			return true
		}
	}
	return false
}

// expiry answers when a rule lets a current version go; zero for never.
func expiry(r types.LifecycleRule, o *object) time.Time {
	switch e := r.Expiration; {
	case e == nil || !matches(r, o):
	case e.Date != nil:
		return *e.Date
	case e.Days != nil:
		return due(o.Modified, *e.Days)
	}
	return time.Time{}
}

// removesMarker tells whether a delete marker without other versions is to go.
// AWS: "Lifecycle configuration elements", ExpiredObjectDeleteMarker; days of an Expiration count for it too.
func (w *sweep) removesMarker(o *object) bool {
	return slices.ContainsFunc(w.rules, func(r types.LifecycleRule) bool {
		e := r.Expiration
		if e == nil || !matches(r, o) {
			return false
		}
		return aws.ToBool(e.ExpiredObjectDeleteMarker) || e.Days != nil && !w.now.Before(due(o.Modified, *e.Days))
	})
}

// removesOlder tells whether a version is to go that is not current since a time and has so many newer ones that are
// not current either.
func (w *sweep) removesOlder(o *object, since time.Time, newer int) bool {
	return slices.ContainsFunc(w.rules, func(r types.LifecycleRule) bool {
		e := r.NoncurrentVersionExpiration
		return e != nil && matches(r, o) && newer >= int(aws.ToInt32(e.NewerNoncurrentVersions)) && !w.now.Before(due(since, aws.ToInt32(e.NoncurrentDays)))
	})
}

// smallest is what is not moved to another class, in bytes, unless the rule says sizes itself.
// AWS: "Transitioning objects using Amazon S3 Lifecycle".
const smallest = 128 << 10

func (w *sweep) tooSmall(r types.LifecycleRule, o *object, class types.TransitionStorageClass) bool {
	if o.Size >= smallest {
		return false
	}
	if f := r.Filter; f != nil && (f.ObjectSizeGreaterThan != nil || f.ObjectSizeLessThan != nil || f.And != nil && (f.And.ObjectSizeGreaterThan != nil || f.And.ObjectSizeLessThan != nil)) {
		return false
	}
	archive := class == types.TransitionStorageClassGlacier || class == types.TransitionStorageClassDeepArchive
	return !archive || w.minimum != types.TransitionDefaultMinimumObjectSizeVariesByStorageClass
}

// class is where a current version belongs by now.
func (w *sweep) class(o *object) string {
	class := o.Class
	if o.Marker {
		return class
	}
	for _, r := range w.rules {
		for _, t := range r.Transitions {
			at := due(o.Modified, aws.ToInt32(t.Days))
			if t.Date != nil {
				at = *t.Date
			}
			if matches(r, o) && !w.now.Before(at) && !w.tooSmall(r, o, t.StorageClass) {
				class = colder(class, t.StorageClass)
			}
		}
	}
	return class
}

func (w *sweep) olderClass(o *object, since time.Time, newer int) string {
	class := o.Class
	for _, r := range w.rules {
		for _, t := range r.NoncurrentVersionTransitions {
			if matches(r, o) && newer >= int(aws.ToInt32(t.NewerNoncurrentVersions)) && !w.now.Before(due(since, aws.ToInt32(t.NoncurrentDays))) && !w.tooSmall(r, o, t.StorageClass) {
				class = colder(class, t.StorageClass)
			}
		}
	}
	return class
}

// colder is the one of two classes that is further down; objects never move up.
func colder(class string, other types.TransitionStorageClass) string {
	if slices.Index(transitionOrder, types.TransitionStorageClass(class)) < slices.Index(transitionOrder, other) {
		return string(other)
	}
	return class
}

// uploads ends uploads that were begun too long ago.
func (w *sweep) uploads(ctx context.Context) error {
	var late []*upload
	err := w.service.db.View(ctx, func(tx store.Tx) error {
		late = nil
		for u, err := range uploads.In(tx, global).Scan(store.Query{Parts: store.ID{w.bucket.ID}}) {
			if err != nil {
				return err
			}
			if slices.ContainsFunc(w.rules, func(r types.LifecycleRule) bool {
				a := r.AbortIncompleteMultipartUpload
				return a != nil && matches(r, &object{Key: u.Key}) && !w.now.Before(due(u.Initiated, aws.ToInt32(a.DaysAfterInitiation)))
			}) {
				late = append(late, u)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, u := range late {
		err := w.service.db.Update(ctx, func(tx store.Tx) error {
			if _, err := uploads.In(tx, global).Get(u.Bucket, u.Key, u.ID); errors.Is(err, store.ErrNotFound) {
				return nil // it was completed meanwhile
			} else if err != nil {
				return err
			}
			return abort(tx, u)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expiration is the header that says when a current version goes, and by which rule; nil if it stays.
// AWS: API reference of HeadObject, x-amz-expiration.
func expiration(tx store.Tx, b *bucket, o *object) (*string, error) {
	if !b.Has[kindLifecycle] || o.Marker {
		return nil, nil
	}
	rules, err := findSetting[lifecycle](tx, b.Name, kindLifecycle, "")
	if err != nil || rules == nil {
		return nil, err
	}
	var first time.Time
	id := ""
	for _, r := range rules.Rules {
		if at := expiry(r, o); r.Status == types.ExpirationStatusEnabled && !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first, id = at, aws.ToString(r.ID)
		}
	}
	if first.IsZero() {
		return nil, nil
	}
	return aws.String(`expiry-date="` + first.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") + `", rule-id="` + id + `"`), nil
}
