package s3

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// changes are what was said of a version after it was replicated. They are in its record until its replicas know them, and
// nothing else is carried: a replica may have locks of its own.
type changes uint8

const (
	changedTags changes = 1 << iota
	changedACL
	changedRetention
	changedHold
)

// replicateChange is told of a version whose tags, ACL or locks changed. Those of a version that was not replicated are not
// either, and those of a replica where a rule wants it.
// AWS: "What does Amazon S3 replicate?"; "Replicating metadata changes with replica modification sync".
func replicateChange(tx store.Tx, b *bucket, o *object, what changes) error {
	if !b.Has[kindReplication] || o.Replication == "" {
		return nil
	}
	config, err := findSetting[types.ReplicationConfiguration](tx, b.Name, kindReplication, "")
	if err != nil || config == nil || len(rulesFor(config, o)) == 0 {
		return err
	}
	if o.Replication != replicationPending || o.Changed != 0 { // else it is copied whole
		o.Changed |= what
	}
	if o.Replication == replicationCompleted {
		o.Replication = replicationPending
	}
	return wantReplica(tx, b, o)
}

// known tells that a version has nothing that its replicas lack.
func (o *object) known() bool {
	return o.Changed == 0 && (o.Replication == replicationCompleted || o.Replication == replicationReplica)
}

// syncsReplicas tells whether a rule is for what changes at replicas, too.
func syncsReplicas(r types.ReplicationRule) bool {
	c := r.SourceSelectionCriteria
	return c != nil && c.ReplicaModifications != nil && c.ReplicaModifications.Status == types.ReplicaModificationsStatusEnabled
}

// carry brings what changed at a version to the same version in another bucket. No lock becomes weaker by it, but for a legal
// hold that somebody took off.
func carry(tx store.Tx, from, to *bucket, o, had *object, r types.ReplicationRule) error {
	if o.Changed == 0 {
		return nil
	}
	if o.Replication == replicationReplica {
		if takes, err := takesBack(tx, to, from, had); !takes || err != nil {
			return err
		}
	}
	if o.Changed&changedTags != 0 {
		had.Tags = o.Tags
	}
	if o.Changed&changedACL != 0 && from.acls() && to.acls() && had.Owner == o.Owner && r.Destination.AccessControlTranslation == nil {
		had.ACL = o.ACL
	}
	if from.Locked && to.Locked {
		if o.Changed&changedRetention != 0 && !had.Retention.weakenedBy(o.Retention, tx.Now()) {
			had.Retention = o.Retention
		}
		if o.Changed&changedHold != 0 {
			had.Hold, had.HoldOff = o.Hold, o.HoldOff
		}
	}
	current, err := currentOf(tx, to, had.Key)
	if err != nil {
		return err
	}
	return had.update(tx, current)
}

// takesBack tells whether a bucket wants to know what changes at its version's replica in another one.
// AWS: "Replicating metadata changes with replica modification sync": it has to be enabled on both buckets.
func takesBack(tx store.Tx, b, from *bucket, o *object) (bool, error) {
	if !b.Has[kindReplication] {
		return false, nil
	}
	config, err := findSetting[types.ReplicationConfiguration](tx, b.Name, kindReplication, "")
	if err != nil || config == nil {
		return false, err
	}
	return slices.ContainsFunc(rulesFor(config, o), func(r types.ReplicationRule) bool {
		return syncsReplicas(r) && strings.TrimPrefix(aws.ToString(r.Destination.Bucket), "arn:aws:s3:::") == from.Name
	}), nil
}
