package cloudtrail

import (
	"context"
	"sync"
	"time"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// Buckets is where trails deliver.
type Buckets interface {
	// PutLog writes an object as the service cloudtrail.amazonaws.com, which the bucket's policy has to allow; the owner is
	// the account whose trail it is. Metadata are the object's own. Errors carry S3's codes.
	PutLog(ctx context.Context, log Log) error
}

// Log is an object to deliver.
type Log struct {
	Account, Region string // of the events
	// Source is the trail's ARN, which the bucket's policy may ask about.
	Source      string
	Bucket, Key string
	ContentType string
	Body        []byte
	Metadata    map[string]string
}

// Config of the service.
type Config struct {
	DB store.DB
	// Key seals the keys that sign digests.
	Key    seal.Key
	Region string
	// Buckets is nil where there is no S3: then trails cannot be made.
	Buckets Buckets
	// Retention is how long events are kept (90 days, as in AWS), MaxBytes how many bytes of them in each account and
	// region, packed (256 MiB).
	Retention time.Duration
	MaxBytes  int64
	// DeliverEvery and DigestEvery are the times between two files of a trail (5 minutes) and two digests (an hour).
	DeliverEvery, DigestEvery time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service is CloudTrail.
type Service struct {
	config Config
	queue  queue
	feed   feed
	// known has the places whose row is written.
	known sync.Map
	// selecting remembers which accounts have trails that want data events.
	selecting selections
}

var _ awsapi.Recorder = (*Service)(nil)

// New makes the service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Retention == 0 {
		c.Retention = 90 * 24 * time.Hour
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 256 << 20
	}
	if c.DeliverEvery == 0 {
		c.DeliverEvery = 5 * time.Minute
	}
	if c.DigestEvery == 0 {
		c.DigestEvery = time.Hour
	}
	return &Service{config: c}
}

// Tables are those of this package, for [store.Migrate].
func Tables() []store.Schema {
	return []store.Schema{events, dataEvents, hours, places, trails, files, signingKeys}
}

// Reconcile writes what waits in memory, delivers, and removes what is old.
func (s *Service) Reconcile(loop *reconcile.Loop) {
	loop.Sweep("audit events", time.Second, s.Flush)
	loop.Sweep("audit retention", 10*time.Minute, s.removeOld)
	loop.Sweep("log files of trails", min(s.config.DeliverEvery, 15*time.Second), s.deliver)
}

// Register adds the operations.
func (s *Service) Register(server *awsapi.Server) {
	server.Register(meta.CloudTrail, awsapi.Op(s.LookupEvents, lookupAccess))
	if s.config.Buckets == nil {
		return // a trail has nowhere to deliver
	}
	server.Register(meta.CloudTrail,
		awsapi.Op(s.CreateTrail, s.createTrailAccess),
		awsapi.Op(s.GetTrail, s.getTrailAccess),
		awsapi.Op(s.DescribeTrails, describeTrailsAccess),
		awsapi.Op(s.ListTrails, listTrailsAccess),
		awsapi.Op(s.UpdateTrail, s.updateTrailAccess),
		awsapi.Op(s.DeleteTrail, s.deleteTrailAccess),
		awsapi.Op(s.StartLogging, s.startLoggingAccess),
		awsapi.Op(s.StopLogging, s.stopLoggingAccess),
		awsapi.Op(s.GetTrailStatus, s.getTrailStatusAccess),
		awsapi.Op(s.PutEventSelectors, s.putEventSelectorsAccess),
		awsapi.Op(s.GetEventSelectors, s.getEventSelectorsAccess),
		awsapi.Op(s.ListPublicKeys, listPublicKeysAccess),

		awsapi.Op(s.AddTags, s.addTagsAccess),
		awsapi.Op(s.RemoveTags, s.removeTagsAccess),
		awsapi.Op(s.ListTags, s.listTagsAccess),
	)
}

// ForgetAccount drops what is remembered of the account; all its rows are in its own part of the tree, but for the
// places, which are harmless.
func (s *Service) ForgetAccount(ctx context.Context, account string) error {
	if err := s.Flush(ctx); err != nil {
		return err
	}
	s.selecting.forget(account)
	s.known.Range(func(key, _ any) bool {
		if key.(place).Account == account {
			s.known.Delete(key)
		}
		return true
	})
	return nil
}

// where answers the scope of the call's region, and of what is the account's in all regions.
func where(ctx context.Context) (regional, account store.Scope) {
	r := awsapi.FromContext(ctx)
	return store.Scope{Account: r.Principal.Account, Region: r.Region}, store.Scope{Account: r.Principal.Account}
}
