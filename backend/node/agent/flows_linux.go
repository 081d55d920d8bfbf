package agent

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"miniaws/backend"
	"miniaws/backend/node/kernel"
	"miniaws/backend/node/plan"
)

// flows collects what the flow logs of one VPC are to hold. What passed is counted by the kernel, connection by
// connection, and read at every look; what was rejected is logged by the rules, packet by packet.
type flows struct {
	vpc    string
	router *kernel.Router
	log    *kernel.LogListener
	began  time.Time
	looked time.Time
	// counted are the counters at the last look.
	counted map[connectionKey][2]kernel.Tuple

	mu      sync.Mutex
	view    view
	own     map[netip.Addr]bool
	barred  map[netip.Addr]netip.Addr
	records map[flowKey]*backend.FlowRecord
	skipped uint64
	// dropped are packets that were rejected since the last look but one: those of connections that are known are in the
	// kernel's counters too, which count at arrival.
	dropped, droppedBefore map[packetKey]*[2]uint64
}

// packetKey is one direction of a conversation as the rules see it: between both translations.
type packetKey struct {
	protocol             int
	source, destination  netip.Addr
	sourcePort, destPort uint16
}

type connectionKey struct {
	protocol             int
	source, destination  netip.Addr
	sourcePort, destPort uint16
	began                int64
}

// flowKey is what one record sums up.
type flowKey struct {
	eni                  string
	source, destination  netip.Addr
	sourcePort, destPort uint16
	protocol             int
	accepted, ingress    bool
	reason               string
}

// reasonBarred is what a record says of packets that the block of public access dropped.
// AWS: "Flow log records", reject-reason: BPA, and EC, encryption controls, which there are none of here; "-" for any other.
const reasonBarred = "BPA"

// maxFlows bounds the records of one VPC that wait for the gateway.
const maxFlows = 20_000

// record makes sure that the VPC's flow logs are served, as long as it has some, and reads the kernel's counters. The
// agent's lock is held.
func (a *Agent) record(v *vpc) error {
	if v.flows != nil && (len(v.Wanted.FlowLogs) == 0 || v.flows.router != v.router) {
		v.flows.close()
		v.flows = nil
	}
	if len(v.Wanted.FlowLogs) == 0 {
		return nil
	}
	if v.flows == nil {
		now := time.Now()
		made := &flows{vpc: v.Wanted.ID, router: v.router, began: now, looked: now, counted: map[connectionKey][2]kernel.Tuple{}, records: map[flowKey]*backend.FlowRecord{}, dropped: map[packetKey]*[2]uint64{}}
		var err error
		if made.log, err = v.router.ListenLog(plan.LogGroup, made.rejected, made.lost); err != nil {
			return fmt.Errorf("the log of rejected packets: %w", err)
		}
		v.flows = made
	}
	v.flows.know(v)
	return v.flows.look()
}

func (f *flows) close() { _ = f.log.Close() }

// know tells what the VPC is now.
func (f *flows) know(v *vpc) {
	now, own := viewOf(v), map[netip.Addr]bool{}
	for _, address := range plan.Of(v.Wanted, v.place).Router {
		_, endpoint := now.enis[address] // an interface endpoint's, of which AWS records what it is told
		own[address] = address != backend.APIAddress && !endpoint
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view, f.own, f.barred = now, own, plan.BarredAddresses(v.Wanted)
}

// look reads the counters of all connections and records what came since the last time.
func (f *flows) look() error {
	all, err := f.router.Connections()
	if err != nil {
		return fmt.Errorf("the connections of the VPC: %w", err)
	}
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	counted := make(map[connectionKey][2]kernel.Tuple, len(all))
	inner := map[packetKey]bool{}
	for _, c := range all {
		if c.Zone == 0 {
			inner[betweenTranslations(c)] = true
		}
	}
	for _, c := range all {
		key := connectionKey{c.Protocol, c.Forward.Source, c.Forward.Destination, c.Forward.SourcePort, c.Forward.DestPort, c.Began.UnixNano()}
		counted[key] = [2]kernel.Tuple{c.Forward, c.Reply}
		before, known := f.counted[key]
		if c.Zone != 0 && inner[betweenTranslations(c)] {
			continue // the interface sees what is before, or behind, the instance that forwards
		}
		if !known && c.Began.Before(f.began) && f.looked.Equal(f.began) {
			continue // what came before anybody wanted to know; counted from here on
		}
		f.passed(c, before, now)
	}
	f.counted, f.looked = counted, now
	f.dropped, f.droppedBefore = map[packetKey]*[2]uint64{}, f.dropped
	return nil
}

// betweenTranslations is how the rules see a connection's packets.
func betweenTranslations(c kernel.Connection) packetKey {
	return packetKey{c.Protocol, c.Forward.Source, c.Reply.Source, c.Forward.SourcePort, c.Reply.SourcePort}
}

// passed records what a connection carried since before.
func (f *flows) passed(c kernel.Connection, before [2]kernel.Tuple, now time.Time) {
	// AWS: "Flow log limitations": what instances say to Amazon's DNS server, to the metadata service and to the reserved
	// address of the router is not recorded.
	if f.own[c.Forward.Destination] || f.own[c.Forward.Source] {
		return
	}
	began := f.looked
	if c.Began.After(began) {
		began = c.Began
	}
	add := func(eni string, from, to netip.Addr, fromPort, toPort uint16, carried [2]uint64, ingress bool, flags int) {
		if carried[0] == 0 {
			return
		}
		f.add(backend.FlowRecord{
			ENI: eni, Source: from, Destination: to, SourcePort: fromPort, DestPort: toPort, Protocol: c.Protocol,
			Packets: carried[0], Bytes: carried[1], Start: began, End: now, Accepted: true, Ingress: ingress, TCPFlags: flags,
		})
	}
	there, back := tcpFlags(c, before)
	sent := f.carried(betweenTranslations(c), c.Forward, before[0])
	answered := f.carried(packetKey{c.Protocol, c.Reply.Source, c.Forward.Source, c.Reply.SourcePort, c.Forward.SourcePort}, c.Reply, before[1])
	// The interface where it began sees what was sent there, the other one what came out of a translation.
	if eni, ok := f.view.owner(c.Forward.Source); ok {
		t := c.Forward
		add(eni.ID, t.Source, t.Destination, t.SourcePort, t.DestPort, sent, false, there)
		add(eni.ID, t.Destination, t.Source, t.DestPort, t.SourcePort, answered, true, back)
	}
	if eni, ok := f.view.owner(c.Reply.Source); ok {
		t := c.Reply
		add(eni.ID, t.Destination, t.Source, t.DestPort, t.SourcePort, sent, true, there)
		add(eni.ID, t.Source, t.Destination, t.SourcePort, t.DestPort, answered, false, back)
	}
}

// carried answers the packets and bytes that came through since before: those that were counted without those that were
// dropped after they were.
func (f *flows) carried(key packetKey, counted, had kernel.Tuple) (carried [2]uint64) {
	if counted.Packets <= had.Packets {
		return carried
	}
	carried = [2]uint64{counted.Packets - had.Packets, counted.Bytes - had.Bytes}
	for _, all := range []map[packetKey]*[2]uint64{f.droppedBefore, f.dropped} {
		if dropped := all[key]; dropped != nil {
			for i := range carried {
				both := min(carried[i], dropped[i])
				carried[i], dropped[i] = carried[i]-both, dropped[i]-both
			}
		}
	}
	return carried
}

// Flags of TCP as AWS's field tcp-flags has them.
const (
	tcpFIN = 1
	tcpSYN = 2
	tcpACK = 16
)

// tcpFlags answers the flags seen of a connection, both ways, as far as its state tells.
// AWS: "Available fields", tcp-flags: FIN, SYN, RST and SYN-ACK; ACK by itself is not reported.
func tcpFlags(c kernel.Connection, before [2]kernel.Tuple) (there, back int) {
	if c.Protocol != backend.ProtocolTCP {
		return 0, 0
	}
	if before[0].Packets == 0 {
		there |= tcpSYN
	}
	if before[1].Packets == 0 && c.Reply.Packets > 0 {
		back |= tcpSYN | tcpACK
	}
	if c.Ended {
		there, back = there|tcpFIN, back|tcpFIN
	}
	return there, back
}

// rejected takes a packet that a rule logged before it dropped it.
func (f *flows) rejected(prefix string, packet []byte) {
	record, ok := readPacket(packet)
	if !ok {
		return
	}
	record.Start = time.Now()
	record.End = record.Start
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own[record.Source] || f.own[record.Destination] {
		return
	}
	if prefix == plan.BarredIn && f.barred[record.Destination].IsValid() {
		record.Destination = f.barred[record.Destination] // it was dropped before its translation
	}
	if prefix == plan.BarredOut || prefix == plan.BarredIn {
		record.Reason = reasonBarred
	}
	key := packetKey{record.Protocol, record.Source, record.Destination, record.SourcePort, record.DestPort}
	if dropped := f.dropped[key]; dropped != nil {
		dropped[0], dropped[1] = dropped[0]+1, dropped[1]+record.Bytes
	} else if len(f.dropped) < maxFlows {
		f.dropped[key] = &[2]uint64{1, record.Bytes}
	}
	sender, sent := f.view.owner(record.Source)
	receiver, received := f.view.owner(record.Destination)
	switch {
	case (prefix == plan.RejectedOut || prefix == plan.BarredOut) && sent:
		record.ENI = sender.ID
		f.add(record)
	case (prefix == plan.RejectedIn || prefix == plan.BarredIn) && received:
		if sent { // its own side let it go
			gone := record
			gone.ENI, gone.Accepted, gone.Reason = sender.ID, true, ""
			f.add(gone)
		}
		record.ENI, record.Ingress = receiver.ID, true
		f.add(record)
	}
}

// lost counts that the kernel left packets out.
func (f *flows) lost() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skipped++
}

// add sums a record up with those of the same flow. f.mu is held.
func (f *flows) add(r backend.FlowRecord) {
	key := flowKey{r.ENI, r.Source, r.Destination, r.SourcePort, r.DestPort, r.Protocol, r.Accepted, r.Ingress, r.Reason}
	if had := f.records[key]; had != nil {
		had.Packets, had.Bytes, had.TCPFlags = had.Packets+r.Packets, had.Bytes+r.Bytes, had.TCPFlags|r.TCPFlags
		had.End = r.End
		return
	}
	if len(f.records) >= maxFlows {
		f.skipped++
		return
	}
	f.records[key] = &r
}

// take answers what was collected, and begins anew.
func (f *flows) take() []backend.FlowRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]backend.FlowRecord, 0, len(f.records))
	for _, r := range f.records {
		r.VPC = f.vpc
		if eni, ok := eniOf(f.view.wanted, r.ENI); ok {
			r.Subnet = eni.Subnet
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b backend.FlowRecord) int { return a.Start.Compare(b.Start) })
	if f.skipped > 0 {
		all = append(all, backend.FlowRecord{VPC: f.vpc, Start: f.looked, End: time.Now(), Skipped: f.skipped})
	}
	f.records, f.skipped = map[flowKey]*backend.FlowRecord{}, 0
	return all
}

// readPacket reads the head of a packet.
func readPacket(packet []byte) (r backend.FlowRecord, ok bool) {
	const least = 20
	if len(packet) < least {
		return r, false
	}
	if packet[0]>>4 == 6 {
		return readPacket6(packet)
	}
	head := int(packet[0]&15) * 4
	if head < least || len(packet) < head {
		return r, false
	}
	r.Protocol, r.Packets, r.Bytes = int(packet[9]), 1, uint64(binary.BigEndian.Uint16(packet[2:]))
	r.Source, r.Destination = netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
	first := binary.BigEndian.Uint16(packet[6:])&0x1fff == 0 // later fragments have no ports
	if first {
		readTransport(&r, packet[head:])
	}
	return r, true
}

// readPacket6 is readPacket for IPv6.
func readPacket6(packet []byte) (r backend.FlowRecord, ok bool) {
	const head = 40
	if len(packet) < head {
		return r, false
	}
	r.Protocol, r.Packets, r.Bytes = int(packet[6]), 1, head+uint64(binary.BigEndian.Uint16(packet[4:]))
	r.Source, r.Destination = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
	rest := packet[head:]
	// Headers before the one that says what it is: options, routing, a fragment's.
	for len(rest) >= 8 {
		const hops, routing, fragment, destination = 0, 43, 44, 60
		length := 8
		switch r.Protocol {
		case hops, routing, destination:
			length = 8 * (int(rest[1]) + 1)
		case fragment:
			if binary.BigEndian.Uint16(rest[2:])&0xfff8 != 0 {
				r.Protocol = int(rest[0]) // of a later fragment, without ports
				return r, true
			}
		default:
			readTransport(&r, rest)
			return r, true
		}
		if len(rest) < length {
			break
		}
		r.Protocol, rest = int(rest[0]), rest[length:]
	}
	readTransport(&r, rest)
	return r, true
}

// readTransport reads ports and flags of TCP and UDP.
func readTransport(r *backend.FlowRecord, rest []byte) {
	if len(rest) < 4 || r.Protocol != backend.ProtocolTCP && r.Protocol != backend.ProtocolUDP {
		return
	}
	r.SourcePort, r.DestPort = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	const flags, known = 13, 0x17 // FIN, SYN, RST, ACK
	if r.Protocol == backend.ProtocolTCP && len(rest) > flags {
		if r.TCPFlags = int(rest[flags]) & known; r.TCPFlags == tcpACK {
			r.TCPFlags = 0
		}
	}
}

// sendFlows answers what all VPCs collected since the last time.
func (a *Agent) sendFlows(w http.ResponseWriter, _ *http.Request) {
	all := []backend.FlowRecord{}
	a.mu.Lock()
	for _, v := range a.sorted() {
		if v.flows == nil {
			continue
		}
		if err := v.flows.look(); err != nil {
			slog.Warn("flow logs", "vpc", v.Wanted.ID, "error", err) // the next convergence finds it too, and says it
		}
		all = append(all, v.flows.take()...)
	}
	a.mu.Unlock()
	answer(w, all)
}
