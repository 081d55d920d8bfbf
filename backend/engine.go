package backend

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"net/netip"
	"time"
)

// Labels that every object of ours carries on an engine. Nothing without [LabelOwner] of this installation is ever
// changed or removed.
const (
	// LabelOwner holds the installation id: random, made once for a data folder.
	LabelOwner = "mini-aws.owner"
	// LabelAccount holds the twelve digits of the AWS account.
	LabelAccount = "mini-aws.account"
	// LabelRegion holds the AWS region's code.
	LabelRegion = "mini-aws.region"
	// LabelID holds the resource id, such as i-0123456789abcdef0.
	LabelID = "mini-aws.id"
	// LabelRole is on what serves the installation itself, such as the node agent, and on nothing that stands for a
	// resource: lists leave it out.
	LabelRole = "mini-aws.role"
)

// Compute runs containers. An implementation works for one installation: it sees, lists and touches only what carries
// that installation's [LabelOwner]. All methods are safe for concurrent use; Ensure, Start, Stop and Remove are
// idempotent, so a caller that crashed between the call and its own note of it just calls again.
type Compute interface {
	// Ensure makes the container exist, without starting it, and answers what is there. One that exists already is
	// answered as it is, whatever its state: a changed spec takes Remove and Ensure.
	// Kinds: KindImageNotFound, KindNotFound (its network or files are not there), KindUnavailable, KindPermanent (the
	// engine refuses the spec).
	Ensure(ctx context.Context, spec Spec) (Observed, error)
	// Start runs the container and answers once its first process runs. Starting a running one is no error.
	// Kinds: KindNotFound, KindUnavailable, KindPermanent (its command cannot be executed).
	Start(ctx context.Context, id string) (Observed, error)
	// Stop sends the stop signal, waits at most grace (rounded up to whole seconds), then kills. It answers once the
	// container has ended. Stopping one that does not run is no error. Kinds: KindNotFound, KindUnavailable.
	Stop(ctx context.Context, id string, grace time.Duration) (Observed, error)
	// Resize changes what a container may use, running or not: CPUs and bytes of memory as in [Spec].
	// Kinds: KindNotFound, KindUnavailable, KindPermanent (the engine refuses the limits).
	Resize(ctx context.Context, id string, cpus float64, memoryBytes int64) error
	// Changes yields the ids of the installation's containers whose state changed, as it happens. The first is "" and says
	// that the feed stands: what happened before is not in it. It ends with the context, or with an error of
	// KindUnavailable when the engine went away.
	Changes(ctx context.Context) iter.Seq2[string, error]
	// Remove kills the container if it runs and removes it with its own layer. Absent is no error.
	// Kinds: KindUnavailable.
	Remove(ctx context.Context, id string) error
	// Inspect answers what is there now. Kinds: KindNotFound, KindUnavailable.
	Inspect(ctx context.Context, id string) (Observed, error)
	// List answers every container of the installation, in the order of their ids; the sweep starts from it.
	// Kinds: KindUnavailable.
	List(ctx context.Context) ([]Observed, error)
	// Logs copies what the container printed since its first start, standard output and error in the order in which
	// the engine holds them, at most the last limit bytes. Kinds: KindNotFound, KindUnavailable, KindUnsupported.
	Logs(ctx context.Context, id string, out io.Writer, limit int64) error
	// Stats answers one reading of a running container. Kinds: KindNotFound (also when it does not run),
	// KindUnavailable, KindUnsupported.
	Stats(ctx context.Context, id string) (Stats, error)
	// Commit makes an image, named ref, of the container's file system as it is, without the values of the spec's Env.
	// A running container is paused meanwhile. Kinds: KindNotFound, KindUnavailable, KindUnsupported.
	Commit(ctx context.Context, id, ref string) error
}

// Images knows which images an engine holds, and gets more.
type Images interface {
	// HasImage tells whether the engine holds the image. Kinds: KindUnavailable.
	HasImage(ctx context.Context, ref string) (bool, error)
	// EnsureImage gets the image from its registry unless the engine holds it. Kinds: KindImageNotFound (neither the
	// engine nor the registry has it, or no registry answers: the message says which), KindUnavailable.
	EnsureImage(ctx context.Context, ref string) error
	// RemoveImage removes one that Commit made for this installation; any other is left alone. Absent is no error.
	// Kinds: KindInUse, KindUnavailable.
	RemoveImage(ctx context.Context, ref string) error
}

// Networks makes the plain networks on which containers sit that nobody wires from outside.
type Networks interface {
	// EnsureNetwork makes the network exist and answers it; one that exists already is answered as it is.
	// Kinds: KindInUse (the wanted range overlaps another network's, or none is free), KindUnavailable.
	EnsureNetwork(ctx context.Context, spec NetworkSpec) (Network, error)
	// RemoveNetwork removes it. Absent is no error. Kinds: KindInUse (a container is on it), KindUnavailable.
	RemoveNetwork(ctx context.Context, id string) error
	// ListNetworks answers every network of the installation, in the order of their ids. Kinds: KindUnavailable.
	ListNetworks(ctx context.Context) ([]Network, error)
}

// Files brings files to the engine's side, where containers see them and cannot change them.
type Files interface {
	// EnsureFiles makes a volume that holds exactly these files. The id says what they are, for example by a digest:
	// a volume whose content differs is filled again, and can then not be in use.
	// Kinds: KindInUse, KindUnavailable.
	EnsureFiles(ctx context.Context, id string, files fs.FS) error
	// RemoveFiles removes the volume. Absent is no error. Kinds: KindInUse (a container has it), KindUnavailable.
	RemoveFiles(ctx context.Context, id string) error
	// ListFiles answers the ids of the installation's volumes of files, sorted. Kinds: KindUnavailable.
	ListFiles(ctx context.Context) ([]string, error)
}

// Object is anything that carries the installation's label on an engine.
type Object struct {
	// Kind is "container", "network", "volume" or "image".
	Kind string
	// EngineID is the engine's own identifier, Name what people see.
	EngineID, Name      string
	ID, Account, Region string
}

// Fact is one thing that is so about a resource at this moment, for people who look behind it.
type Fact struct {
	// Name says what it is about in a word or two: "container", "address", "file".
	Name string `json:"name"`
	// Value may have several lines.
	Value string `json:"value"`
}

// Inventory knows all that an installation has on an engine, also what no contract above would list.
type Inventory interface {
	// Everything answers all objects, containers first. Kinds: KindUnavailable.
	Everything(ctx context.Context) ([]Object, error)
	// RemoveEverything removes them all and calls removed after each. It goes on after an error and answers all of them.
	// Kinds: KindInUse, KindUnavailable.
	RemoveEverything(ctx context.Context, removed func(Object)) error
}

// Looker is an engine of which somebody can be shown what a container is made of.
type Looker interface {
	// Look answers it for the container with the id. Kinds: KindNotFound, KindUnavailable.
	Look(ctx context.Context, id string) ([]Fact, error)
}

// Engine is one place where things run.
type Engine interface {
	Compute
	Images
	Networks
	Files
	// Info answers what the engine is, as health and doctor show it. Kinds: KindUnavailable.
	Info(ctx context.Context) (Info, error)
	// Close lets go of the connection. What runs goes on running.
	Close() error
}

// Info describes an engine.
type Info struct {
	// Name is "docker" or "sim".
	Name string `json:"name"`
	// Version is the engine's own, API the version that both sides speak; empty for the simulated engine.
	Version string `json:"version,omitempty"`
	API     string `json:"api,omitempty"`
	// CgroupVersion is "1" or "2", StorageDriver such as "overlay2".
	CgroupVersion string `json:"cgroupVersion,omitempty"`
	StorageDriver string `json:"storageDriver,omitempty"`
	// CPUs and MemoryBytes are what the engine can hand out in all.
	CPUs        int   `json:"cpus,omitempty"`
	MemoryBytes int64 `json:"memoryBytes,omitempty"`
	// Simulated is true where nothing real runs behind a resource.
	Simulated bool `json:"simulated"`
}

// Spec is a wanted container. The engine object's name and labels derive from it, so the same spec always means the
// same container.
type Spec struct {
	// ID is the resource id; letters, digits and hyphens.
	ID              string
	Account, Region string
	// Image is a reference such as "debian:12".
	Image string
	// Entrypoint replaces the image's, Command follows it; both empty runs what the image says.
	Entrypoint, Command []string
	// Env holds NAME=value.
	Env []string
	// Hostname is the name inside; empty leaves it to the engine.
	Hostname string
	// CPUs is the share of cores, 0 for no limit; MemoryBytes likewise.
	CPUs        float64
	MemoryBytes int64
	// PIDs bounds how many processes and threads the container may have at once, 0 for no limit.
	PIDs int64
	// DNS are the resolvers that the container asks, Search the domains for names without dots; none leaves both to the
	// engine.
	DNS    []netip.Addr
	Search []string
	// Network is the id of a network of ours; empty leaves the container with its loopback interface alone.
	Network string
	// Address is the wanted one in the network's range; the zero Addr leaves it to the engine.
	Address netip.Addr
	// Files maps an absolute path inside to the id of files that are seen there, read-only.
	Files map[string]string
}

// NetworkSpec is a wanted network.
type NetworkSpec struct {
	ID, Account, Region string
	// Range is the wanted IPv4 range; the zero Prefix takes a free /16.
	Range netip.Prefix
}

// Network is a network that exists.
type Network struct {
	ID, Account, Region string
	EngineID            string
	Range               netip.Prefix
	// Gateway is the engine host's own address in it, the zero Addr where nothing real is behind it.
	Gateway netip.Addr
}

// FreeRanges are the /16 ranges to try, in this order, for a network that wants any. The first is the one that AWS gives
// to default VPCs.
func FreeRanges() []netip.Prefix {
	ranges := []netip.Prefix{netip.MustParsePrefix("172.31.0.0/16")}
	for second := byte(255); second >= 192; second-- {
		ranges = append(ranges, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second, 0, 0}), 16))
	}
	return ranges
}

// State is where a container is in its life.
type State string

// The states that an engine confirms.
const (
	// StateCreated has never run.
	StateCreated State = "created"
	StateRunning State = "running"
	// StateExited has run and does not now.
	StateExited State = "exited"
)

// Observed is what the engine says of a container, now.
type Observed struct {
	ID              string
	Account, Region string
	// EngineID is the engine's own name for it, for people who look behind it.
	EngineID string
	State    State
	// Address is the container's on its network: fixed from its start on where the spec names it, else set while it
	// runs. The zero Addr where it has none.
	Address netip.Addr
	// PID is its first process as the engine's host counts, 0 unless running.
	PID int
	// ExitCode is the first process's, meaningful when exited; 137 is a kill.
	ExitCode int
	// OutOfMemory tells that the kernel killed it at its memory limit.
	OutOfMemory bool
	// Reason is the engine's own words about a start that failed; empty otherwise.
	Reason string
	// Started and Ended are the last start and end, zero until they happened, in the engine host's clock. An exited
	// container's end is never before its start; a running one keeps its earlier end.
	Started, Ended time.Time
	Simulated      bool
}

// Stats is one reading of a running container's use, all counted since its start except MemoryBytes.
type Stats struct {
	Read           time.Time
	CPU            time.Duration
	MemoryBytes    int64
	NetworkRxBytes int64
	NetworkTxBytes int64
	DiskReadBytes  int64
	DiskWriteBytes int64
}
