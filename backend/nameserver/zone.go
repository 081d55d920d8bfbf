package nameserver

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"miniaws/backend/lazyregexp"
)

// Zone is what the server knows.
type Zone struct {
	// Domain is the installation's, such as mini-aws.internal.
	Domain string
	// Region is one whose name need not look like one of AWS's.
	Region string
	// Endpoint and Server answer the addresses at which the endpoint and this server are reached by who asks.
	Endpoint, Server func(asker netip.Addr) []netip.Addr
	// Instance answers the address that an instance's public name leads to. With an invalid address the name is known to be
	// nobody's if ours is true, else it may be somebody's elsewhere. The name is in lower case, without the last dot.
	Instance func(ctx context.Context, name string) (address netip.Addr, ours bool, err error)
	// Pointer answers the name of a public address, without the last dot; "" and ours are as an invalid address and ours of
	// Instance.
	Pointer func(ctx context.Context, address netip.Addr) (name string, ours bool, err error)
}

const (
	// lifetime is how long an answer may be kept, in seconds.
	lifetime = 60
	// maxMessage is the largest answer in one packet, in bytes, whatever the asker would take: what no network fragments.
	maxMessage = 1232
	// readPatience is how long a question waits for the store.
	readPatience = 2 * time.Second
	// serverLabel is this server's own name below the domain.
	serverLabel = "ns"
)

// ServeDNS answers one question.
func (z *Zone) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	packet := w.RemoteAddr().Network() == "udp"
	asker, _ := netip.ParseAddrPort(w.RemoteAddr().String())
	_ = w.WriteMsg(z.answer(question, asker.Addr().Unmap(), packet)) // whoever asked may be gone
}

// answer makes the reply, which fits into a packet if it has to.
func (z *Zone) answer(question *dns.Msg, asker netip.Addr, packet bool) *dns.Msg {
	reply := new(dns.Msg)
	reply.Compress = true
	size := dns.MinMsgSize
	if len(question.Question) != 1 {
		return reply.SetRcode(question, dns.RcodeFormatError)
	}
	reply.SetReply(question)
	options := question.IsEdns0()
	switch asked := question.Question[0]; {
	case question.Opcode != dns.OpcodeQuery:
		reply.Rcode = dns.RcodeNotImplemented
	case options != nil && options.Version() != 0:
		reply.Rcode = dns.RcodeBadVers
	case asked.Qclass != dns.ClassINET, asked.Qtype == dns.TypeAXFR, asked.Qtype == dns.TypeIXFR:
		reply.Rcode = dns.RcodeRefused
	default:
		z.look(reply, asked, asker)
	}
	if options != nil {
		reply.SetEdns0(maxMessage, false)
		size = min(max(size, int(options.UDPSize())), maxMessage)
	}
	if !packet {
		size = dns.MaxMsgSize
	}
	reply.Truncate(size)
	return reply
}

// look finds the name.
func (z *Zone) look(reply *dns.Msg, asked dns.Question, asker netip.Addr) {
	name := strings.TrimSuffix(strings.ToLower(asked.Name), ".")
	if name == z.Domain {
		z.apex(reply, asked)
		return
	}
	below, ok := strings.CutSuffix(name, "."+z.Domain)
	if address, reverse := reversed(name); reverse {
		z.pointer(reply, asked, name, address)
		return
	}
	if !ok {
		z.instance(reply, asked, name)
		return
	}
	reply.Authoritative = true
	z.below(reply, asked, below, asker)
	z.denied(reply, z.Domain)
}

// below answers about a name below the domain.
func (z *Zone) below(reply *dns.Msg, asked dns.Question, below string, asker netip.Addr) {
	var addresses []netip.Addr
	switch z.kindOf(strings.Split(below, ".")) {
	case unknown:
		reply.Rcode = dns.RcodeNameError
	case endpoint:
		addresses = z.Endpoint(asker)
	case self:
		addresses = z.Server(asker)
	case parent:
	}
	addAddresses(reply, asked, addresses)
}

// Records answers what there is of a type below the domain, in presentation format, for resolvers elsewhere that ask this one:
// those of VPCs. qtype is a type's name, such as "A"; exists is false for a name that there is not.
func (z *Zone) Records(name, qtype string, asker netip.Addr) (records []string, exists bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	below, ok := strings.CutSuffix(name, "."+z.Domain)
	if !ok {
		return nil, name == z.Domain
	}
	reply := new(dns.Msg)
	z.below(reply, dns.Question{Name: dns.Fqdn(name), Qtype: dns.StringToType[qtype], Qclass: dns.ClassINET}, below, asker)
	for _, record := range reply.Answer {
		records = append(records, record.String())
	}
	return records, reply.Rcode != dns.RcodeNameError
}

// reversed answers the address whose name is looked for below in-addr.arpa.
func reversed(name string) (netip.Addr, bool) {
	written, ok := strings.CutSuffix(name, ".in-addr.arpa")
	if !ok {
		return netip.Addr{}, false
	}
	labels := strings.Split(written, ".")
	slices.Reverse(labels)
	address, err := netip.ParseAddr(strings.Join(labels, "."))
	return address, err == nil && address.Is4()
}

// pointer answers about the name of an address.
func (z *Zone) pointer(reply *dns.Msg, asked dns.Question, name string, address netip.Addr) {
	ctx, enough := context.WithTimeout(context.Background(), readPatience)
	defer enough()
	leads, ours, err := z.Pointer(ctx, address)
	if leads != "" && (asked.Qtype == dns.TypePTR || asked.Qtype == dns.TypeANY) {
		reply.Answer = append(reply.Answer, &dns.PTR{Hdr: header(asked.Name, dns.TypePTR), Ptr: dns.Fqdn(leads)})
	}
	z.settle(reply, name, leads != "", ours, err)
}

// instance answers about a name that is not below the domain.
func (z *Zone) instance(reply *dns.Msg, asked dns.Question, name string) {
	ctx, enough := context.WithTimeout(context.Background(), readPatience)
	defer enough()
	address, ours, err := z.Instance(ctx, name)
	if address.IsValid() {
		addAddresses(reply, asked, []netip.Addr{address})
	}
	z.settle(reply, name, address.IsValid(), ours, err)
}

// settle says what became of a name that somebody else was asked about: whether something has it, and else whether nobody but us
// could know.
func (z *Zone) settle(reply *dns.Msg, name string, found, ours bool, err error) {
	switch {
	case err != nil:
		slog.Warn("a name cannot be looked up", "name", name, "error", err)
		reply.Answer, reply.Rcode = nil, dns.RcodeServerFailure
		return
	case !found && !ours:
		reply.Rcode = dns.RcodeRefused
		return
	case !found:
		reply.Rcode = dns.RcodeNameError
	}
	reply.Authoritative = true
	_, above, _ := strings.Cut(name, ".")
	z.denied(reply, above)
}

// kind is what a name below the domain is.
type kind int

const (
	unknown kind = iota
	// endpoint is where the endpoint answers, self this server's own name.
	endpoint
	self
	// parent is no host's name itself, but names are below it.
	parent
)

var regionPattern = lazyregexp.New(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)

// kindOf tells what the labels below the domain name. Names of buckets have dots, and need not be those of buckets that are
// there: as in AWS, it is the endpoint that says so.
func (z *Zone) kindOf(labels []string) kind {
	last := labels[len(labels)-1]
	labels = labels[:len(labels)-1]
	region, website := strings.CutPrefix(last, "s3-website-")
	switch {
	case last == "api", last == "s3":
		return endpoint
	case last == serverLabel && len(labels) == 0:
		return self
	case last == "s3-website", website && z.isRegion(region):
		return belowParent(len(labels) > 0)
	case !z.isRegion(last):
		return unknown
	case len(labels) == 0:
		return parent
	}
	// AWS: "Amazon S3 endpoints and quotas": dual-stack and FIPS names, which are the same endpoint here.
	last = labels[len(labels)-1]
	labels = labels[:len(labels)-1]
	if last == "dualstack" && len(labels) > 0 {
		last, labels = labels[len(labels)-1], labels[:len(labels)-1]
	}
	last = strings.TrimSuffix(last, "-fips")
	switch {
	case last == "s3":
		return endpoint
	case last == "s3-website":
		return belowParent(len(labels) > 0)
	case last == "s3-control" && (len(labels) == 0 || len(labels) == 1 && isAccount(labels[0])):
		return endpoint
	case last == "s3-accesspoint" && len(labels) == 0:
		return parent
	case last == "s3-accesspoint" && len(labels) == 1:
		if dash := strings.LastIndexByte(labels[0], '-'); dash > 0 && isAccount(labels[0][dash+1:]) {
			return endpoint
		}
	}
	return unknown
}

func belowParent(is bool) kind {
	if is {
		return endpoint
	}
	return parent
}

func (z *Zone) isRegion(name string) bool { return name == z.Region || regionPattern.MatchString(name) }

func isAccount(label string) bool {
	return len(label) == 12 && strings.Trim(label, "0123456789") == ""
}

// apex answers about the domain itself.
func (z *Zone) apex(reply *dns.Msg, asked dns.Question) {
	reply.Authoritative = true
	if asked.Qtype == dns.TypeSOA || asked.Qtype == dns.TypeANY {
		reply.Answer = append(reply.Answer, z.soa(z.Domain))
	}
	if asked.Qtype == dns.TypeNS || asked.Qtype == dns.TypeANY {
		reply.Answer = append(reply.Answer, &dns.NS{Hdr: header(asked.Name, dns.TypeNS), Ns: z.server()})
	}
	z.denied(reply, z.Domain)
}

// denied adds what says how long a name or a type may be believed to be missing, if the answer is that it is.
func (z *Zone) denied(reply *dns.Msg, zone string) {
	if len(reply.Answer) == 0 {
		reply.Ns = append(reply.Ns, z.soa(zone))
	}
}

func (z *Zone) server() string { return serverLabel + "." + dns.Fqdn(z.Domain) }

func (z *Zone) soa(zone string) *dns.SOA {
	return &dns.SOA{
		Hdr: header(dns.Fqdn(zone), dns.TypeSOA), Ns: z.server(), Mbox: "hostmaster." + dns.Fqdn(z.Domain),
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 5, // nobody copies the zone; what is missing now may come soon
	}
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: lifetime}
}

// addAddresses answers with those addresses that are of the type that is asked for.
func addAddresses(reply *dns.Msg, asked dns.Question, addresses []netip.Addr) {
	for _, address := range addresses {
		switch {
		case address.Is4() && (asked.Qtype == dns.TypeA || asked.Qtype == dns.TypeANY):
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header(asked.Name, dns.TypeA), A: address.AsSlice()})
		case address.Is6() && (asked.Qtype == dns.TypeAAAA || asked.Qtype == dns.TypeANY):
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header(asked.Name, dns.TypeAAAA), AAAA: address.AsSlice()})
		}
	}
}

// Reached answers the addresses at which the asker reaches what listens at the address: that one, or for "every address" the
// one of this machine on the way to the asker.
func Reached(listens, asker netip.Addr) []netip.Addr {
	listens = listens.Unmap().WithZone("")
	if !listens.IsUnspecified() {
		return []netip.Addr{listens}
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch {
	case asker.IsLoopback() && listens.Is6(): // which takes both families
		return []netip.Addr{loopback, netip.IPv6Loopback()}
	case asker.IsLoopback():
		return []netip.Addr{loopback}
	case listens.Is4() && asker.Is6():
		return nil
	}
	// No packet goes out for this: the kernel only chooses the way.
	way, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(asker, 9)))
	if err != nil {
		return nil
	}
	defer func() { _ = way.Close() }() // nothing was sent
	return []netip.Addr{way.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")}
}
