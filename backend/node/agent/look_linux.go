package agent

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"miniaws/backend"
	"miniaws/backend/node/kernel"
	"miniaws/backend/node/plan"
)

// look answers what the kernel holds at this moment for a VPC, or for one thing in it.
func (a *Agent) look(w http.ResponseWriter, r *http.Request) {
	facts, err := a.factsOf(r.PathValue("vpc"), r.URL.Query().Get("id"))
	if err != nil {
		fail(w, "look", r.URL.Query().Get("id"), err)
		return
	}
	answer(w, facts)
}

func (a *Agent) factsOf(vpcID, id string) ([]backend.Fact, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.transits[vpcID]; t != nil && t.router != nil {
		return t.look(id)
	}
	v := a.vpcs[vpcID]
	if v == nil || v.router == nil {
		return nil, &backend.Error{Kind: backend.KindNotFound, Op: "look", Object: vpcID}
	}
	live, err := v.router.Inspect()
	if err != nil {
		return nil, &backend.Error{Kind: backend.KindUnavailable, Op: "look", Object: id, Err: err}
	}
	s := &sight{vpc: v, live: live, plan: plan.Of(v.Wanted, v.place)}
	s.add("namespace", live.Namespace, namespacePath(vpcID)+" in the node agent's container")
	kind, _, _ := strings.Cut(id, "-")
	switch kind {
	case "vpc":
		s.whole()
	case "eni":
		s.networkInterface(id)
	case "sg":
		s.securityGroup(id)
	case "acl":
		for _, subnet := range v.Wanted.Subnets {
			if subnet.NetworkACL == id {
				s.networkACL(subnet.ID)
			}
		}
	case "subnet":
		s.subnet(id)
	case "rtb":
		for _, subnet := range v.Wanted.Subnets {
			if subnet.RouteTable == id {
				s.routes(subnet.ID)
			}
		}
	case "igw", "eigw":
		s.device(plan.InternetDevice)
		s.add("public", strings.Join(live.Public, " "))
		s.chain("arrive_public", "leave_public", "world")
	case "nat":
		for _, nat := range v.Wanted.NATGateways {
			if nat.ID == id {
				s.chain("acl_nat_in_"+nat.Subnet, "acl_nat_out_"+nat.Subnet)
				for _, address := range append([]netip.Addr{nat.Private, nat.Public}, nat.More...) {
					if !address.IsValid() { // a private gateway has no public one
						continue
					}
					s.rules(func(text string) bool { return strings.Contains(text, "snat to "+address.String()) })
					if nat.Public.IsValid() && address != nat.Private {
						s.add("public", address.String()+answered(live.Public, address.String()))
					}
				}
			}
		}
	case "pcx", "tgw":
		s.device(plan.DeviceName(id))
		s.add("routes", s.routesBy(func(r plan.Route) bool { return r.Device == plan.DeviceName(id) })...)
	}
	for _, problem := range v.problems {
		s.add("problem", problem)
	}
	return s.facts, nil
}

func answered(public []string, address string) string {
	if slices.Contains(public, address) {
		return ", for which the VPC's router answers"
	}
	return ", for which nobody answers"
}

// sight is one look at a VPC.
type sight struct {
	*vpc
	live  kernel.Live
	plan  plan.Plan
	facts []backend.Fact
}

func (s *sight) add(name string, lines ...string) {
	if text := strings.TrimSpace(strings.Join(lines, "\n")); text != "" {
		s.facts = append(s.facts, backend.Fact{Name: name, Value: text})
	}
}

// whole tells what the VPC is made of.
func (s *sight) whole() {
	for _, device := range s.live.Devices {
		s.add("device", device.String(), device.Alias)
	}
	var lines []string
	for _, rule := range s.live.Rules {
		from := "all packets"
		if rule.Mark != 0 {
			from = fmt.Sprintf("packets of mark %d (%s)", rule.Mark, s.subnetOf(rule.Mark))
		}
		lines = append(lines, fmt.Sprintf("%d: %s ask table %d", rule.Priority, from, rule.Table))
	}
	s.add("rules", lines...)
	s.add("routes", s.routesBy(func(plan.Route) bool { return true })...)
	s.add("public", strings.Join(s.live.Public, " "))
	var chains []string
	for _, chain := range s.live.Chains {
		var packets uint64
		for _, counted := range chain.Counters {
			if counted != nil {
				packets += counted.Packets
			}
		}
		chains = append(chains, fmt.Sprintf("%s: %d rules, %d packets counted", chain.Name, len(chain.Counters), packets))
	}
	s.add("chains", chains...)
}

func (s *sight) subnetOf(mark int) string {
	for id, number := range s.Subnets {
		if number == mark {
			return id
		}
	}
	return "no subnet"
}

func (s *sight) device(name string) {
	for _, device := range s.live.Devices {
		if device.Name == name {
			s.add("device", device.String())
			return
		}
	}
	s.add("device", name+" is not there")
}

func (s *sight) routesBy(matches func(plan.Route) bool) []string {
	return routeLines(s.live, matches)
}

func routeLines(live kernel.Live, matches func(plan.Route) bool) []string {
	var lines []string
	for _, route := range live.Routes {
		if !matches(route) {
			continue
		}
		text := fmt.Sprintf("table %d: %s", route.Table, route.Destination)
		switch {
		case route.Next:
			text += " is left to the next table"
		case route.Device == "":
			text += " blackhole"
		case route.Via.IsValid():
			text += fmt.Sprintf(" via %s at %s", route.Via, route.Device)
		default:
			text += " at " + route.Device
		}
		lines = append(lines, text)
	}
	return lines
}

// routes tells the routes that packets from a subnet take.
func (s *sight) routes(subnet string) {
	table, detours := plan.SubnetTables+s.Subnets[subnet], plan.DetourTables+s.Subnets[subnet]
	first := ""
	if slices.ContainsFunc(s.live.Rules, func(r plan.RoutingRule) bool { return r.Table == detours }) {
		first = fmt.Sprintf(" table %d (what interfaces take on the way),", detours)
	}
	s.add("routes", append([]string{fmt.Sprintf("packets from %s have mark %d, and ask%s table %d (local) and then %d", subnet, s.Subnets[subnet], first, plan.LocalTable, table)},
		s.routesBy(func(r plan.Route) bool { return r.Table == table || r.Table == detours || r.Table == plan.LocalTable })...)...)
}

func (s *sight) subnet(id string) {
	s.routes(id)
	s.networkACL(id)
}

// networkACL tells the chains of a subnet's network ACL; one that lets everything pass has none.
func (s *sight) networkACL(subnet string) {
	before := len(s.facts)
	s.chain("acl_out_"+subnet, "acl_in_"+subnet, "acl_nat_in_"+subnet, "acl_nat_out_"+subnet)
	if len(s.facts) == before {
		s.add("chain", "none for "+subnet+": its network ACL lets everything pass")
	}
}

func (s *sight) securityGroup(id string) {
	s.chain(id+"_out", id+"_in")
	if members, ok := s.live.Sets[id]; ok {
		s.add("set", id+", of those that a rule lets in or out: "+strings.Join(members, " "))
	}
	var users []string
	for _, eni := range s.Wanted.ENIs {
		if slices.Contains(eni.Groups, id) {
			users = append(users, fmt.Sprintf("%s (device %s)", eni.ID, plan.DeviceName(eni.ID)))
		}
	}
	s.add("interfaces", users...)
}

func (s *sight) networkInterface(id string) {
	eni, ok := eniOf(s.Wanted, id)
	if !ok {
		return
	}
	device := plan.DeviceName(id)
	attached, isAttached := s.Attachments[id]
	if !isAttached {
		s.add("device", "none: no container has the interface")
	} else {
		s.device(device)
		name := fmt.Sprintf("eth%d", attached.Index)
		inside, namespace, err := kernel.Inside(attached.PID, name)
		if err != nil {
			s.add("inside", err.Error())
		} else {
			s.add("inside", fmt.Sprintf("%s, %s of process %d", attached.Container, namespace, attached.PID), inside.String())
		}
		s.add("routes", s.routesBy(func(r plan.Route) bool { return r.Device == device })...)
	}
	for _, pair := range eni.Public {
		s.add("public", fmt.Sprintf("%s is %s inside%s", pair.Public, pair.Private, answered(s.live.Public, pair.Public.String())))
	}
	// Its groups' chains are those that the maps of devices lead to.
	for _, set := range s.plan.Table.Sets {
		if set.Name != "egress" && set.Name != "ingress" {
			continue
		}
		for _, element := range set.Elements {
			if verdict, ok := element.Value.(plan.Verdict); ok && element.Key[0] == any(device) {
				s.chain(verdict.Chain)
			}
		}
	}
	for _, group := range slices.Sorted(slices.Values(eni.Groups)) {
		s.chain(group+"_out", group+"_in")
	}
}

// texts are the rules of the planned chains, by name.
func (s *sight) texts() map[string][]string {
	all := map[string][]string{}
	for _, chain := range s.plan.Table.Chains {
		texts := []string{}
		for _, rule := range chain.Rules {
			texts = append(texts, rule.String())
		}
		all[chain.Name] = texts
	}
	return all
}

// chain tells the rules of chains as they were put into the kernel, with what the kernel counted. The table is replaced as
// a whole, so rules stand in the order of the plan; a chain that somebody changed by hand says so.
func (s *sight) chain(names ...string) {
	texts := s.texts()
	for _, name := range names {
		i := slices.IndexFunc(s.live.Chains, func(c kernel.LiveChain) bool { return c.Name == name })
		if i < 0 {
			continue
		}
		live, planned := s.live.Chains[i], texts[name]
		lines := []string{name}
		if len(live.Counters) != len(planned) {
			lines = append(lines, fmt.Sprintf("%d rules, and %d were put there: somebody changed it", len(live.Counters), len(planned)))
		} else {
			for i, text := range planned {
				lines = append(lines, "  "+text+counterText(live.Counters[i]))
			}
		}
		s.add("chain", lines...)
	}
}

// rules tells single rules of all chains.
func (s *sight) rules(matches func(text string) bool) {
	texts := s.texts()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		i := slices.IndexFunc(s.live.Chains, func(c kernel.LiveChain) bool { return c.Name == name })
		for n, text := range texts[name] {
			if matches(text) && i >= 0 && n < len(s.live.Chains[i].Counters) {
				s.add("rule", "of "+name+": "+text+counterText(s.live.Chains[i].Counters[n]))
			}
		}
	}
}

func counterText(counted *kernel.LiveCounter) string {
	if counted == nil {
		return ""
	}
	return fmt.Sprintf("    # %d packets, %d bytes", counted.Packets, counted.Bytes)
}
