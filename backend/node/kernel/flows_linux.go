package kernel

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	routes "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Tuple is one direction of a connection, as packets in it are written, and what was counted of it.
type Tuple struct {
	Source, Destination  netip.Addr
	SourcePort, DestPort uint16
	Packets, Bytes       uint64
}

// Connection is one that the router passes on. Forward are the packets of whoever began, Reply those of the other side:
// where addresses are translated they differ.
type Connection struct {
	Protocol       int
	Forward, Reply Tuple
	Began          time.Time
	// Zone is that of connection tracking: one packet is in two connections, of two zones, where an instance forwards it.
	Zone int
	// Ended tells that both sides of a TCP connection said that they are done.
	Ended bool
}

// Connections answers the connections that the kernel knows.
func (r *Router) Connections() ([]Connection, error) {
	var list []*routes.ConntrackFlow
	for _, family := range r.families() {
		of, err := r.link.ConntrackTableList(routes.ConntrackTable, routes.InetFamily(family))
		if err != nil {
			return nil, err
		}
		list = append(list, of...)
	}
	all := make([]Connection, 0, len(list))
	for _, flow := range list {
		c := Connection{Protocol: int(flow.Forward.Protocol), Forward: tupleOf(flow.Forward), Reply: tupleOf(flow.Reverse), Began: time.Unix(0, int64(flow.TimeStart)), Zone: int(flow.Zone)}
		const timeWait = 7 // TCP_CONNTRACK_TIME_WAIT
		if tcp, ok := flow.ProtoInfo.(*routes.ProtoInfoTCP); ok {
			c.Ended = tcp.State == timeWait
		}
		all = append(all, c)
	}
	return all, nil
}

func tupleOf(t routes.IPTuple) Tuple {
	source, _ := netip.AddrFromSlice(t.SrcIP)
	destination, _ := netip.AddrFromSlice(t.DstIP)
	return Tuple{source.Unmap(), destination.Unmap(), t.SrcPort, t.DstPort, t.Packets, t.Bytes}
}

// The messages of netfilter's log.
// Linux: include/uapi/linux/netfilter/nfnetlink_log.h
const (
	logPacket, logConfig    = 0, 1
	configCommand           = 1
	configMode              = 2
	configThreshold         = 5
	attributePayload        = 9
	attributePrefix         = 10
	commandBind, copyPacket = 1, 2
	// logBuffer holds what comes while the listener is busy.
	logBuffer = 4 << 20
)

// ListenLog calls take for the head of every packet that a rule sent to the group, with the rule's prefix, and lost when
// the kernel had to leave some out, until the listener is closed. Both are called from one goroutine of its own.
func (r *Router) ListenLog(group uint16, take func(prefix string, packet []byte), lost func()) (*LogListener, error) {
	connection, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: int(r.namespace)})
	if err != nil {
		return nil, err
	}
	mode := binary.BigEndian.AppendUint32(nil, logLength)
	configuration, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: configCommand, Data: []byte{commandBind}},
		{Type: configMode, Data: append(mode, copyPacket, 0)},
		{Type: configThreshold, Data: binary.BigEndian.AppendUint32(nil, 1)}, // each packet at once
	})
	if err == nil {
		err = connection.SetReadBuffer(logBuffer)
	}
	if err == nil {
		_, err = connection.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_ULOG<<8 | logConfig, Flags: netlink.Request | netlink.Acknowledge},
			Data:   append(binary.BigEndian.AppendUint16([]byte{unix.AF_INET, unix.NFNETLINK_V0}, group), configuration...),
		})
	}
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	go receiveLog(connection, take, lost) // ends when the connection is closed
	return &LogListener{connection}, nil
}

// LogListener is what [Router.ListenLog] answers.
type LogListener struct{ connection *netlink.Conn }

// Close ends it.
func (l *LogListener) Close() error { return l.connection.Close() }

func receiveLog(connection *netlink.Conn, take func(prefix string, packet []byte), lost func()) {
	for {
		messages, err := connection.Receive()
		if errors.Is(err, unix.ENOBUFS) {
			lost()
			continue
		}
		if err != nil {
			return
		}
		for _, message := range messages {
			const head = 4 // of netfilter's messages
			if message.Header.Type != unix.NFNL_SUBSYS_ULOG<<8|logPacket || len(message.Data) < head {
				continue
			}
			attributes, err := netlink.UnmarshalAttributes(message.Data[head:])
			if err != nil {
				continue
			}
			prefix, packet := "", []byte(nil)
			for _, attribute := range attributes {
				switch attribute.Type {
				case attributePrefix:
					prefix = strings.TrimRight(string(attribute.Data), "\x00")
				case attributePayload:
					packet = attribute.Data
				}
			}
			take(prefix, packet)
		}
	}
}
