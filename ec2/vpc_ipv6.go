package ec2

import "slices"

// allowIPv6 opens to IPv6 what is open to IPv4 as it was made: the default network ACL lets IPv6 pass in a direction in which
// nobody changed it, and groups that let all IPv4 out and nothing else let IPv6 out too. It is done when a VPC gets its first
// IPv6 range.
// AWS: "Default network ACL" and "Default security groups" in the VPC user guide.
func allowIPv6(t tx, v *vpc) error {
	acl, err := defaultNetworkACL(t, v.ID)
	if err != nil {
		return err
	}
	for _, egress := range []bool{false, true} {
		own := slices.DeleteFunc(slices.Clone(acl.Entries), func(e aclEntry) bool { return e.Egress != egress })
		open := aclEntry{Number: 100, Egress: egress, Allow: true, Protocol: -1, From: -1, To: -1, CIDR: "0.0.0.0/0"}
		if len(own) == 1 && own[0] == open {
			open.Number, open.CIDR = 101, "::/0"
			acl.Entries = append(acl.Entries, open)
		}
	}
	sortEntries(acl)
	if err := networkACLs.put(t, acl); err != nil {
		return err
	}
	groups, err := securityGroups.by(t, "vpc", v.ID)
	if err != nil {
		return err
	}
	for _, g := range groups {
		out := slices.DeleteFunc(slices.Clone(g.Rules), func(r securityRule) bool { return !r.Egress })
		if len(out) != 1 || out[0].Protocol != "-1" || out[0].CIDR != "0.0.0.0/0" {
			continue
		}
		g.Rules = append(g.Rules, securityRule{ID: t.NewID("sgr-"), Egress: true, Protocol: "-1", From: -1, To: -1, CIDR: "::/0"})
		if err := securityGroups.put(t, g); err != nil {
			return err
		}
	}
	return nil
}
