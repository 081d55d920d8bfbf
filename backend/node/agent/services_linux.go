package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"miniaws/backend"
	"miniaws/backend/node/plan"
	"miniaws/backend/node/protocol"
	"miniaws/backend/relay"
)

// services are the listeners inside one VPC's namespace.
type services struct {
	agent *Agent
	vpc   string
	names *names

	listeners []net.Listener
	servers   []*dns.Server
	// ipv6 tells that the listeners of IPv6 are there too.
	ipv6 bool
	// slots bound the connections that are open at once.
	slots chan struct{}

	mu   sync.Mutex
	view view
}

// view is what answering needs of the VPC: replaced as a whole, so that nobody waits for the agent's lock.
type view struct {
	wanted backend.WantedVPC
	place  plan.Place
	enis   map[netip.Addr]backend.WantedENI
}

func viewOf(v *vpc) view {
	now := view{wanted: v.Wanted, place: v.place, enis: map[netip.Addr]backend.WantedENI{}}
	for _, eni := range v.Wanted.ENIs {
		for _, address := range eni.Addresses {
			now.enis[address] = eni
		}
	}
	return now
}

// owner answers the interface that has the address, by itself or in a prefix.
func (v view) owner(address netip.Addr) (backend.WantedENI, bool) {
	if eni, ok := v.enis[address]; ok {
		return eni, true
	}
	i := slices.IndexFunc(v.wanted.ENIs, func(e backend.WantedENI) bool { return len(e.Prefixes) > 0 && e.Has(address) })
	if i < 0 {
		return backend.WantedENI{}, false
	}
	return v.wanted.ENIs[i], true
}

// connectionsPerVPC bounds metadata and API connections of one VPC; each of its instances keeps one.
const connectionsPerVPC = 4096

// serve makes the listeners unless they are there, and tells them what the VPC is now.
func (a *Agent) serve(v *vpc) error {
	if v.services == nil {
		made := &services{agent: a, vpc: v.Wanted.ID, names: newNames(a, v.Wanted.ID), slots: make(chan struct{}, connectionsPerVPC)}
		if err := v.router.Run(func() error { return made.open(plan.Resolver(v.Wanted)) }); err != nil {
			made.close()
			return fmt.Errorf("listeners inside the VPC: %w", err)
		}
		v.services = made
	}
	if v.hasIPv6() && !v.services.ipv6 {
		if err := v.router.Run(v.services.open6); err != nil {
			return fmt.Errorf("listeners inside the VPC for IPv6: %w", err)
		}
		v.services.ipv6 = true
	}
	v.services.mu.Lock()
	v.services.view = viewOf(v)
	v.services.mu.Unlock()
	v.services.names.set(v.Wanted.DNS)
	return nil
}

// open runs on a thread inside the namespace.
func (s *services) open(resolver netip.Addr) error {
	metadata, err := s.listen(backend.MetadataAddress, 80)
	if err != nil {
		return err
	}
	go s.take(metadata, s.metadata)
	for _, port := range plan.APIPorts {
		api, err := s.listen(backend.APIAddress, port)
		if err != nil {
			return err
		}
		go s.take(api, s.api)
	}
	return errors.Join(s.resolve(resolver), s.resolve(backend.ResolverAddress))
}

// open6 is open for IPv6, once the VPC has it.
func (s *services) open6() error {
	metadata, err := s.listen(backend.MetadataAddress6, 80)
	if err != nil {
		return err
	}
	if err := s.resolve(backend.ResolverAddress6); err != nil {
		return errors.Join(err, metadata.Close())
	}
	go s.take(metadata, s.metadata)
	return nil
}

func (s *services) listen(address netip.Addr, port int) (net.Listener, error) {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(address, uint16(port)).String())
	if err == nil {
		s.listeners = append(s.listeners, listener)
	}
	return listener, err
}

// resolve answers questions about names at the address.
func (s *services) resolve(address netip.Addr) error {
	stream, err := s.listen(address, 53)
	if err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp", netip.AddrPortFrom(address, 53).String())
	if err != nil {
		return errors.Join(err, stream.Close())
	}
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s.names}, {Listener: stream, Handler: s.names}} {
		s.servers = append(s.servers, server)
		go func() { _ = server.ActivateAndServe() }() // ends when it is closed
	}
	return nil
}

func (s *services) close() {
	for _, listener := range s.listeners {
		_ = listener.Close()
	}
	for _, server := range s.servers {
		if server.PacketConn != nil {
			_ = server.PacketConn.Close()
		}
	}
}

// take answers each connection until the listener is closed.
func (s *services) take(listener net.Listener, answer func(*net.TCPConn, netip.Addr)) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				slog.Error("a listener inside a VPC ended", "vpc", s.vpc, "error", err)
			}
			return
		}
		select {
		case s.slots <- struct{}{}:
		default:
			_ = connection.Close()
			continue
		}
		go func() {
			defer func() { <-s.slots }()
			tcp := connection.(*net.TCPConn)
			from := connection.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
			answer(tcp, from)
		}()
	}
}

func (s *services) current() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

// metadata tunnels a connection to the gateway with the interface that it came from.
func (s *services) metadata(connection *net.TCPConn, from netip.Addr) {
	eni, ok := s.current().owner(from)
	if !ok {
		_ = connection.Close()
		return
	}
	reader := bufio.NewReader(connection)
	// A container inside the instance is one hop further away: answers to requests for a token must not get there
	// unless the instance's owner wants it.
	if method, err := reader.Peek(4); err == nil && string(method) == "PUT " {
		limit := eni.MetadataHopLimit
		if limit == 0 {
			limit = 1
		}
		if err := setHops(connection, limit); err != nil {
			slog.Warn("hop limit", "eni", eni.ID, "error", err)
		}
	}
	s.tunnel(connection, reader, protocol.Stream{Kind: protocol.StreamMetadata, Origin: backend.Origin{VPC: s.vpc, ENI: eni.ID, Source: from}})
}

func setHops(connection *net.TCPConn, limit int) error {
	raw, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	level, option := unix.IPPROTO_IP, unix.IP_TTL
	if from := connection.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); from.Is6() && !from.Is4In6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	err = raw.Control(func(fd uintptr) { setErr = unix.SetsockoptInt(int(fd), level, option, limit) })
	return errors.Join(err, setErr)
}

// addressed answers the address that a connection was sent to, before the kernel translated it.
func addressed(connection *net.TCPConn) (netip.Addr, error) {
	raw, err := connection.SyscallConn()
	if err != nil {
		return netip.Addr{}, err
	}
	const originalDestination = 80 // SO_ORIGINAL_DST
	var address netip.Addr
	var getErr error
	err = raw.Control(func(fd uintptr) {
		// The structure of this call has the 16 bytes that a sockaddr_in takes; its address begins at the fifth.
		found, err := unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, originalDestination)
		if getErr = err; err == nil {
			address = netip.AddrFrom4([4]byte(found.Multiaddr[4:8]))
		}
	})
	return address, errors.Join(err, getErr)
}

// api tunnels a connection to the gateway, if the sender has a way to it.
func (s *services) api(connection *net.TCPConn, from netip.Addr) {
	now := s.current()
	target, err := addressed(connection)
	if err != nil {
		slog.Warn("where a connection to the API was sent to", "vpc", s.vpc, "error", err)
	}
	origin, ok := plan.OriginOf(now.wanted, now.place, from, target)
	if err != nil || !ok {
		_ = connection.Close()
		return
	}
	s.tunnel(connection, connection, protocol.Stream{Kind: protocol.StreamAPI, Origin: origin})
}

// tunnel copies between the connection and a stream to the gateway. Without a gateway the answer is 503.
func (s *services) tunnel(connection *net.TCPConn, reader io.Reader, header protocol.Stream) {
	stream, err := s.agent.back.open(header)
	if err != nil {
		_ = connection.SetDeadline(time.Now().Add(time.Second))
		const words = "the gateway does not run\n"
		_, _ = fmt.Fprintf(connection, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%s", len(words), words)
		_ = connection.Close()
		return
	}
	relay.Both(buffered{connection, reader}, stream)
}

// buffered is a connection whose first bytes may have been read already. It embeds no TCPConn, whose WriteTo would go
// around the reader.
type buffered struct {
	net.Conn
	reader io.Reader
}

// CloseWrite tells the other side that nothing more comes.
func (b buffered) CloseWrite() error { return b.Conn.(*net.TCPConn).CloseWrite() }

func (b buffered) Read(p []byte) (int, error) { return b.reader.Read(p) }

// names is the resolver of one VPC.
type names struct {
	agent *Agent
	vpc   string

	mu         sync.Mutex
	zones      map[string]map[string][]dns.RR // by zone, by name
	delegated  []string
	forwarders []string
	enabled    bool
}

func newNames(a *Agent, vpc string) *names { return &names{agent: a, vpc: vpc} }

// set takes what the resolver is to know. Records that cannot be read are left out, and said.
func (n *names) set(wanted backend.WantedDNS) {
	zones := map[string]map[string][]dns.RR{}
	for _, zone := range wanted.Zones {
		records := map[string][]dns.RR{}
		for _, text := range zone.Records {
			record, err := dns.NewRR(text)
			if err != nil || record == nil {
				slog.Warn("a DNS record that cannot be read", "vpc", n.vpc, "record", text, "error", err)
				continue
			}
			name := dns.CanonicalName(record.Header().Name)
			records[name] = append(records[name], record)
		}
		zones[dns.CanonicalName(zone.Name)] = records
	}
	var delegated, forwarders []string
	for _, name := range wanted.Delegated {
		delegated = append(delegated, dns.CanonicalName(name))
	}
	for _, forwarder := range wanted.Forwarders {
		forwarders = append(forwarders, forwarder.String())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zones, n.delegated, n.forwarders, n.enabled = zones, delegated, forwarders, wanted.Enabled
}

// ServeDNS answers one question.
func (n *names) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	reply := new(dns.Msg)
	if len(question.Question) != 1 || question.Opcode != dns.OpcodeQuery {
		reply.SetRcode(question, dns.RcodeFormatError)
		_ = w.WriteMsg(reply)
		return
	}
	reply.SetReply(question)
	reply.RecursionAvailable = true
	name, kind := dns.CanonicalName(question.Question[0].Name), question.Question[0].Qtype

	n.mu.Lock()
	zone, records := longest(n.zones, name)
	delegated, forwarders, enabled := n.delegated, n.forwarders, n.enabled
	n.mu.Unlock()
	switch {
	case !enabled:
		reply.Rcode = dns.RcodeRefused
	case zone != "":
		reply.Authoritative = true
		n.fromZone(reply, records, name, kind)
	case below(name, delegated):
		n.fromGateway(reply, name, kind)
	default:
		if forwarded := forward(question, forwarders, w.RemoteAddr().Network()); forwarded != nil {
			reply = forwarded
		} else {
			reply.Rcode = dns.RcodeServerFailure
		}
	}
	if w.RemoteAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if options := question.IsEdns0(); options != nil {
			size = max(size, int(options.UDPSize()))
		}
		reply.Truncate(size)
	}
	_ = w.WriteMsg(reply) // whoever asked may be gone
}

// longest answers the zone with the longest name that the question's is in.
func longest(zones map[string]map[string][]dns.RR, name string) (string, map[string][]dns.RR) {
	best := ""
	for zone := range zones {
		if dns.IsSubDomain(zone, name) && len(zone) > len(best) {
			best = zone
		}
	}
	return best, zones[best]
}

func below(name string, parents []string) bool {
	for _, parent := range parents {
		if dns.IsSubDomain(parent, name) {
			return true
		}
	}
	return false
}

// aliasDepth bounds how far a chain of aliases is followed.
const aliasDepth = 8

func (n *names) fromZone(reply *dns.Msg, records map[string][]dns.RR, name string, kind uint16) {
	for range aliasDepth {
		all, exists := records[name]
		if !exists {
			_, rest, _ := strings.Cut(name, ".")
			all, exists = records["*."+rest]
		}
		if !exists {
			if len(reply.Answer) == 0 {
				reply.Rcode = dns.RcodeNameError
			}
			return
		}
		alias := ""
		for _, record := range all {
			answer := dns.Copy(record)
			answer.Header().Name = name
			if record.Header().Rrtype == kind || kind == dns.TypeANY {
				reply.Answer = append(reply.Answer, answer)
			} else if target, ok := record.(*dns.CNAME); ok {
				reply.Answer = append(reply.Answer, answer)
				alias = dns.CanonicalName(target.Target)
			}
		}
		if alias == "" {
			return
		}
		name = alias
	}
}

func (n *names) fromGateway(reply *dns.Msg, name string, kind uint16) {
	resolved, err := n.agent.back.resolve(n.vpc, name, dns.TypeToString[kind])
	if err != nil || resolved.Failed {
		reply.Rcode = dns.RcodeServerFailure
		return
	}
	if !resolved.Exists {
		reply.Rcode = dns.RcodeNameError
	}
	for _, text := range resolved.Records {
		if record, err := dns.NewRR(text); err == nil && record != nil {
			reply.Answer = append(reply.Answer, record)
		}
	}
}

// forwardPatience is how long one other resolver gets.
const forwardPatience = 2 * time.Second

// forward asks other resolvers, from the engine host's network. It answers nil if none does.
func forward(question *dns.Msg, resolvers []string, network string) *dns.Msg {
	if len(resolvers) == 0 {
		config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil
		}
		for _, server := range config.Servers {
			resolvers = append(resolvers, net.JoinHostPort(server, config.Port))
		}
	}
	client := &dns.Client{Net: network, Timeout: forwardPatience}
	for _, resolver := range resolvers {
		if answer, _, err := client.Exchange(question.Copy(), resolver); err == nil {
			answer.Id = question.Id
			return answer
		}
	}
	return nil
}
