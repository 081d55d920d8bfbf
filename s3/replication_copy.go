package s3

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/blob"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// kindReplicate is the reconcile loop's kind of a version that is to be replicated: BUCKET/VERSION/KEY.
const kindReplicate = "s3.replicate"

// The states of a version whose bucket replicates it, and of the copies.
// AWS: "Getting replication status information".
const (
	replicationPending   = "PENDING"
	replicationCompleted = "COMPLETED"
	replicationFailed    = "FAILED"
	replicationReplica   = "REPLICA"
)

// replicateNew is told of every new current version. Replicas are not replicated again.
func (s *Service) replicateNew(tx store.Tx, b *bucket, o *object) error {
	if !b.Has[kindReplication] || o.Replication == replicationReplica {
		return nil
	}
	config, err := findSetting[types.ReplicationConfiguration](tx, b.Name, kindReplication, "")
	if err != nil || config == nil || len(rulesFor(config, o)) == 0 {
		return err
	}
	if !o.Marker {
		o.Replication = replicationPending
		if err := objects.In(tx, global).Put(o); err != nil {
			return err
		}
	}
	return wantReplica(tx, b, o)
}

func wantReplica(tx store.Tx, b *bucket, o *object) error {
	return reconcile.Want(tx, reconcile.Item{Kind: kindReplicate, Account: b.Account, Region: b.Region, ID: b.Name + "/" + o.Order + "/" + o.Key})
}

// rulesFor are the rules that a version is replicated by: for each destination the one of the highest priority.
func rulesFor(config *types.ReplicationConfiguration, o *object) []types.ReplicationRule {
	var fits []types.ReplicationRule
	for _, r := range config.Rules {
		if r.Status == types.ReplicationRuleStatusEnabled && replicates(r, o) && (o.Replication != replicationReplica || syncsReplicas(r)) {
			fits = append(fits, r)
		}
	}
	slices.SortStableFunc(fits, func(a, b types.ReplicationRule) int {
		return cmp.Compare(aws.ToInt32(b.Priority), aws.ToInt32(a.Priority))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(fits, func(r types.ReplicationRule) bool {
		bucket := aws.ToString(r.Destination.Bucket)
		again := seen[bucket]
		seen[bucket] = true
		return again
	})
}

func replicates(r types.ReplicationRule, o *object) bool {
	prefix := aws.ToString(r.Prefix) //nolint:staticcheck // how rules were filtered first
	var tags []types.Tag
	if f := r.Filter; f != nil {
		prefix = aws.ToString(f.Prefix)
		if f.Tag != nil {
			tags = []types.Tag{*f.Tag}
		}
		if f.And != nil {
			prefix, tags = aws.ToString(f.And.Prefix), f.And.Tags
		}
	}
	if !strings.HasPrefix(o.Key, prefix) {
		return false
	}
	if o.Marker {
		// AWS: "Replicating delete markers between buckets": rules of the first version replicate them by themselves.
		d := r.DeleteMarkerReplication
		return len(tags) == 0 && (r.Filter == nil && d == nil || d != nil && d.Status == types.DeleteMarkerReplicationStatusEnabled)
	}
	return !slices.ContainsFunc(tags, func(t types.Tag) bool {
		return !slices.Contains(o.Tags, tag{aws.ToString(t.Key), aws.ToString(t.Value)})
	})
}

// errCannotReplicate: the destination does not take replicas.
var errCannotReplicate = errors.New("the destination does not take replicas")

// replicate copies a version to where the rules of now want it.
func (s *Service) replicate(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	parts := strings.SplitN(item.ID, "/", 3)
	if len(parts) != 3 {
		return 0, nil
	}
	name, order, key := parts[0], parts[1], parts[2]
	return 0, s.db.Update(ctx, func(tx store.Tx) error {
		b, err := findBucket(tx, name)
		if err != nil || b == nil {
			return err
		}
		o, err := s.ordered(tx, b, key, order)
		if err != nil || o == nil || o.known() {
			return err
		}
		config, err := findSetting[types.ReplicationConfiguration](tx, b.Name, kindReplication, "")
		if err != nil || config == nil {
			return err
		}
		status := replicationCompleted
		for _, r := range rulesFor(config, o) {
			switch err := s.replicateTo(tx, b, o, r); {
			case errors.Is(err, errCannotReplicate):
				status = replicationFailed
			case err != nil:
				return err
			}
		}
		if o.Marker {
			return nil
		}
		if o.Changed = 0; o.Replication != replicationReplica {
			o.Replication = status
		}
		current, err := currentOf(tx, b, key)
		if err != nil || current == nil {
			return err
		}
		return o.update(tx, current)
	})
}

// ordered finds a version by its order; nil if it is gone.
func (s *Service) ordered(tx store.Tx, b *bucket, key, order string) (*object, error) {
	current, err := currentOf(tx, b, key)
	if err != nil || current == nil || current.Order == order {
		return current, err
	}
	return versions.In(tx, global).Find(b.ID, key, order)
}

// replicateTo puts a version into the destination of a rule, with its id and its time.
func (s *Service) replicateTo(tx store.Tx, b *bucket, o *object, r types.ReplicationRule) error {
	target, err := findBucket(tx, strings.TrimPrefix(aws.ToString(r.Destination.Bucket), "arn:aws:s3:::"))
	switch {
	case err != nil:
		return err
	case target == nil || target.ID == b.ID || target.Versioning != types.BucketVersioningStatusEnabled:
		return errCannotReplicate
	}
	had, err := s.ordered(tx, target, o.Key, o.Order)
	switch {
	case err != nil:
		return err
	case had != nil:
		return carry(tx, b, target, o, had, r) // the bytes of a version never change
	case o.Replication == replicationReplica || o.Replication == replicationPending && o.Changed != 0:
		return nil // it was there: what was removed does not come back with a change
	}
	replica := *o
	replica.Bucket, replica.NullOrder, replica.Null, replica.Replication, replica.Changed = target.ID, "", false, replicationReplica, 0
	if class := r.Destination.StorageClass; class != "" {
		replica.Class = ""
		if class != types.StorageClassStandard {
			replica.Class = string(class)
		}
	}
	if !target.acls() || r.Destination.AccessControlTranslation != nil {
		replica.Owner, replica.ACL = target.Account, nil
	}
	if !target.Locked {
		replica.Retention, replica.Hold, replica.HoldOff = nil, false, false
	}
	current, err := currentOf(tx, target, o.Key)
	if err != nil {
		return err
	}
	if err := s.shareBytes(tx, &replica); err != nil {
		return err
	}
	if current != nil && current.Order < replica.Order {
		return versions.In(tx, global).Put(&replica) // a newer one is there already
	}
	if current != nil {
		if replica.NullOrder = current.NullOrder; current.Null {
			replica.NullOrder = current.Order
		}
		if err := s.replace(tx, current, false); err != nil {
			return err
		}
	}
	if err := objects.In(tx, global).Put(&replica); err != nil {
		return err
	}
	return s.observe(tx, target, &replica)
}

// shareBytes gives a copy of a record its own hold on the bytes.
func (s *Service) shareBytes(tx store.Tx, o *object) (err error) {
	switch {
	case o.Marker:
		return nil
	case o.Parts != nil:
		return shareManifest(tx, o.Parts)
	}
	o.Blob, err = s.blobs.Share(tx, o.Blob)
	if errors.Is(err, blob.ErrGone) {
		return errCannotReplicate
	}
	return err
}
