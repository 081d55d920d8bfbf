package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"miniaws/awsapi"
	"miniaws/backend"
	"miniaws/backend/blob"
	"miniaws/backend/guestlink"
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/session"
	"miniaws/backend/sim"
	"miniaws/backend/store"
	"miniaws/cloudtrail"
	"miniaws/ec2"
	"miniaws/iam"
	"miniaws/iam/policy"
	"miniaws/organizations"
	"miniaws/s3"
	"miniaws/ssm"
)

// cloudConfig is what a cloud stands on. Everything in it belongs to the caller, who closes it after the cloud's loop
// has ended.
type cloudConfig struct {
	DB store.DB
	// Key seals secrets at rest.
	Key seal.Key
	// Engine may be one that does not answer: only what needs it fails then.
	Engine backend.Engine
	// Network makes VPCs real; nil simulates them.
	Network backend.VPCNetwork
	// Installation is the random id on every object of ours on an engine.
	Installation string
	// Data is the folder for bytes that are not in the store.
	Data string
	// Account is the twelve digits of the account whose root user Root is.
	Account, Region, Domain string
	Root                    iam.RootKey
	// AtRest is how bytes of objects are kept: "sealed" or "plain".
	AtRest string
	// TrailEvery and DigestEvery are the times between two log files and two digests of a trail; 0 is AWS's.
	TrailEvery, DigestEvery time.Duration
	// FlowLogsEvery is the time between two deliveries of a VPC flow log; 0 is the flow log's own interval.
	FlowLogsEvery time.Duration
	// Recorders are told of every call, before the audit is.
	Recorders []awsapi.Recorder
	// S3EventsWebhook gets what S3 sends to EventBridge; ClassicBuckets makes buckets as AWS did before April 2023.
	S3EventsWebhook string
	ClassicBuckets  bool
	// S3LogsEvery is how long lines of a server access log wait for others; 0 is 5 minutes.
	S3LogsEvery time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// cloud is everything behind the endpoint: the services, and the loop that makes true what they want.
type cloud struct {
	api *awsapi.Server
	// front is api with what is served by host names beside it: websites.
	front      http.Handler
	loop       *reconcile.Loop
	identities *iam.Service
	audit      *cloudtrail.Service
	machines   *ec2.Service
	links      *guestlink.Links
	sessions   *session.Sessions
	services   []service
}

// service is what each service package offers.
type service interface {
	Register(*awsapi.Server)
}

// reconciled is a service that has things to make true.
type reconciled interface {
	Reconcile(*reconcile.Loop)
}

// forgetful is a service that keeps something of an account outside of the account's own part of the tree: names that are
// unique among all accounts, files.
type forgetful interface {
	// ForgetAccount removes it, before the account's part of the tree goes.
	ForgetAccount(ctx context.Context, account string) error
}

// tables are those of every package that keeps records. A new service adds its line here (1 of 3).
func tables() []store.Schema {
	return slices.Concat(
		reconcile.Tables(),
		blob.Tables(),
		iam.Tables(),
		cloudtrail.Tables(),
		organizations.Tables(),
		s3.Tables(),
		ssm.Tables(),
		ec2.Tables(),
	)
}

// newCloud makes the services over a store whose tables are migrated.
func newCloud(c cloudConfig) *cloud {
	if c.Now == nil {
		c.Now = time.Now
	}
	_, simulated := c.Network.(*sim.Network)
	if c.Network == nil {
		c.Network, simulated = sim.OpenNetwork(c.Now), true
	}
	// A new service is made here, of what it needs and of what it needs of others (2 of 3).
	identities := iam.New(iam.Config{DB: c.DB, Key: c.Key, Account: c.Account, Root: c.Root, Region: c.Region, Now: c.Now})

	blobs := newBlobs(c)
	buckets := s3.New(s3.Config{DB: c.DB, Blobs: blobs, Permissions: identities, Devices: identities, Accounts: knownAccounts{identities}, Domain: c.Domain, Webhook: c.S3EventsWebhook, ClassicBuckets: c.ClassicBuckets, LogsEvery: c.S3LogsEvery, CheckPolicy: identities.CheckResourcePolicy})

	orgs := organizations.New(organizations.Config{DB: c.DB, Accounts: accountMaker{identities, c.Domain}, CheckPolicy: checkGuardrail, CheckDelegation: checkResourcePolicy})
	identities.KnowOrganizations(&guardrails{organizations: orgs})

	links := guestlink.New(c.Key.Bytes("guest links"))
	made := &cloud{loop: reconcile.New(c.DB, reconcile.Options{}), identities: identities, links: links, sessions: session.New(links)}

	_, engineSimulated := c.Engine.(*sim.Engine)
	guestEndpoint := ""
	if !simulated { // the API's address in a VPC is the node agent's
		guestEndpoint = "http://api." + c.Domain
	}
	var systems *ssm.Service
	made.machines = ec2.New(ec2.Config{
		DB: c.DB, Key: c.Key, Network: c.Network, Simulated: simulated, Domain: c.Domain, RoleSession: roleSession(identities),
		Engine: c.Engine, EngineSimulated: engineSimulated, Init: instanceInit, FindProfile: findProfile(identities), GuestEndpoint: guestEndpoint,
		HostEndpoints: hostEndpoints(c.Network), LinkToken: links.Token, Reachable: links.Reachable, CheckPolicy: checkResourcePolicy, FlowLogBuckets: flowLogBuckets{made}, FlowLogsEvery: c.FlowLogsEvery, Now: c.Now,
		Parameter: func(ctx context.Context, account, region, name string) (string, string, error) {
			return systems.ImageParameter(ctx, account, region, name)
		},
	})
	identities.KnowHolder(ec2Principal, made.machines.HoldsRole)
	systems = ssm.New(ssm.Config{
		DB: c.DB, Seal: c.Key.Sealer("ssm"), Public: publicParameters, Machines: managedMachines(made.machines), Machine: managedMachine(made.machines), Home: made.machines.HomeOf,
		Links: links, Sessions: made.sessions, HasImage: made.machines.HasImage, PutOutput: commandBuckets{made}.PutOutput,
		BucketRegion: buckets.RegionOf,
	})

	// Whom the authorizer asks about the tags and policies of resources, by the service in their ARNs.
	for name, source := range map[string]any{"organizations": orgs, "s3": buckets, "ssm": systems, "ec2": made.machines} {
		identities.KnowResources(name, source)
	}

	made.audit = cloudtrail.New(cloudtrail.Config{
		DB: c.DB, Key: c.Key, Region: c.Region, Buckets: trailBuckets{made}, DeliverEvery: c.TrailEvery, DigestEvery: c.DigestEvery, Now: c.Now,
	})
	identities.KnowResources("cloudtrail", made.audit)

	// And it is named here (3 of 3).
	services := []service{
		made.audit,
		identities,
		orgs,
		buckets,
		buckets.Control(),
		systems,
		made.machines,
	}

	made.services = services
	made.api = awsapi.NewServer(awsapi.Options{
		Identities: identities,
		Authorizer: identities,
		Endpoints:  made.machines,
		Region:     c.Region,
		Domain:     c.Domain,
		Hold:       store.Hold,
		AtOnce:     answersAtOnce,
		Recorders:  append(slices.Clone(c.Recorders), made.audit, buckets),
		Now:        c.Now,
		Unavailable: func(err error) bool {
			return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLong)
		},
	})
	made.front = made.channels(buckets.Websites(made.api, made.api))
	blobs.Reconcile(made.loop)
	for _, s := range services {
		s.Register(made.api)
		if r, ok := s.(reconciled); ok {
			r.Reconcile(made.loop)
		}
	}
	return made
}

// checkResourcePolicy refuses what is no policy of a resource, in AWS's words.
func checkResourcePolicy(document string) error {
	_, err := policy.Parse(policy.Resource, document)
	return err
}

// knownAccounts are the identities as grantees of ACLs are looked up.
type knownAccounts struct{ identities *iam.Service }

func (k knownAccounts) AccountExists(ctx context.Context, account string) (bool, error) {
	_, err := k.identities.Account(ctx, account)
	if errors.Is(err, iam.ErrNoAccount) {
		return false, nil
	}
	return err == nil, err
}

// newBlobs is where the bytes of objects are.
func newBlobs(c cloudConfig) *blob.Store {
	return blob.New(blob.Config{DB: c.DB, Files: blob.OpenFolder(filepath.Join(c.Data, "blobs")), Key: c.Key, Plain: c.AtRest == "plain"})
}

// publicParameters are those that AWS publishes in Systems Manager: ids of AMIs.
func publicParameters(region string) []ssm.PublicParameter {
	var all []ssm.PublicParameter
	for _, p := range ec2.PublicParameters(region) {
		all = append(all, ssm.PublicParameter(p))
	}
	return all
}
