package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"miniaws/backend/node/plan"
)

// netlinkBuffer holds the acknowledgements of a whole table's replacement.
const netlinkBuffer = 32 << 20

// elementsPerMessage keeps a set's elements below the 64 KiB that one netlink attribute can hold.
const elementsPerMessage = 256

// replaceTables puts the tables in the place of those of their names, in one transaction: no packet ever meets half of it.
func replaceTables(namespace int, tables ...plan.Table) error {
	connection, err := nftables.New(nftables.WithNetNSFd(namespace), nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(netlinkBuffer), c.SetWriteBuffer(netlinkBuffer))
	}))
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := replaceTable(connection, table); err != nil {
			return err
		}
	}
	return connection.Flush()
}

// replaceTable is one table's part of the transaction; one without chains is removed.
func replaceTable(connection *nftables.Conn, table plan.Table) error {
	w := tableWriter{connection: connection, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: table.Name}, sets: map[string]*nftables.Set{}}
	if table.IPv6 {
		w.table.Family = nftables.TableFamilyIPv6
	}
	connection.AddTable(w.table) // so that there is one to delete
	connection.DelTable(w.table)
	if len(table.Chains) == 0 {
		return nil
	}
	connection.AddTable(w.table)
	chains := make([]*nftables.Chain, len(table.Chains))
	for i, chain := range table.Chains {
		chains[i] = w.chain(chain)
	}
	for _, set := range table.Sets {
		if err := w.set(set); err != nil {
			return fmt.Errorf("set %s: %w", set.Name, err)
		}
	}
	for i, chain := range table.Chains {
		for _, rule := range chain.Rules {
			expressions, err := w.rule(rule)
			if err != nil {
				return fmt.Errorf("chain %s: %s: %w", chain.Name, rule, err)
			}
			connection.AddRule(&nftables.Rule{Table: w.table, Chain: chains[i], Exprs: expressions})
		}
	}
	return nil
}

type tableWriter struct {
	connection *nftables.Conn
	table      *nftables.Table
	sets       map[string]*nftables.Set
}

var hooks = map[string]*nftables.ChainHook{
	"prerouting": nftables.ChainHookPrerouting, "input": nftables.ChainHookInput, "forward": nftables.ChainHookForward,
	"postrouting": nftables.ChainHookPostrouting,
}

var priorities = map[string]*nftables.ChainPriority{
	"raw": nftables.ChainPriorityRaw, "mangle": nftables.ChainPriorityMangle, "filter": nftables.ChainPriorityFilter,
	"dstnat": nftables.ChainPriorityNATDest, "srcnat": nftables.ChainPriorityNATSource,
}

func (w *tableWriter) chain(chain plan.Chain) *nftables.Chain {
	made := &nftables.Chain{Table: w.table, Name: chain.Name}
	if chain.Hook != "" {
		policy := nftables.ChainPolicyAccept
		if chain.Drop {
			policy = nftables.ChainPolicyDrop
		}
		made.Type, made.Hooknum, made.Priority, made.Policy = nftables.ChainType(chain.Type), hooks[chain.Hook], priorities[chain.Priority], &policy
	}
	return w.connection.AddChain(made)
}

var keyTypes = map[string]nftables.SetDatatype{
	"ifname": nftables.TypeIFName, "ether_addr": nftables.TypeEtherAddr, "ipv4_addr": nftables.TypeIPAddr, "ipv6_addr": nftables.TypeIP6Addr, "mark": nftables.TypeMark,
	"verdict": nftables.TypeVerdict,
}

func (w *tableWriter) set(set plan.Set) error {
	made := &nftables.Set{Table: w.table, Name: set.Name, KeyType: keyTypes[set.Key[0]], IsMap: set.Value != ""}
	if len(set.Key) > 1 {
		types := make([]nftables.SetDatatype, len(set.Key))
		for i, name := range set.Key {
			types[i] = keyTypes[name]
		}
		made.Concatenation = true
		var err error
		if made.KeyType, err = nftables.ConcatSetType(types...); err != nil {
			return err
		}
	}
	if made.IsMap {
		made.DataType = keyTypes[set.Value]
	}
	elements := make([]nftables.SetElement, 0, len(set.Elements))
	for _, element := range set.Elements {
		made := nftables.SetElement{}
		for _, part := range element.Key {
			made.Key = append(made.Key, bytesOf(part)...)
		}
		switch value := element.Value.(type) {
		case nil:
		case plan.Verdict:
			verdict, err := verdictOf(value)
			if err != nil {
				return err
			}
			made.VerdictData = verdict
		default:
			made.Val = bytesOf(value)
		}
		elements = append(elements, made)
	}
	if err := w.connection.AddSet(made, nil); err != nil {
		return err
	}
	w.sets[set.Name] = made
	for len(elements) > 0 {
		some := elements[:min(len(elements), elementsPerMessage)]
		elements = elements[len(some):]
		if err := w.connection.SetAddElements(made, some); err != nil {
			return err
		}
	}
	return nil
}

// bytesOf is how the kernel has a part of a key in its registers: padded to whole ones of 4 bytes.
func bytesOf(part any) []byte {
	switch p := part.(type) {
	case string:
		name := make([]byte, unix.IFNAMSIZ)
		copy(name, p)
		return name
	case net.HardwareAddr:
		return append(append([]byte{}, p...), 0, 0)
	case netip.Addr:
		return p.AsSlice()
	case uint32:
		return binaryutil.NativeEndian.PutUint32(p)
	default:
		return nil
	}
}

func verdictOf(v plan.Verdict) (*expr.Verdict, error) {
	kinds := map[string]expr.VerdictKind{
		"accept": expr.VerdictAccept, "drop": expr.VerdictDrop, "return": expr.VerdictReturn, "jump": expr.VerdictJump, "goto": expr.VerdictGoto,
	}
	kind, ok := kinds[v.Kind]
	if !ok {
		return nil, fmt.Errorf("no verdict %q", v.Kind)
	}
	return &expr.Verdict{Kind: kind, Chain: v.Chain}, nil
}

func (w *tableWriter) rule(rule plan.Rule) ([]expr.Any, error) {
	var all []expr.Any
	for _, term := range rule {
		expressions, err := w.term(term)
		if err != nil {
			return nil, err
		}
		all = append(all, expressions...)
	}
	return all, nil
}

// Offsets in the headers of IPv4, IPv6 and Ethernet.
const (
	sourceOffset, destinationOffset   = 12, 16
	sourceOffset6, destinationOffset6 = 8, 24
	macOffset                         = 6
)

func (w *tableWriter) ipv6() bool { return w.table.Family == nftables.TableFamilyIPv6 }

func (w *tableWriter) loadAddress(side plan.Side, register uint32) expr.Any {
	offset, length := uint32(sourceOffset), uint32(4)
	if side == plan.To {
		offset = destinationOffset
	}
	if w.ipv6() {
		offset, length = sourceOffset6, 16
		if side == plan.To {
			offset = destinationOffset6
		}
	}
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}
}

func loadDevice(side plan.Side, register uint32) expr.Any {
	key := expr.MetaKeyIIFNAME
	if side == plan.To {
		key = expr.MetaKeyOIFNAME
	}
	return &expr.Meta{Key: key, Register: register}
}

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func (w *tableWriter) lookup(name string, register uint32) (*expr.Lookup, error) {
	set, ok := w.sets[name]
	if !ok {
		return nil, fmt.Errorf("no set %q", name)
	}
	return &expr.Lookup{SourceRegister: register, SetName: set.Name, SetID: set.ID}, nil
}

// in loads something and looks it up in a set.
func (w *tableWriter) in(load expr.Any, name string) ([]expr.Any, error) {
	found, err := w.lookup(name, 1)
	if err != nil {
		return nil, err
	}
	return []expr.Any{load, found}, nil
}

// mapped loads something and takes what a map answers for it into the register; register 0 is the verdict.
func (w *tableWriter) mapped(load expr.Any, name string, register uint32) ([]expr.Any, error) {
	found, err := w.lookup(name, 1)
	if err != nil {
		return nil, err
	}
	found.IsDestRegSet, found.DestRegister = true, register
	return []expr.Any{load, found}, nil
}

func (w *tableWriter) term(term plan.Term) ([]expr.Any, error) {
	switch t := term.(type) {
	case plan.Device:
		compare := &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: bytesOf(t.Name)}
		if t.Not {
			compare.Op = expr.CmpOpNeq
		}
		return []expr.Any{loadDevice(t.Side, 1), compare}, nil
	case plan.DeviceIn:
		return w.in(loadDevice(t.Side, 1), t.Set)
	case plan.Mark:
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, equal(bytesOf(t.Number))}, nil
	case plan.SetMark:
		key := loadDevice(plan.From, 1)
		if t.Destination {
			key = w.loadAddress(plan.To, 1)
		}
		expressions, err := w.mapped(key, t.Map, 1)
		return append(expressions, &expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true}), err
	case plan.Address:
		if t.Range.IsSingleIP() {
			return []expr.Any{w.loadAddress(t.Side, 1), equal(t.Range.Addr().AsSlice())}, nil
		}
		return []expr.Any{
			w.loadAddress(t.Side, 1),
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(t.Range.Addr().BitLen() / 8), Mask: net.CIDRMask(t.Range.Bits(), t.Range.Addr().BitLen()), Xor: make([]byte, t.Range.Addr().BitLen()/8)},
			equal(t.Range.Addr().AsSlice()),
		}, nil
	case plan.AddressIn:
		return w.in(w.loadAddress(t.Side, 1), t.Set)
	case plan.Origin:
		return w.origin(t)
	case plan.Protocol:
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{byte(t.Number)})}, nil
	case plan.Ports:
		return []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: binary.BigEndian.AppendUint16(nil, uint16(t.From)), ToData: binary.BigEndian.AppendUint16(nil, uint16(t.To))},
		}, nil
	case plan.ICMP:
		var expressions []expr.Any
		for offset, value := range []int{t.Type, t.Code} {
			if value >= 0 {
				expressions = append(expressions,
					&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: uint32(offset), Len: 1}, equal([]byte{byte(value)}))
			}
		}
		return expressions, nil
	case plan.State:
		return conntrack(expr.CtKeySTATE, stateBits(t.Names), expr.CmpOpNeq), nil
	case plan.NotTranslated:
		const translated = 1 << 5 // IPS_DST_NAT
		return conntrack(expr.CtKeySTATUS, translated, expr.CmpOpEq), nil
	case plan.Dispatch:
		return w.mapped(loadDevice(t.Side, 1), t.Map, 0)
	case plan.DispatchMark:
		return w.mapped(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, t.Map, 0)
	case plan.Translate:
		return w.translate(t)
	case plan.Share:
		return []expr.Any{
			&expr.Numgen{Register: 1, Modulus: uint32(t.Of), Type: unix.NFT_NG_RANDOM},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, 0)},
		}, nil
	case plan.Zone:
		return []expr.Any{
			&expr.Immediate{Register: 1, Data: binary.NativeEndian.AppendUint16(nil, t.Number)},
			&expr.Ct{Register: 1, SourceRegister: true, Key: expr.CtKeyZONE},
		}, nil
	case plan.Log:
		return []expr.Any{&expr.Log{Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_PREFIX | 1<<unix.NFTA_LOG_SNAPLEN, Group: plan.LogGroup, Snaplen: logLength, Data: []byte(t.Prefix)}}, nil
	case plan.Count:
		return []expr.Any{&expr.Counter{}}, nil
	case plan.Verdict:
		verdict, err := verdictOf(t)
		return []expr.Any{verdict}, err
	default:
		return nil, fmt.Errorf("no translation of %T", term)
	}
}

// logLength is how much of a logged packet is sent on: headers.
const logLength = 128

func stateBits(names []string) uint32 {
	var bits uint32
	for _, name := range names {
		switch name {
		case "established":
			bits |= expr.CtStateBitESTABLISHED
		case "related":
			bits |= expr.CtStateBitRELATED
		case "invalid":
			bits |= expr.CtStateBitINVALID
		}
	}
	return bits
}

// conntrack compares bits of what is known of the packet's connection with 0.
func conntrack(key expr.CtKey, bits uint32, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: key},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: make([]byte, 4)},
	}
}

// origin puts device, MAC and address beside each other in the registers, as a concatenated key needs them.
func (w *tableWriter) origin(t plan.Origin) ([]expr.Any, error) {
	expressions := []expr.Any{
		loadDevice(plan.From, unix.NFT_REG32_00),
		&expr.Payload{DestRegister: unix.NFT_REG32_04, Base: expr.PayloadBaseLLHeader, Offset: macOffset, Len: 6},
	}
	if t.Full {
		expressions = append(expressions, w.loadAddress(plan.From, unix.NFT_REG32_06))
	}
	found, err := w.lookup(t.Set, unix.NFT_REG32_00)
	return append(expressions, found), err
}

func (w *tableWriter) translate(t plan.Translate) ([]expr.Any, error) {
	translation := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}
	if t.Side == plan.To {
		translation.Type = expr.NATTypeDestNAT
	}
	if t.Map == "" {
		return []expr.Any{&expr.Immediate{Register: 1, Data: t.To.AsSlice()}, translation}, nil
	}
	expressions, err := w.mapped(w.loadAddress(t.Side, 1), t.Map, 1)
	return append(expressions, translation), err
}

// generation is the kernel's count of changes to the namespace's rules: while it stays, nobody touched them.
func generation(namespace int) (uint32, error) {
	connection, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: namespace})
	if err != nil {
		return 0, err
	}
	defer func() { _ = connection.Close() }()
	answers, err := connection.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		if len(answer.Data) < 4 {
			continue
		}
		attributes, err := netlink.UnmarshalAttributes(answer.Data[4:])
		if err != nil {
			return 0, err
		}
		for _, attribute := range attributes {
			if attribute.Type == unix.NFTA_GEN_ID && len(attribute.Data) == 4 {
				return binary.BigEndian.Uint32(attribute.Data), nil
			}
		}
	}
	return 0, errors.New("the kernel names no generation")
}
