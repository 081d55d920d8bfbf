package s3

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/blob"
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// lab is a service with a clock that tests set.
type lab struct {
	*Service
	t   *testing.T
	now time.Time
	b   *bucket
}

func newLab(t *testing.T, versioning types.BucketVersioningStatus) *lab {
	l := &lab{t: t, now: time.Date(2026, 1, 1, 10, 30, 0, 0, time.UTC)}
	db := store.OpenMemory(store.Options{Clock: func() time.Time { return l.now }})
	t.Cleanup(func() { _ = db.Close() })
	l.Service = New(Config{DB: db, Permissions: owner{}, Blobs: blob.New(blob.Config{DB: db, Files: blob.NewMemory(), Key: seal.NewKey()})})
	l.b = &bucket{Name: "lab", ID: "b-1", Account: "123456789012", Region: "us-east-1", Versioning: versioning}
	l.update(func(tx store.Tx) error { return buckets.In(tx, global).Put(l.b) })
	return l
}

func (l *lab) update(fn func(store.Tx) error) {
	l.t.Helper()
	if err := l.db.Update(context.Background(), fn); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) put(key string, size int64, tags ...tag) {
	l.t.Helper()
	l.update(func(tx store.Tx) error {
		return l.insert(tx, l.b, &object{Key: key, Size: size, Owner: l.b.Account, Attributes: Attributes{Tags: tags}})
	})
}

func (l *lab) remove(key string) {
	l.t.Helper()
	l.update(func(tx store.Tx) error {
		_, err := l.delete(tx, l.b, l.now, deletion{key: &key})
		return err
	})
}

func (l *lab) rules(rules ...types.LifecycleRule) {
	l.update(func(tx store.Tx) error {
		for i := range rules {
			rules[i].Status = types.ExpirationStatusEnabled
			rules[i].ID = aws.String(fmt.Sprint("rule", i))
			if rules[i].Filter == nil {
				rules[i].Filter = &types.LifecycleRuleFilter{Prefix: aws.String("")}
			}
			if err := checkLifecycleRule(rules[i]); err != nil {
				return err
			}
		}
		l.b.mark(kindLifecycle, true)
		if err := buckets.In(tx, global).Put(l.b); err != nil {
			return err
		}
		return putSetting(tx, l.b.Name, kindLifecycle, "", lifecycle{Rules: rules, Minimum: types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k})
	})
}

// after lets days go by, sweeps, and answers what is there: keys with the classes of their versions, newest first.
func (l *lab) after(days int) []string {
	l.t.Helper()
	l.now = l.now.AddDate(0, 0, days)
	again, err := l.sweepLifecycle(context.Background(), reconcile.Item{Kind: kindSweep, Account: l.b.Account, Region: l.b.Region, ID: l.b.Name})
	if err != nil {
		l.t.Fatal(err)
	}
	if again <= 0 || again > 24*time.Hour+time.Minute {
		l.t.Errorf("it comes back after %v", again)
	}
	var found []string
	shown := func(o *object) string {
		if o.Marker {
			return "marker"
		}
		return o.class()
	}
	l.update(func(tx store.Tx) error {
		for o, err := range objects.In(tx, global).Scan(store.Query{Parts: store.ID{l.b.ID}}) {
			if err != nil {
				return err
			}
			text := o.Key + " " + shown(o)
			for v, err := range versions.In(tx, global).Scan(store.Query{Parts: store.ID{l.b.ID, o.Key}}) {
				if err != nil {
					return err
				}
				text += " " + shown(v)
			}
			found = append(found, text)
		}
		return nil
	})
	return found
}

func (l *lab) expect(days int, want ...string) {
	l.t.Helper()
	if got := l.after(days); !slices.Equal(got, want) {
		l.t.Errorf("on %s: %q, want %q", l.now.Format(time.DateOnly), got, want)
	}
}

func days(n int32) *types.LifecycleExpiration { return &types.LifecycleExpiration{Days: &n} }

func TestExpiration(t *testing.T) {
	l := newLab(t, "")
	for i := range 250 { // more than one transaction looks at
		l.put(fmt.Sprintf("many/%03d", i), 1)
	}
	l.put("keep", 1)
	l.put("tagged", 1, tag{"k", "v"})
	l.put("large", 1000)
	l.rules(
		types.LifecycleRule{Filter: &types.LifecycleRuleFilter{Prefix: aws.String("many/")}, Expiration: days(3)},
		types.LifecycleRule{Filter: &types.LifecycleRuleFilter{Tag: &types.Tag{Key: aws.String("k"), Value: aws.String("v")}}, Expiration: days(5)},
		types.LifecycleRule{Filter: &types.LifecycleRuleFilter{ObjectSizeGreaterThan: aws.Int64(999)}, Expiration: &types.LifecycleExpiration{Date: aws.Time(time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC))}},
	)
	// 10:30 on the 1st and three days are 10:30 on the 4th: the next midnight is the 5th's.
	if got := l.after(3); len(got) != 253 {
		t.Errorf("on the 4th there are %d", len(got))
	}
	l.expect(1, "keep STANDARD", "large STANDARD", "tagged STANDARD")
	l.expect(2, "keep STANDARD", "large STANDARD")
	l.expect(2, "keep STANDARD", "large STANDARD") // the 9th
	l.expect(1, "keep STANDARD")
}

func TestTransitions(t *testing.T) {
	l := newLab(t, "")
	l.put("big", 1<<20)
	l.put("small", 1)
	l.rules(types.LifecycleRule{Expiration: days(100), Transitions: []types.Transition{
		{Days: aws.Int32(30), StorageClass: types.TransitionStorageClassStandardIa},
		{Days: aws.Int32(60), StorageClass: types.TransitionStorageClassGlacier},
	}})
	l.expect(30, "big STANDARD", "small STANDARD")
	l.expect(1, "big STANDARD_IA", "small STANDARD")
	l.expect(30, "big GLACIER", "small STANDARD")
	l.expect(40)
}

func TestVersionsExpire(t *testing.T) {
	l := newLab(t, types.BucketVersioningStatusEnabled)
	for range 5 {
		l.put("k", 1)
	}
	l.put("gone", 1)
	l.remove("gone")
	l.rules(types.LifecycleRule{
		Expiration:                  &types.LifecycleExpiration{ExpiredObjectDeleteMarker: aws.Bool(true)},
		NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(2), NewerNoncurrentVersions: aws.Int32(1)},
	}, types.LifecycleRule{
		Filter:                      &types.LifecycleRuleFilter{Prefix: aws.String("gone")},
		NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(5)},
	})
	l.expect(2, "gone marker STANDARD", "k STANDARD STANDARD STANDARD STANDARD STANDARD")
	l.expect(1, "gone marker STANDARD", "k STANDARD STANDARD")
	l.expect(3, "k STANDARD STANDARD") // the version went, and with the last one its marker
}

func TestCurrentVersionsBecomeOlderOnes(t *testing.T) {
	l := newLab(t, types.BucketVersioningStatusEnabled)
	l.put("k", 1)
	l.rules(types.LifecycleRule{Expiration: days(1), NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)}})
	l.expect(2, "k marker STANDARD")
	l.expect(2)
}

func TestLocksOutliveRules(t *testing.T) {
	l := newLab(t, types.BucketVersioningStatusEnabled)
	l.update(func(tx store.Tx) error {
		return l.insert(tx, l.b, &object{Key: "k", Owner: l.b.Account, Attributes: Attributes{Hold: true}})
	})
	l.put("k", 1)
	l.rules(types.LifecycleRule{NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)}})
	l.expect(10, "k STANDARD STANDARD")
}

func TestUploadsExpire(t *testing.T) {
	l := newLab(t, "")
	l.update(func(tx store.Tx) error {
		return uploads.In(tx, global).Put(&upload{Bucket: l.b.ID, Key: "k", ID: "u", Initiated: l.now})
	})
	l.rules(types.LifecycleRule{AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(2)}})
	count := func() (n int) {
		l.update(func(tx store.Tx) error {
			n = 0
			for range uploads.In(tx, global).Scan(store.Query{}) {
				n++
			}
			return nil
		})
		return n
	}
	l.after(2)
	if count() != 1 {
		t.Error("the upload ended too early")
	}
	l.after(1)
	if count() != 0 {
		t.Error("the upload did not end")
	}
}

func TestForgetAccount(t *testing.T) {
	l := newLab(t, types.BucketVersioningStatusEnabled)
	for i := range 250 {
		l.put(fmt.Sprint(i%130), 1)
	}
	l.remove("1")
	l.rules(types.LifecycleRule{Expiration: days(1)})
	l.update(func(tx store.Tx) error {
		if err := uploads.In(tx, global).Put(&upload{Bucket: l.b.ID, Key: "k", ID: "u"}); err != nil {
			return err
		}
		return accessPoints.In(tx, global).Put(&accessPoint{Account: l.b.Account, Region: "r", Name: "p", Alias: "a", Bucket: l.b.Name})
	})
	for range 2 {
		if err := l.ForgetAccount(context.Background(), l.b.Account); err != nil {
			t.Fatal(err)
		}
	}
	l.update(func(tx store.Tx) error {
		for row, err := range tx.Scan(store.PrefixRange("/0/_/_/s3/")) {
			t.Errorf("%q is left, %v", row.Key, err)
		}
		return nil
	})
}

func TestExpirationHeader(t *testing.T) {
	l := newLab(t, "")
	l.put("k", 1)
	l.rules(types.LifecycleRule{Expiration: days(9)}, types.LifecycleRule{Expiration: days(3)})
	l.update(func(tx store.Tx) error {
		o, err := currentOf(tx, l.b, "k")
		if err != nil {
			return err
		}
		got, err := expiration(tx, l.b, o)
		if want := `expiry-date="Mon, 05 Jan 2026 00:00:00 GMT", rule-id="rule1"`; aws.ToString(got) != want {
			t.Errorf("got %s, want %s", aws.ToString(got), want)
		}
		return err
	})
}
