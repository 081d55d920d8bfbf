package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"miniaws/backend/node/plan"
)

// Release answers the kernel's.
func Release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// Missing answers, in sentences, what this kernel or this process lacks for VPCs; empty where all is there. It tries
// everything that a VPC is made of in a namespace of its own, once.
var Missing = sync.OnceValue(func() []string {
	if err := probe(); err != nil {
		return []string{err.Error()}
	}
	return nil
})

// HasIPv6 tells whether this kernel carries IPv6 for VPCs. It tries once.
var HasIPv6 = sync.OnceValue(func() bool {
	folder, err := os.MkdirTemp("", "probe")
	if err != nil {
		return false
	}
	defer os.RemoveAll(folder) //nolint:errcheck // nothing is left in it
	router, err := OpenRouter(folder + "/vpc")
	if err != nil {
		return false
	}
	err = router.IPv6()
	if err == nil {
		sample := plan.Sample(true)
		_, err = router.applyTable(sample)
		if err == nil {
			_, err = router.applyRules(sample)
		}
	}
	return errors.Join(err, router.Remove()) == nil
})

func probe() (err error) {
	folder, err := os.MkdirTemp("", "probe")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // what was mounted there is reported below
	router, err := OpenRouter(folder + "/vpc")
	if err != nil {
		return fmt.Errorf("a VPC needs a network namespace with settings and virtual Ethernet devices of its own "+
			"(CAP_SYS_ADMIN, CAP_NET_ADMIN, a writable /proc/sys, module veth): %w", err)
	}
	defer func() { err = errors.Join(err, router.Remove()) }()
	address := netip.MustParseAddr("192.0.2.1")
	sample := plan.Plan{
		Router: []netip.Addr{address},
		Rules:  []plan.RoutingRule{{Priority: 1001, Mark: 1, Table: 101}},
		Routes: []plan.Route{
			{Table: 101, Destination: netip.MustParsePrefix("0.0.0.0/0")},
			{Table: 101, Destination: netip.MustParsePrefix("198.51.100.0/24"), Via: plan.PeerHop, Device: plan.PublicDevice},
		},
		Table: plan.Sample(false).Table,
	}
	for what, step := range map[string]func(plan.Plan) (bool, error){
		"addresses": router.applyAddresses, "routes": router.applyRoutes, "policy routing (CONFIG_IP_MULTIPLE_TABLES)": router.applyRules,
		"netfilter tables with connection tracking, maps, translation and logs (nf_tables, nft_ct, nft_nat, nft_log)": router.applyTable,
	} {
		if _, err := step(sample); err != nil {
			return fmt.Errorf("a VPC needs %s: %w", what, err)
		}
	}
	if _, err := generation(int(router.namespace)); err != nil {
		return fmt.Errorf("a VPC needs the generation of nf_tables: %w", err)
	}
	return nil
}
