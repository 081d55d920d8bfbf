package ec2

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// Config of the service.
type Config struct {
	DB store.DB
	// Key seals what instances hold to identify themselves, and the key that signs their identity documents.
	Key seal.Key
	// Simulated says that nothing real runs behind the records.
	Simulated bool
	// Domain is that of the installation's own names.
	Domain string
	// Network makes VPCs real; nil where nothing does, and then records are confirmed as they are.
	Network Network
	// Engine runs instances; nil leaves them pending. EngineSimulated says that nothing real runs in it.
	Engine          Compute
	EngineSimulated bool
	// Init answers the program that is PID 1 of instances.
	Init func() (InitBinary, error)
	// FindProfile answers an instance profile of an account by its name; nil knows none.
	FindProfile func(ctx context.Context, account, name string) (Profile, error)
	// Parameter answers the value and the data type of a parameter of Systems Manager, "" for none; nil knows none.
	Parameter func(ctx context.Context, account, region, name string) (value, typ string, err error)
	// RoleSession begins a session of the role for the instance; nil gives instances none.
	RoleSession func(ctx context.Context, roleARN string, who RoleHolder) (RoleCredentials, error)
	// FlowLogBuckets writes what flow logs deliver; nil delivers nothing. FlowLogsEvery is the time between two deliveries;
	// 0 is each flow log's own interval.
	FlowLogBuckets FlowLogBuckets
	FlowLogsEvery  time.Duration
	// Now is the clock of deliveries; nil is time.Now.
	Now func() time.Time
	// CheckPolicy refuses what is no resource-based policy; nil takes every JSON document.
	CheckPolicy func(document string) error
	// LinkToken answers what the init of an instance shows to offer sessions; nil for none.
	LinkToken func(instance string) string
	// Reachable answers whether an instance's init answers, and since when that is so: zero where it never did. nil takes
	// every instance that runs for well.
	Reachable func(instance string) (answers bool, since time.Time)
	// GuestEndpoint is the URL of the API from inside an instance; empty for none.
	GuestEndpoint string
	// HostEndpoints are ports of the gateway's machine; nil where there are none.
	HostEndpoints HostEndpoints
}

// Service is EC2.
type Service struct {
	config Config
	kinds  []taggable
	flows  flowWindows
	engine engineState
	began  time.Time
	public publicRange
	// tokens seals those of the metadata service, secrets what is at rest.
	tokens, secrets *seal.Sealer
	remembered      rememberedAnswers
	signer          openSigner
	// portsOpened tells that every VPC was wanted for its ports of the gateway's machine.
	portsOpened atomic.Bool
}

// New makes the service.
func New(c Config) *Service {
	s := &Service{
		config: c, kinds: append(vpcKinds(), instanceKinds()...),
		tokens: c.Key.Sealer("ec2/metadata-tokens"), secrets: c.Key.Sealer("ec2/secrets"),
	}
	s.began = s.now()
	return s
}

// Register adds the operations.
func (s *Service) Register(server *awsapi.Server) {
	s.registerVPC(server)
	s.registerInstances(server)
	s.registerConnect(server)
	s.registerEventWindows(server)
	s.registerFleets(server)
	s.registerSpotFleets(server)
	s.registerCapacityReservations(server)
}

// Tables are the tables of this package, for [store.Migrate].
func Tables() []store.Schema {
	return append(vpcTables(), instanceTables()...)
}

// Reconcile registers what makes wanted state true.
func (s *Service) Reconcile(loop *reconcile.Loop) {
	s.reconcileVPC(loop)
	s.reconcileInstances(loop)
}

// tx is a transaction of one account in one region.
type tx struct {
	store.Tx
	scope     store.Scope
	simulated bool
	// public is the range of public addresses; invalid while it is not known.
	public netip.Prefix
	// hosts are ports of the gateway's machine; nil for none.
	hosts HostEndpoints
	// failed is where [tx.fail] writes; nil outside of transactions.
	failed *error
	// pieces is what answers are made of; nil where few are made.
	pieces *pieces
}

// fail lets the transaction fail with the error, if it is one: for those who cannot answer it, as the values of filters.
func (t tx) fail(err error) {
	if t.failed != nil && *t.failed == nil {
		*t.failed = err
	}
}

// end answers what the transaction ends with, after its function answered err.
func (t tx) end(err error) error {
	if err == nil {
		return *t.failed
	}
	return err
}

// scopeOf is where a request's records live.
func scopeOf(ctx context.Context) store.Scope {
	r := awsapi.FromContext(ctx)
	return store.Scope{Account: r.Principal.Account, Region: r.Region}
}

func (s *Service) tx(t store.Tx, scope store.Scope) tx {
	return tx{t, scope, s.config.Simulated, s.public.known(), s.config.HostEndpoints, new(error), &pieces{}}
}

// ForgetAccount removes what an account has outside of its own part of the tree, before that part goes.
func (s *Service) ForgetAccount(ctx context.Context, account string) error {
	return s.config.DB.Update(ctx, func(t store.Tx) error {
		for row, err := range knownFlowLogs.In(t, store.Scope{}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if row.Account == account {
				if err := knownFlowLogs.In(t, store.Scope{}).Delete(row.ID); err != nil {
					return err
				}
			}
		}
		rows := publicAddresses.In(t, store.Scope{})
		for row, err := range rows.Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if row.Account == account {
				if err := rows.Delete(row.Address); err != nil {
					return err
				}
			}
		}
		for row, err := range knownNetworks.In(t, store.Scope{}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if row.Account == account {
				if err := reconcile.Want(t, reconcile.Item{Kind: kindOfNetwork(row.VPC), Account: row.Account, Region: row.Region, ID: row.VPC}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// errNoNetwork ends a View of an account that has no default network in this region yet.
var errNoNetwork = errors.New("the default network is still to be made")

// view runs fn on a snapshot of the caller's account and region, in which the default network exists.
func (s *Service) view(ctx context.Context, fn func(tx) error) error {
	scope := scopeOf(ctx)
	for {
		err := s.config.DB.View(ctx, func(t store.Tx) error {
			in := s.tx(t, scope)
			made, err := networks.In(in, scope).Find(networkID)
			switch {
			case err != nil:
				return err
			case made == nil:
				return errNoNetwork
			}
			return in.end(fn(in))
		})
		if !errors.Is(err, errNoNetwork) {
			return err
		}
		if err := s.update(ctx, func(tx) error { return nil }); err != nil {
			return err
		}
	}
}

// update runs fn in a transaction of the caller's account and region, in which the default network exists. It may run
// more than once.
func (s *Service) update(ctx context.Context, fn func(tx) error) error {
	return s.updateIn(ctx, scopeOf(ctx), func(t tx) error {
		if err := ensureNetwork(t); err != nil {
			return err
		}
		return fn(t)
	})
}

// updateIn is update for reconcilers, which work for no request; nothing is made by the way.
func (s *Service) updateIn(ctx context.Context, scope store.Scope, fn func(tx) error) error {
	return s.config.DB.Update(ctx, func(t store.Tx) error {
		in := s.tx(t, scope)
		return in.end(fn(in))
	})
}

// viewIn is updateIn on a snapshot.
func (s *Service) viewIn(ctx context.Context, scope store.Scope, fn func(tx) error) error {
	return s.config.DB.View(ctx, func(t store.Tx) error {
		in := s.tx(t, scope)
		return in.end(fn(in))
	})
}
