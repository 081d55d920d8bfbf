package s3

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/blob"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// pair is a bucket "lab" that replicates to a bucket "copies", with an object "k" of which the copy is made.
type pair struct {
	*lab
	copies *bucket
}

const version = "v1"

// newPair makes the pair. Sync are the buckets whose rules are for what changes at replicas, too; with a rule of its own
// "copies" replicates back.
func newPair(t *testing.T, change func(source, copies *bucket, o *object), sync ...string) *pair {
	p := &pair{newLab(t, types.BucketVersioningStatusEnabled), &bucket{
		Name: "copies", ID: "b-2", Account: "123456789012", Region: "us-east-1", Versioning: types.BucketVersioningStatusEnabled,
	}}
	o := &object{Bucket: p.b.ID, Key: "k", Order: version, Owner: p.b.Account, Attributes: Attributes{Replication: replicationPending}}
	change(p.b, p.copies, o)
	written, err := p.blobs.Write(t.Context(), strings.NewReader("x"), blob.WriteOptions{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.blobs.Discard(written)
	o.Blob = written.Ref
	p.update(func(tx store.Tx) error {
		for from, to := range map[*bucket]*bucket{p.b: p.copies, p.copies: p.b} {
			if from == p.b || len(sync) > 0 {
				rule := types.ReplicationRule{
					Status: types.ReplicationRuleStatusEnabled, Priority: aws.Int32(1), Filter: &types.ReplicationRuleFilter{},
					Destination: &types.Destination{Bucket: aws.String("arn:aws:s3:::" + to.Name)},
				}
				if slices.Contains(sync, from.Name) {
					rule.SourceSelectionCriteria = &types.SourceSelectionCriteria{ReplicaModifications: &types.ReplicaModifications{Status: types.ReplicaModificationsStatusEnabled}}
				}
				from.mark(kindReplication, true)
				if err := putSetting(tx, from.Name, kindReplication, "", types.ReplicationConfiguration{Rules: []types.ReplicationRule{rule}}); err != nil {
					return err
				}
			}
			if err := buckets.In(tx, global).Put(from); err != nil {
				return err
			}
		}
		if err := p.blobs.Keep(tx, written); err != nil {
			return err
		}
		return objects.In(tx, global).Put(o)
	})
	p.replicated("lab")
	if p.version("copies") == nil {
		t.Fatal("there is no replica")
	}
	return p
}

// replicated lets what is to be copied from a bucket be copied.
func (p *pair) replicated(bucket string) {
	p.t.Helper()
	if _, err := p.replicate(p.t.Context(), reconcile.Item{Kind: kindReplicate, ID: bucket + "/" + version + "/k"}); err != nil {
		p.t.Fatal(err)
	}
}

// version is the object's in a bucket; nil if it is gone.
func (p *pair) version(bucket string) (o *object) {
	p.t.Helper()
	p.update(func(tx store.Tx) error {
		b, err := findBucket(tx, bucket)
		if err != nil {
			return err
		}
		o, err = p.ordered(tx, b, "k", version)
		return err
	})
	return o
}

func (p *pair) ctx() context.Context {
	return awsapi.InContext(p.t.Context(), &awsapi.Request{Time: p.now, Region: p.b.Region, Principal: awsapi.Principal{Account: "123456789012", Root: true}})
}

// tag tags the version in a bucket, and lets that be copied.
func (p *pair) tag(bucket string) {
	p.t.Helper()
	_, err := p.PutObjectTagging(p.ctx(), &s3.PutObjectTaggingInput{Bucket: &bucket, Key: aws.String("k"), Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("t"), Value: aws.String("1")}}}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.replicated(bucket)
}

func (p *pair) retain(bucket string, mode types.ObjectLockRetentionMode, until time.Time, bypass bool) {
	p.t.Helper()
	_, err := p.PutObjectRetention(p.ctx(), &s3.PutObjectRetentionInput{
		Bucket: &bucket, Key: aws.String("k"), Retention: &types.ObjectLockRetention{Mode: mode, RetainUntilDate: &until}, BypassGovernanceRetention: &bypass,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.replicated(bucket)
}

func (p *pair) hold(bucket string, status types.ObjectLockLegalHoldStatus) {
	p.t.Helper()
	_, err := p.PutObjectLegalHold(p.ctx(), &s3.PutObjectLegalHoldInput{Bucket: &bucket, Key: aws.String("k"), LegalHold: &types.ObjectLockLegalHold{Status: status}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.replicated(bucket)
}

func locked(source, copies *bucket, _ *object) { source.Locked, copies.Locked = true, true }

// TestChangesLeaveLocks: what was said of a version is carried, and no lock of another version is lost by it.
func TestChangesLeaveLocks(t *testing.T) {
	p := newPair(t, locked)
	far := p.now.AddDate(4, 0, 0)
	p.retain("copies", types.ObjectLockRetentionModeCompliance, far, false)
	p.hold("copies", types.ObjectLockLegalHoldStatusOn)
	p.tag("lab")
	if o := p.version("copies"); len(o.Tags) != 1 || o.Retention == nil || !o.Retention.Until.Equal(far) || !o.Hold {
		t.Errorf("a tag of the source leaves the replica %+v", o.Attributes)
	}
	for _, c := range []struct {
		mode  types.ObjectLockRetentionMode
		years int
		want  time.Time
	}{
		{types.ObjectLockRetentionModeGovernance, 2, far},
		{types.ObjectLockRetentionModeGovernance, 5, far},
		{types.ObjectLockRetentionModeCompliance, 6, p.now.AddDate(6, 0, 0)},
	} {
		p.retain("lab", c.mode, p.now.AddDate(c.years, 0, 0), true)
		if r := p.version("copies").Retention; r == nil || r.Mode != types.ObjectLockRetentionModeCompliance || !r.Until.Equal(c.want) {
			t.Errorf("%s of %d years at the source leaves the replica %+v", c.mode, c.years, r)
		}
	}
	p.hold("lab", types.ObjectLockLegalHoldStatusOff)
	if o := p.version("copies"); o.holdStatus() != types.ObjectLockLegalHoldStatusOff {
		t.Errorf("a hold that was taken off is %q at the replica", o.holdStatus())
	}
}

// TestChangesComeBack: a replica's changes come back where both buckets want it, and bring nothing of what its bucket lacks.
func TestChangesComeBack(t *testing.T) {
	owner := []grant{{"123456789012", types.PermissionFullControl}, {"210987654321", types.PermissionRead}}
	guarded := func(source, copies *bucket, o *object) {
		source.Locked = true
		copies.Ownership = types.ObjectOwnershipBucketOwnerEnforced
		o.ACL, o.Hold = owner, true
		o.Retention = &retention{types.ObjectLockRetentionModeCompliance, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	for name, c := range map[string]struct {
		sync []string
		want int
	}{
		"both want it":         {[]string{"lab", "copies"}, 1},
		"the source does not":  {[]string{"copies"}, 0},
		"the replica does not": {[]string{"lab"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, guarded, c.sync...)
			p.tag("copies")
			if o := p.version("lab"); len(o.Tags) != c.want || o.Retention == nil || !o.Hold || !slices.Equal(o.ACL, owner) || o.Replication != replicationCompleted {
				t.Errorf("after a tag of the replica the original is %+v", o.Attributes)
			}
		})
	}
}

// TestRemovedReplica: what was removed for good does not come back with a change of the source.
func TestRemovedReplica(t *testing.T) {
	p := newPair(t, locked)
	p.update(func(tx store.Tx) error {
		o, err := p.ordered(tx, p.copies, "k", version)
		if err != nil {
			return err
		}
		return p.Service.remove(tx, o, o)
	})
	p.tag("lab")
	if o := p.version("copies"); o != nil {
		t.Errorf("the replica is back: %+v", o)
	}
	if o := p.version("lab"); o.Replication != replicationCompleted {
		t.Errorf("the source is %s", o.Replication)
	}
}
