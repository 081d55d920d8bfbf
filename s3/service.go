package s3

import (
	"cmp"
	"context"
	"time"

	"miniaws/awsapi"
	"miniaws/backend/blob"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// Config is what the service stands on.
type Config struct {
	DB store.DB
	// Blobs keeps the bytes of objects.
	Blobs *blob.Store
	// Permissions is asked for each key of DeleteObjects, and whether callers may know what is not there.
	Permissions Permissions
	// Domain is the installation's domain: buckets are BUCKET.s3.DOMAIN, websites BUCKET.s3-website.DOMAIN; empty is mini-aws.internal.
	Domain string
	// Accounts tells which accounts exist, for the grantees of ACLs; nil takes every number.
	Accounts Accounts
	// CheckPolicy refuses what is no resource-based policy at all, in AWS's words; nil leaves it at S3's own checks.
	CheckPolicy func(ctx context.Context, document string) error
	// Devices confirm what MFA delete protects; with nil it cannot be turned on.
	Devices Devices
	// Webhook is the URL that gets what EventBridge would get; empty for none.
	Webhook string
	// ClassicBuckets makes new buckets as AWS did before April 2023: ACLs count and no public access is blocked, unless
	// the request says otherwise. Old test suites expect it.
	ClassicBuckets bool
	// LogsEvery is how long lines of a server access log are gathered for one object; 0 is 5 minutes.
	LogsEvery time.Duration
}

// Accounts is what S3 needs to know of the installation's accounts.
type Accounts interface {
	AccountExists(ctx context.Context, account string) (bool, error)
}

// Service is S3. Its exported methods are operations, on the SDK's types.
type Service struct {
	db     store.DB
	blobs  *blob.Store
	domain string
	// accounts is nil where every account number is taken.
	accounts Accounts
	classic  bool
	webhook  string
	// logsEvery is how long lines of an access log wait. AWS delivers within a few hours.
	logsEvery time.Duration
	// checkDocument is nil where S3's own checks of a policy are all.
	checkDocument func(context.Context, string) error
	// contents are asked by DeleteBucket: each tells whether it keeps something in the bucket that a user stored.
	contents []func(store.Tx, *bucket) (bool, error)
	// observers are told, in the transaction, of every new current version: objects and delete markers.
	observers   []func(store.Tx, *bucket, *object) error
	permissions Permissions
	devices     Devices
	readers     *readers
}

// New makes the service; it starts nothing.
func New(c Config) *Service {
	if c.Permissions == nil {
		panic("s3: nobody to ask for permissions") // a mistake of the program, which must not let anybody in
	}
	s := &Service{
		db: c.DB, blobs: c.Blobs, permissions: c.Permissions, devices: c.Devices, readers: newReaders(), contents: []func(store.Tx, *bucket) (bool, error){holdsObjects},
		domain: cmp.Or(c.Domain, "mini-aws.internal"), accounts: c.Accounts, classic: c.ClassicBuckets, webhook: c.Webhook, logsEvery: cmp.Or(c.LogsEvery, 5*time.Minute), checkDocument: c.CheckPolicy,
	}
	s.observers = append(s.observers, s.replicateNew)
	return s
}

// Register adds S3's operations to the endpoint.
func (s *Service) Register(server *awsapi.Server) {
	s.registerBuckets(server)
	s.registerSettings(server)
	s.registerObjects(server)
	s.registerObjectACLs(server)
	server.SetBrowsers(s)
}

// Reconcile registers what is done after the answer: the removal of parts that nothing refers to any more.
func (s *Service) Reconcile(loop *reconcile.Loop) {
	loop.Handle(kindParts, s.removeParts)
	loop.Handle(kindCompleted, s.forgetCompleted)
	loop.Handle(kindReplicate, s.replicate)
	loop.Handle(kindSweep, s.sweepLifecycle)
	loop.Handle(kindEvents, s.deliverEvents)
	loop.Handle(kindLogs, s.deliverLogs)
}

// Tables are the service's tables, for migrations.
func Tables() []store.Schema {
	return []store.Schema{buckets, settings, accountBlocks, accessPoints, events, logLines, objects, versions, uploads, parts, manifests, completed}
}
