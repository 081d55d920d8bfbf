package plan

import (
	"cmp"
	"net/netip"
	"slices"

	"miniaws/backend"
)

// Prefixes of interfaces: the router sends what is for one to the interface, whoever has the address behind it, and lets in what
// comes from one, with the MAC of the interface.
// AWS: "Prefix delegation for Amazon EC2 network interfaces".

// prefixes are the interface's of the table's family.
func (f *filter) prefixes(eni backend.WantedENI) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(eni.Prefixes), func(p netip.Prefix) bool { return !f.of(p.Addr()) })
}

// prefixesOf are those of a group's members, sorted.
func (f *filter) prefixesOf(group string) []netip.Prefix {
	all := f.prefixes(backend.WantedENI{Prefixes: f.ForeignPrefixes[group]})
	for _, id := range f.eniIDs {
		if slices.Contains(f.enis[id].Groups, group) {
			all = append(all, f.prefixes(f.enis[id])...)
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(all)
}

// arrivePrefixed lets in what comes from interfaces' prefixes.
func (f *filter) arrivePrefixed() []Rule {
	var rules []Rule
	for _, id := range f.eniIDs {
		if !f.enis[id].SourceDestCheck {
			continue
		}
		for _, prefix := range f.prefixes(f.enis[id]) {
			rules = append(rules, Rule{Address{Side: From, Range: prefix}, Device{Side: From, Name: DeviceName(id)}, Origin{Set: setPrefixed}, accept})
		}
	}
	return rules
}

// prefixRoutes are the ways to the prefixes of one family of an interface that is attached.
func prefixRoutes(eni backend.WantedENI, six bool) (all []Route) {
	for _, prefix := range eni.Prefixes {
		if prefix.Addr().Is6() == six {
			all = append(all, Route{Table: LocalTable, Destination: prefix, Via: eni.Own(six), Device: DeviceName(eni.ID)})
		}
	}
	return all
}
