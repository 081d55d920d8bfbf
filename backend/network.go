package backend

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// VPCs makes wanted networks real. It is level-triggered: a caller hands over the whole of one VPC as it should be, as
// often as it likes and after any crash, and gets what is there. It is safe for concurrent use; calls about one VPC are
// done one after the other, and the last one wins.
type VPCs interface {
	// NetworkInfo answers what the network can do here. Kinds: KindUnavailable.
	NetworkInfo(ctx context.Context) (NetworkInfo, error)
	// ApplyVPC makes the VPC as wanted: addresses, routes and rules change in one atomic step, connections that are still
	// allowed and those that were established go on. Applying what is there already costs next to nothing.
	// Peerings whose other side is not applied yet are made when it is.
	// Kinds: KindPermanent (the value contradicts itself; the message says how), KindUnavailable.
	ApplyVPC(ctx context.Context, wanted WantedVPC) (ObservedVPC, error)
	// RemoveVPC removes the network with all that is in it. Interfaces still wired into containers are cut off.
	// Absent is no error. Kinds: KindUnavailable.
	RemoveVPC(ctx context.Context, id string) error
	// ListVPCs answers every VPC of the installation, in the order of their ids. Kinds: KindUnavailable.
	ListVPCs(ctx context.Context) ([]ObservedVPC, error)
}

// Interfaces wires network interfaces into running containers.
type Interfaces interface {
	// AttachENI wires the interface into the container and answers once it carries packets. The interface is one of an
	// applied VPC; where the VPC does not have it yet, this waits some seconds for it. Repeating a call is no error, and
	// after a restart of the container the call with its new PID moves the interface there.
	// Kinds: KindNotFound (no such interface is wanted, or no such process runs), KindInUse (the device's name is taken
	// inside), KindUnavailable.
	AttachENI(ctx context.Context, attachment Attachment) (ObservedENI, error)
	// DetachENI takes the interface out of its container. Absent is no error. Kinds: KindUnavailable.
	DetachENI(ctx context.Context, vpc, eni string) error
}

// Reach connects the gateway with what is inside VPCs, both ways.
type Reach interface {
	// DialVPC connects to an address inside the VPC as its router: it passes by security groups and network ACLs, so only
	// paths that have an authorization of their own (sessions, health checks) may use it. network is "tcp" or "udp".
	// Kinds: KindNotFound (no such VPC), KindUnavailable (nothing answers there).
	DialVPC(ctx context.Context, vpc, network string, address netip.AddrPort) (net.Conn, error)
	// Answer says who answers what instances ask; before it, and without a gateway, they get 503. It takes effect for
	// requests that begin after it.
	Answer(answers Answers)
	// Flows takes what the VPCs' flow logs recorded since the last call, in the order of its beginning within a VPC. One
	// caller at a time. Records that nobody takes are summed up; what is too much is lost, and counted in a record that
	// has nothing but its VPC, its times and Skipped. Kinds: KindUnavailable.
	Flows(ctx context.Context) ([]FlowRecord, error)
}

// PublicDialer connects to public addresses from the engine's host, as somebody outside of every VPC: the packets come by the
// internet gateway, and network ACLs and security groups decide about them. Kinds: KindPermanent (no public address of a
// VPC), KindUnavailable (nothing answers there).
type PublicDialer interface {
	DialPublic(ctx context.Context, address netip.AddrPort) (net.Conn, error)
}

// NetworkLooker is a network of which somebody can be shown what it really is.
type NetworkLooker interface {
	// LookVPC answers what the kernel holds at this moment for the VPC, or for the thing in it that has the id: devices,
	// routes, chains with what they counted. Kinds: KindNotFound (no such VPC is there), KindUnavailable.
	LookVPC(ctx context.Context, vpc, id string) ([]Fact, error)
}

// VPCNetwork is everything that an engine can do about VPCs.
type VPCNetwork interface {
	VPCs
	TransitGateways
	Interfaces
	Reach
	// Close lets go of the connection. Networks go on working.
	Close() error
}

// Answers are the gateway's answers to requests from inside VPCs. [OriginFrom] of a request's context tells who asks.
// A nil handler answers 503.
type Answers struct {
	// Metadata answers http://169.254.169.254 and http://[fd00:ec2::254].
	Metadata http.Handler
	// API answers AWS's API, at [APIAddress] inside a VPC.
	API http.Handler
	// Resolve answers DNS questions under the Delegated names of [WantedDNS]; nil answers that the name does not exist.
	// qtype is the record type's name, such as "A"; records are in presentation format, "NAME TTL IN TYPE VALUE".
	// exists is false for a name that has no records of any type.
	Resolve func(ctx context.Context, vpc, name, qtype string) (records []string, exists bool, err error)
}

// Addresses that every VPC has inside, whatever its ranges.
var (
	// MetadataAddress is the instance metadata service's.
	MetadataAddress = netip.MustParseAddr("169.254.169.254")
	// ResolverAddress is the resolver's second one; its first is the base of the VPC's primary range + 2.
	ResolverAddress = netip.MustParseAddr("169.254.169.253")
	// MetadataAddress6 and ResolverAddress6 are the same two for interfaces with IPv6. The first one answers those alone that
	// want it, see [WantedENI].
	MetadataAddress6 = netip.MustParseAddr("fd00:ec2::254")
	ResolverAddress6 = netip.MustParseAddr("fd00:ec2::253")
	// APIAddress is where AWS's API answers inside a VPC, to those who have a way out: an internet gateway and a public
	// address, a NAT gateway, or a VPC endpoint. Ports 80 and 4566.
	APIAddress = netip.MustParseAddr("169.254.169.250")
)

// Origin tells which interface a request came from. It cannot be forged from inside: packets with other addresses than
// the interface's own are dropped.
type Origin struct {
	VPC, ENI string
	// Source is the private address that the request came from.
	Source netip.Addr
	// Public is the address that the internet would see, of the interface or of its NAT gateway; the zero Addr where the
	// only way to the API is a VPC endpoint.
	Public netip.Addr
	// Endpoints are the ids of VPC endpoints through which the interface's subnet reaches the API, sorted.
	Endpoints []string
	// Addressed is the interface endpoint whose own address the request was sent to; empty where it was [APIAddress].
	Addressed string
}

type originKey struct{}

// WithOrigin puts the origin into the context.
func WithOrigin(ctx context.Context, origin Origin) context.Context {
	return context.WithValue(ctx, originKey{}, origin)
}

// OriginFrom answers the origin of a request from inside a VPC; ok is false for every other request.
func OriginFrom(ctx context.Context) (origin Origin, ok bool) {
	origin, ok = ctx.Value(originKey{}).(Origin)
	return origin, ok
}

// NetworkInfo describes what VPCs are made of on an engine.
type NetworkInfo struct {
	// Name is "node" (kernel namespaces) or "sim".
	Name string `json:"name"`
	// Kernel is the release of the kernel that holds the networks.
	Kernel string `json:"kernel,omitempty"`
	// Missing names what the kernel or the engine lacks, in sentences. The network works as long as Usable.
	Missing []string `json:"missing,omitempty"`
	Usable  bool     `json:"usable"`
	// IPv6 tells whether IPv6 ranges of VPCs carry packets.
	IPv6 bool `json:"ipv6"`
	// Public holds the addresses that may be given out as public ones, all of them; it stays the same for the life of the
	// installation's network.
	Public netip.Prefix `json:"public"`
	// HostReaches tells whether processes on the gateway's machine reach public addresses directly.
	HostReaches bool `json:"hostReaches"`
	// HostSource is the address as which the engine's host comes to public addresses.
	HostSource netip.Addr `json:"hostSource,omitzero"`
	Simulated  bool       `json:"simulated"`
}

// Attachment is one interface in one running container.
type Attachment struct {
	VPC, ENI string
	// Container is the resource id, such as i-0123456789abcdef0, for people who look.
	Container string
	// PID is the container's first process, as [Observed] has it.
	PID int
	// Index is the device index: interface ethINDEX inside; 0 gets the default route.
	Index int
}

// WantedVPC is one VPC as it should be: everything that decides about a packet, and nothing else. Lists may come in any
// order unless their comment says otherwise; ids are AWS's. References to what is not in the value are errors, except
// where a comment says what they mean.
type WantedVPC struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// CIDRs are the IPv4 ranges, the primary first, then the IPv6 ones.
	CIDRs          []netip.Prefix        `json:"cidrs"`
	Subnets        []WantedSubnet        `json:"subnets,omitempty"`
	RouteTables    []WantedRouteTable    `json:"routeTables,omitempty"`
	SecurityGroups []WantedSecurityGroup `json:"securityGroups,omitempty"`
	// ForeignGroups holds the members' private addresses of groups in peered VPCs that rules here refer to. A group that
	// is nowhere is a stale reference: it matches nothing.
	ForeignGroups map[string][]netip.Addr `json:"foreignGroups,omitempty"`
	// ForeignPrefixes holds the prefixes of those members.
	ForeignPrefixes map[string][]netip.Prefix `json:"foreignPrefixes,omitempty"`
	NetworkACLs     []WantedNetworkACL        `json:"networkAcls,omitempty"`
	ENIs            []WantedENI               `json:"enis,omitempty"`
	// InternetGateway is the attached one's id; empty for none, which makes routes to one blackholes.
	InternetGateway string `json:"internetGateway,omitempty"`
	// InternetTable is the route table that is associated with it; empty for none.
	InternetTable string `json:"internetTable,omitempty"`
	// EgressGateways are the ids of egress-only internet gateways: IPv6 goes out by them, and comes in as answers alone.
	EgressGateways []string           `json:"egressGateways,omitempty"`
	NATGateways    []WantedNATGateway `json:"natGateways,omitempty"`
	Peerings       []WantedPeering    `json:"peerings,omitempty"`
	// TransitAttachments are those of transit gateways, at most one of each gateway.
	TransitAttachments []WantedTransitAttachment `json:"transitAttachments,omitempty"`
	Endpoints          []WantedVPCEndpoint       `json:"endpoints,omitempty"`
	DNS                WantedDNS                 `json:"dns"`
	FlowLogs           []WantedFlowLog           `json:"flowLogs,omitempty"`
}

// WantedSubnet is a subnet with what is associated with it, explicitly or by the VPC's defaults.
type WantedSubnet struct {
	ID string `json:"id"`
	// CIDR is the IPv4 range; its first address is the router. IPv6 is the zero Prefix for none.
	CIDR netip.Prefix `json:"cidr"`
	IPv6 netip.Prefix `json:"ipv6,omitzero"`
	// RouteTable and NetworkACL are the effective ones, never empty.
	RouteTable string `json:"routeTable"`
	NetworkACL string `json:"networkAcl"`
	// Internet is what is left of the way to the internet.
	Internet InternetAccess `json:"internet,omitempty"`
}

// WantedRouteTable holds routes besides those to the VPC itself, which every table has.
type WantedRouteTable struct {
	ID     string        `json:"id"`
	Routes []WantedRoute `json:"routes,omitempty"`
}

// WantedRoute sends destinations to a target. The longest destination that matches wins.
type WantedRoute struct {
	// Destinations is one range, or the entries of a prefix list.
	Destinations []netip.Prefix `json:"destinations"`
	// Target is the id that says by its prefix what it is: igw-, eigw-, nat-, eni-, pcx-, tgw-, vpce- (a gateway endpoint).
	// Any other, and one that the value does not have, is a blackhole.
	Target string `json:"target"`
}

// WantedSecurityGroup is a stateful filter of interfaces. What no rule allows is dropped.
type WantedSecurityGroup struct {
	ID      string               `json:"id"`
	Ingress []WantedSecurityRule `json:"ingress,omitempty"`
	Egress  []WantedSecurityRule `json:"egress,omitempty"`
}

// Protocols of rules, as IANA numbers them.
const (
	ProtocolAll    = -1
	ProtocolICMP   = 1
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
)

// WantedSecurityRule allows a protocol from (ingress) or to (egress) any of its ranges and groups.
type WantedSecurityRule struct {
	// Protocol is the IANA number or ProtocolAll.
	Protocol int `json:"protocol"`
	// FromPort and ToPort bound the destination port of TCP and UDP, both included. For ICMP they are type and code, -1
	// for any. For other protocols they mean nothing.
	FromPort int `json:"fromPort"`
	ToPort   int `json:"toPort"`
	// CIDRs are IPv4 and IPv6 ranges, prefix lists among them already as their entries.
	CIDRs []netip.Prefix `json:"cidrs,omitempty"`
	// Groups are ids of groups, of this VPC or of ForeignGroups: their members' private addresses.
	Groups []string `json:"groups,omitempty"`
}

// WantedNetworkACL is a stateless filter between subnets. Entries are tried by their number; what none matches is
// dropped.
type WantedNetworkACL struct {
	ID      string           `json:"id"`
	Ingress []WantedACLEntry `json:"ingress,omitempty"`
	Egress  []WantedACLEntry `json:"egress,omitempty"`
}

// WantedACLEntry is one numbered rule.
type WantedACLEntry struct {
	Number int  `json:"number"`
	Allow  bool `json:"allow"`
	// Protocol, FromPort and ToPort are as in [WantedSecurityRule].
	Protocol int `json:"protocol"`
	FromPort int `json:"fromPort"`
	ToPort   int `json:"toPort"`
	// CIDR is the other side: the source for ingress, the destination for egress.
	CIDR netip.Prefix `json:"cidr"`
}

// WantedENI is a network interface, attached or not.
type WantedENI struct {
	ID     string `json:"id"`
	Subnet string `json:"subnet"`
	// MAC is as AWS writes it, 0a:1b:...
	MAC string `json:"mac"`
	// Addresses are the private ones, the primary first, then IPv4, then IPv6.
	Addresses []netip.Addr `json:"addresses"`
	// Prefixes are parts of the subnet's ranges that are the interface's whole, for what runs behind it: what is for one of their
	// addresses goes to the interface's own address of that family, or to the device where it has none.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	// Public maps private addresses to public ones: Elastic IPs and those assigned at launch.
	Public []WantedPublicAddress `json:"public,omitempty"`
	Groups []string              `json:"groups,omitempty"`
	// SourceDestCheck drops what is neither from nor to the interface's own addresses.
	SourceDestCheck bool `json:"sourceDestCheck"`
	// MTU in bytes; 0 is 9001, AWS's own.
	MTU int `json:"mtu,omitempty"`
	// MetadataHopLimit is how many hops an answer to a request for a metadata token lives; 0 is 1.
	MetadataHopLimit int `json:"metadataHopLimit,omitempty"`
	// MetadataIPv6 lets the interface ask for metadata by IPv6 too.
	MetadataIPv6 bool `json:"metadataIPv6,omitempty"`
}

// Has tells whether the address is one of the interface's own, or of its prefixes.
func (e WantedENI) Has(address netip.Addr) bool {
	return slices.Contains(e.Addresses, address) || slices.ContainsFunc(e.Prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}

// Own is the interface's first address of a family; the zero Addr for none.
func (e WantedENI) Own(ipv6 bool) netip.Addr {
	if i := slices.IndexFunc(e.Addresses, func(a netip.Addr) bool { return a.Is6() == ipv6 }); i >= 0 {
		return e.Addresses[i]
	}
	return netip.Addr{}
}

// WantedPublicAddress is one public address of an interface.
type WantedPublicAddress struct {
	Private netip.Addr `json:"private"`
	Public  netip.Addr `json:"public"`
}

// WantedNATGateway translates what routes send to it.
type WantedNATGateway struct {
	ID string `json:"id"`
	// Subnet is the one it stands in, whose route table says where it sends on: to the internet gateway, which a private one
	// cannot use, or to a transit gateway or a peered VPC, which see its private address.
	Subnet string `json:"subnet"`
	// Private is its address in the subnet. Public is its Elastic IP, the zero Addr for a private NAT gateway.
	Private netip.Addr `json:"private"`
	Public  netip.Addr `json:"public,omitzero"`
	// More are further Elastic IPs, or further private addresses of a private NAT gateway: each connection leaves by one of all.
	More []netip.Addr `json:"more,omitempty"`
}

// InternetAccess is what a subnet is let do by its VPC's internet gateways, whatever its routes say.
type InternetAccess string

// The kinds of access.
const (
	InternetOpen    InternetAccess = ""
	InternetOutward InternetAccess = "outward" // by NAT gateways and egress-only gateways alone
	InternetBlocked InternetAccess = "blocked"
)

// WantedPeering is one side of an active peering connection. Routes on both sides decide what passes.
type WantedPeering struct {
	ID string `json:"id"`
	// VPC is the other side's id, of the same installation.
	VPC string `json:"vpc"`
}

// WantedVPCEndpoint lets subnets reach AWS's API without a way to the internet. Which calls it lets through is the
// API's decision, by [Origin].
type WantedVPCEndpoint struct {
	ID string `json:"id"`
	// RouteTables are those that have a gateway endpoint.
	RouteTables []string `json:"routeTables,omitempty"`
	// ENIs are an interface endpoint's, which the whole VPC reaches as their security groups allow.
	ENIs []string `json:"enis,omitempty"`
}

// WantedDNS is what the VPC's resolver knows.
type WantedDNS struct {
	// Enabled is the VPC attribute enableDnsSupport: without it nothing answers.
	Enabled bool `json:"enabled"`
	// Zones are answered from here alone; the longest one that matches wins.
	Zones []WantedZone `json:"zones,omitempty"`
	// Delegated are names below which [Answers].Resolve knows.
	Delegated []string `json:"delegated,omitempty"`
	// Forwarders are asked for everything else, in this order; empty asks the engine host's own.
	Forwarders []netip.AddrPort `json:"forwarders,omitempty"`
}

// WantedZone is a DNS zone. Names are absolute and end in a dot.
type WantedZone struct {
	Name string `json:"name"`
	// Records are in presentation format: "NAME TTL IN TYPE VALUE".
	Records []string `json:"records,omitempty"`
}

// WantedFlowLog says whose packets are recorded.
type WantedFlowLog struct {
	ID string `json:"id"`
	// Resource is the id of the VPC, of a subnet or of an interface.
	Resource string `json:"resource"`
	// Accepted and Rejected say which packets.
	Accepted bool `json:"accepted"`
	Rejected bool `json:"rejected"`
}

// ObservedVPC is what is there.
type ObservedVPC struct {
	ID string `json:"id"`
	// Applied is the time of the last change that was made, on the engine host's clock.
	Applied time.Time `json:"applied"`
	// ENIs are the attached interfaces, in the order of their ids.
	ENIs []ObservedENI `json:"enis,omitempty"`
	// Problems are sentences about what could not be made real; empty when all is as wanted.
	Problems []string `json:"problems,omitempty"`
	// Namespace is the kernel's name of it, such as net:[4026532000], for people who look; empty when simulated.
	Namespace string `json:"namespace,omitempty"`
	Simulated bool   `json:"simulated"`
}

// ObservedENI is one attached interface.
type ObservedENI struct {
	ID, VPC, Container string
	PID, Index         int
	// Device is the interface's name on the VPC's side; empty when simulated.
	Device string `json:",omitempty"`
	// Counters of bytes and packets as the instance sees them.
	RxBytes, TxBytes, RxPackets, TxPackets uint64
	Simulated                              bool
}

// FlowRecord is one line of a flow log: one direction of a conversation in one span of time, as seen at one interface.
type FlowRecord struct {
	VPC, Subnet, ENI     string
	Source, Destination  netip.Addr
	SourcePort, DestPort uint16
	// Protocol is the IANA number.
	Protocol       int
	Packets, Bytes uint64
	Start, End     time.Time
	Accepted       bool
	// Ingress tells that the packets went to the interface.
	Ingress bool
	// TCPFlags are the flags seen, as AWS's tcp-flags field has them; 0 where they are not known.
	TCPFlags int
	// Reason is why packets were rejected where it is no rule of a group or a network ACL: BPA, the block of public access.
	Reason string
	// Skipped is how many records were lost before this one.
	Skipped uint64
}
