package plan

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Table is one netfilter table, replaced as a whole. [Table.String] prints it in nft's language.
type Table struct {
	Name string
	// IPv6 tells that it is IPv6's.
	IPv6   bool
	Sets   []Set
	Chains []Chain
}

// Set is a set, a map where Value is set, a verdict map where Value is "verdict".
type Set struct {
	Name string
	// Key holds nft's names of the key's parts, Value that of what a map answers.
	Key      []string
	Value    string
	Elements []Element
}

// Element is one entry. Key has a part for each of the set's; parts and values are string (an interface's name),
// netip.Addr, net.HardwareAddr, uint32 (a mark) or Verdict.
type Element struct {
	Key   []any
	Value any
}

// Chain is a chain; a base chain where Hook is set.
type Chain struct {
	Name string
	// Type is filter or nat, Hook such as forward, Priority nft's name of it; empty for chains that others jump to.
	Type, Hook, Priority string
	// Drop is a base chain's policy: what reaches its end is dropped.
	Drop  bool
	Rules []Rule
}

// Rule is a list of terms: conditions, then what to do.
type Rule []Term

// Term is one condition or one statement of a rule, and prints itself in nft's language.
type Term interface{ fmt.Stringer }

// Side is which end of a packet or of its way a term is about.
type Side bool

// From is the source address, or the interface of arrival; To is the other end.
const (
	From Side = false
	To   Side = true
)

// The terms.
type (
	// Device compares an interface's name.
	Device struct {
		Side Side
		Name string
		Not  bool
	}
	// DeviceIn looks an interface's name up in a set.
	DeviceIn struct {
		Side Side
		Set  string
	}
	// Mark compares the packet's mark: the number of the subnet that it came from.
	Mark struct{ Number uint32 }
	// SetMark takes the mark from a map of devices of arrival, or of destinations.
	SetMark struct {
		Map         string
		Destination bool
	}
	// Address compares an address with a range.
	Address struct {
		Side  Side
		Range netip.Prefix
	}
	// AddressIn looks an address up in a set.
	AddressIn struct {
		Side Side
		Set  string
		IPv6 bool
	}
	// Origin looks the device of arrival, the source's MAC and, where Full, the source's address up in a set.
	Origin struct {
		Set  string
		Full bool
		IPv6 bool
	}
	// Protocol compares the transport protocol.
	Protocol struct{ Number int }
	// Ports compares the destination port of TCP or UDP, a Protocol term stands before it.
	Ports struct {
		Protocol int
		From, To int
	}
	// ICMP compares type and code, -1 for any; a Protocol term stands before it.
	ICMP struct {
		Type, Code int
		IPv6       bool
	}
	// State compares the state of the packet's connection.
	State struct{ Names []string }
	// NotTranslated is true for packets whose destination was not translated.
	NotTranslated struct{}
	// Dispatch lets a verdict map decide by device.
	Dispatch struct {
		Side Side
		Map  string
	}
	// DispatchMark lets a verdict map decide by mark.
	DispatchMark struct{ Map string }
	// Translate changes an address to To, or to what the map answers for it.
	Translate struct {
		Side Side
		Map  string
		To   netip.Addr
	}
	// Share is true for one of that many packets, by chance.
	Share struct{ Of int }
	// Zone puts the packet into a zone of connection tracking; the chain's priority is raw.
	Zone struct{ Number uint16 }
	// Log sends the packet's head to the group's listener.
	Log struct{ Prefix string }
	// Count counts packets and bytes.
	Count struct{}
	// Verdict ends the rule: accept, drop, return, jump CHAIN, goto CHAIN.
	Verdict struct {
		Kind  string
		Chain string
	}
)

// The simple verdicts.
var (
	accept = Verdict{Kind: "accept"}
	drop   = Verdict{Kind: "drop"}
	leave  = Verdict{Kind: "return"}
)

func goTo(chain string) Verdict { return Verdict{Kind: "goto", Chain: chain} }
func jump(chain string) Verdict { return Verdict{Kind: "jump", Chain: chain} }

// LogGroup is the netfilter log group that Log sends to.
const LogGroup = 7

func (s Side) device() string {
	if s == To {
		return "oifname"
	}
	return "iifname"
}

func (s Side) address(ipv6 bool) string {
	name := "ip "
	if ipv6 {
		name = "ip6 "
	}
	if s == To {
		return name + "daddr"
	}
	return name + "saddr"
}

func (t Device) String() string {
	if t.Not {
		return fmt.Sprintf("%s != %q", t.Side.device(), t.Name)
	}
	return fmt.Sprintf("%s %q", t.Side.device(), t.Name)
}
func (t DeviceIn) String() string { return t.Side.device() + " @" + t.Set }
func (t Mark) String() string     { return fmt.Sprintf("meta mark %d", t.Number) }
func (t Address) String() string {
	return t.Side.address(t.Range.Addr().Is6()) + " " + t.Range.String()
}
func (t AddressIn) String() string { return t.Side.address(t.IPv6) + " @" + t.Set }
func (t SetMark) String() string {
	if t.Destination {
		return "meta mark set ip daddr map @" + t.Map
	}
	return "meta mark set iifname map @" + t.Map
}
func (t Origin) String() string {
	if t.Full {
		return "iifname . ether saddr . " + From.address(t.IPv6) + " @" + t.Set
	}
	return "iifname . ether saddr @" + t.Set
}
func (t Protocol) String() string { return fmt.Sprintf("meta l4proto %d", t.Number) }
func (t Ports) String() string {
	if t.From == t.To {
		return fmt.Sprintf("th dport %d", t.From)
	}
	return fmt.Sprintf("th dport %d-%d", t.From, t.To)
}
func (t ICMP) String() string {
	var parts []string
	name := "icmp"
	if t.IPv6 {
		name = "icmpv6"
	}
	if t.Type >= 0 {
		parts = append(parts, fmt.Sprintf("%s type %d", name, t.Type))
	}
	if t.Code >= 0 {
		parts = append(parts, fmt.Sprintf("%s code %d", name, t.Code))
	}
	return strings.Join(parts, " ")
}
func (t State) String() string       { return "ct state " + strings.Join(t.Names, ",") }
func (NotTranslated) String() string { return "ct status & dnat == 0" }
func (t Dispatch) String() string    { return t.Side.device() + " vmap @" + t.Map }
func (t DispatchMark) String() string {
	return "meta mark vmap @" + t.Map
}
func (t Translate) String() string {
	kind := "snat"
	if t.Side == To {
		kind = "dnat"
	}
	if t.Map != "" {
		return fmt.Sprintf("%s to %s map @%s", kind, t.Side.address(false), t.Map)
	}
	return fmt.Sprintf("%s to %s", kind, t.To)
}
func (t Share) String() string { return fmt.Sprintf("numgen random mod %d 0", t.Of) }
func (t Zone) String() string  { return fmt.Sprintf("ct zone set %d", t.Number) }
func (t Log) String() string   { return fmt.Sprintf("log prefix %q group %d", t.Prefix, LogGroup) }
func (Count) String() string   { return "counter" }
func (t Verdict) String() string {
	if t.Chain != "" {
		return t.Kind + " " + t.Chain
	}
	return t.Kind
}

func (r Rule) String() string {
	parts := make([]string, 0, len(r))
	for _, term := range r {
		parts = append(parts, term.String())
	}
	return strings.Join(parts, " ")
}

func partText(part any) string {
	switch p := part.(type) {
	case string:
		return fmt.Sprintf("%q", p)
	case net.HardwareAddr:
		return p.String()
	default:
		return fmt.Sprint(p)
	}
}

func (e Element) String() string {
	parts := make([]string, 0, len(e.Key))
	for _, part := range e.Key {
		parts = append(parts, partText(part))
	}
	text := strings.Join(parts, " . ")
	if e.Value != nil {
		text += " : " + partText(e.Value)
	}
	return text
}

// String prints the table as nft would list it.
func (t Table) String() string {
	var b strings.Builder
	family := "ip"
	if t.IPv6 {
		family = "ip6"
	}
	fmt.Fprintf(&b, "table %s %s {\n", family, t.Name)
	for _, set := range t.Sets {
		kind, typeText := "set", strings.Join(set.Key, " . ")
		if set.Value != "" {
			kind, typeText = "map", typeText+" : "+set.Value
		}
		fmt.Fprintf(&b, "  %s %s {\n    type %s\n", kind, set.Name, typeText)
		if len(set.Elements) > 0 {
			var lines []string
			for _, element := range set.Elements {
				lines = append(lines, "      "+element.String())
			}
			slices.Sort(lines)
			fmt.Fprintf(&b, "    elements = {\n%s }\n", strings.Join(lines, ",\n"))
		}
		b.WriteString("  }\n")
	}
	for _, chain := range t.Chains {
		fmt.Fprintf(&b, "  chain %s {\n", chain.Name)
		if chain.Hook != "" {
			policy := "accept"
			if chain.Drop {
				policy = "drop"
			}
			fmt.Fprintf(&b, "    type %s hook %s priority %s; policy %s;\n", chain.Type, chain.Hook, chain.Priority, policy)
		}
		for _, rule := range chain.Rules {
			fmt.Fprintf(&b, "    %s\n", rule)
		}
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}
