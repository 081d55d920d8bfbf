package nameserver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

var gateway, gateway6 = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")

func testZone(addresses ...netip.Addr) *Zone {
	return &Zone{
		Domain: "x.internal", Region: "home",
		Endpoint: func(netip.Addr) []netip.Addr { return addresses },
		Server:   func(netip.Addr) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.53")} },
		Instance: func(_ context.Context, name string) (netip.Addr, bool, error) {
			switch name {
			case "ec2-198-18-0-9.compute-1.amazonaws.com":
				return netip.MustParseAddr("198.18.0.9"), true, nil
			case "ec2-198-18-0-10.compute-1.amazonaws.com":
				return netip.Addr{}, true, nil
			case "broken.example":
				return netip.Addr{}, false, errors.New("closed")
			}
			return netip.Addr{}, false, nil
		},
		Pointer: func(_ context.Context, address netip.Addr) (string, bool, error) {
			switch address.String() {
			case "198.18.0.9":
				return "mail.example.com", true, nil
			case "198.18.0.10":
				return "", true, nil
			case "198.18.0.11":
				return "", false, errors.New("closed")
			}
			return "", false, nil
		},
	}
}

func TestPointers(t *testing.T) {
	zone := testZone(gateway)
	for name, want := range map[string]string{
		"9.0.18.198.in-addr.arpa":   "mail.example.com.",
		"10.0.18.198.in-addr.arpa":  "NXDOMAIN",
		"11.0.18.198.in-addr.arpa":  "SERVFAIL",
		"1.2.0.192.in-addr.arpa":    "REFUSED",
		"18.198.in-addr.arpa":       "REFUSED",
		"300.0.18.198.in-addr.arpa": "REFUSED",
	} {
		reply := zone.answer(ask(name, dns.TypePTR), gateway, true)
		got := dns.RcodeToString[reply.Rcode]
		if len(reply.Answer) == 1 {
			got = reply.Answer[0].(*dns.PTR).Ptr
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if reply := zone.answer(ask("9.0.18.198.in-addr.arpa", dns.TypeA), gateway, true); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 0 || len(reply.Ns) != 1 {
		t.Errorf("an address's address: %v", reply)
	}
}

func ask(name string, kind uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
}

func TestNames(t *testing.T) {
	zone := testZone(gateway)
	for name, want := range map[string]string{
		"api.x.internal":                                     "127.0.0.1",
		"API.X.Internal":                                     "127.0.0.1",
		"s3.x.internal":                                      "127.0.0.1",
		"s3.eu-west-1.x.internal":                            "127.0.0.1",
		"s3.home.x.internal":                                 "127.0.0.1",
		"bucket.s3.x.internal":                               "127.0.0.1",
		"bucket.with.dots.s3.x.internal":                     "127.0.0.1",
		"bucket.s3.us-gov-west-1.x.internal":                 "127.0.0.1",
		"bucket.api.x.internal":                              "127.0.0.1",
		"bucket.s3-website.x.internal":                       "127.0.0.1",
		"bucket.s3-website.us-east-1.x.internal":             "127.0.0.1",
		"bucket.s3-website-us-east-1.x.internal":             "127.0.0.1",
		"s3-control.us-east-1.x.internal":                    "127.0.0.1",
		"000000000000.s3-control.us-east-1.x.internal":       "127.0.0.1",
		"p-000000000000.s3-accesspoint.us-east-1.x.internal": "127.0.0.1",
		"b.s3-fips.dualstack.us-east-1.x.internal":           "127.0.0.1",
		"ns.x.internal":                                      "127.0.0.53",
		"ec2-198-18-0-9.compute-1.amazonaws.com":             "198.18.0.9",

		"x.internal":                              "NODATA",
		"us-east-1.x.internal":                    "NODATA",
		"s3-website.x.internal":                   "NODATA",
		"s3-website-us-east-1.x.internal":         "NODATA",
		"s3-website.us-east-1.x.internal":         "NODATA",
		"s3-accesspoint.us-east-1.x.internal":     "NODATA",
		"bucket.x.internal":                       "NXDOMAIN",
		"s3.nowhere.x.internal":                   "NXDOMAIN",
		"bucket.s3-website-nowhere.x.internal":    "NXDOMAIN",
		"1.s3-control.us-east-1.x.internal":       "NXDOMAIN",
		"p.s3-accesspoint.us-east-1.x.internal":   "NXDOMAIN",
		"dualstack.us-east-1.x.internal":          "NXDOMAIN",
		"other.us-east-1.x.internal":              "NXDOMAIN",
		"a.ns.x.internal":                         "NXDOMAIN",
		"ec2-198-18-0-10.compute-1.amazonaws.com": "NXDOMAIN",
		"ec2-52-1-2-3.compute-1.amazonaws.com":    "REFUSED",
		"example.com":                             "REFUSED",
		"notx.internal":                           "REFUSED",
		"internal":                                "REFUSED",
		".":                                       "REFUSED",
		"broken.example":                          "SERVFAIL",
	} {
		reply := zone.answer(ask(name, dns.TypeA), gateway, true)
		got := dns.RcodeToString[reply.Rcode]
		switch {
		case len(reply.Answer) == 1:
			got = reply.Answer[0].(*dns.A).A.String()
			if owner := reply.Answer[0].Header().Name; owner != dns.Fqdn(name) {
				t.Errorf("%s: the answer is about %s", name, owner)
			}
		case reply.Rcode == dns.RcodeSuccess:
			got = "NODATA"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		known := reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError
		if reply.Authoritative != known || !reply.Response || reply.RecursionAvailable {
			t.Errorf("%s: flags of %+v", name, reply.MsgHdr)
		}
		if missing := got == "NODATA" || got == "NXDOMAIN"; missing != (len(reply.Ns) == 1) {
			t.Errorf("%s: %d records say for how long", name, len(reply.Ns))
		} else if soa, ok := slices.Clone(append(reply.Ns, nil))[0].(*dns.SOA); missing && (!ok || !dns.IsSubDomain(soa.Hdr.Name, dns.Fqdn(strings.ToLower(name)))) {
			t.Errorf("%s: %v", name, reply.Ns)
		}
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		name string
		kind uint16
		zone *Zone
		want string
	}{
		{"api.x.internal", dns.TypeAAAA, testZone(gateway), "NOERROR"},
		{"api.x.internal", dns.TypeAAAA, testZone(gateway, gateway6), "NOERROR AAAA"},
		{"api.x.internal", dns.TypeANY, testZone(gateway, gateway6), "NOERROR A AAAA"},
		{"api.x.internal", dns.TypeMX, testZone(gateway), "NOERROR"},
		{"ec2-198-18-0-9.compute-1.amazonaws.com", dns.TypeAAAA, testZone(gateway), "NOERROR"},
		{"x.internal", dns.TypeSOA, testZone(gateway), "NOERROR SOA"},
		{"x.internal", dns.TypeNS, testZone(gateway), "NOERROR NS"},
		{"x.internal", dns.TypeANY, testZone(gateway), "NOERROR SOA NS"},
		{"x.internal", dns.TypeAXFR, testZone(gateway), "REFUSED"},
		{"nobody.x.internal", dns.TypeAAAA, testZone(gateway), "NXDOMAIN"},
	} {
		reply := c.zone.answer(ask(c.name, c.kind), gateway, true)
		got := dns.RcodeToString[reply.Rcode]
		for _, record := range reply.Answer {
			got += " " + dns.TypeToString[record.Header().Rrtype]
		}
		if got != c.want {
			t.Errorf("%s %s: %s, want %s", c.name, dns.TypeToString[c.kind], got, c.want)
		}
	}
}

func TestOddQuestions(t *testing.T) {
	zone := testZone(gateway)
	two := ask("api.x.internal", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	chaos := ask("api.x.internal", dns.TypeA)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	update := ask("x.internal", dns.TypeSOA)
	update.Opcode = dns.OpcodeUpdate
	newer := ask("api.x.internal", dns.TypeA).SetEdns0(4096, true)
	newer.IsEdns0().SetVersion(1)
	for _, c := range []struct {
		question *dns.Msg
		want     int
	}{{new(dns.Msg), dns.RcodeFormatError}, {two, dns.RcodeFormatError}, {chaos, dns.RcodeRefused}, {update, dns.RcodeNotImplemented}, {newer, dns.RcodeBadVers}} {
		reply := zone.answer(c.question, gateway, true)
		if reply.Rcode != c.want || len(reply.Answer) > 0 {
			t.Errorf("%v\nis answered with %v", c.question, reply)
		}
		if _, err := reply.Pack(); err != nil {
			t.Errorf("%v: %v", c.question, err)
		}
	}
}

// TestSizes: what does not fit into a packet says so; the same by TCP is whole.
func TestSizes(t *testing.T) {
	var many []netip.Addr
	for i := range 200 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	zone := testZone(many...)
	for _, c := range []struct {
		question *dns.Msg
		packet   bool
		most     int
	}{
		{ask("api.x.internal", dns.TypeA), true, 512},
		{ask("api.x.internal", dns.TypeA).SetEdns0(100, false), true, 512},
		{ask("api.x.internal", dns.TypeA).SetEdns0(1000, false), true, 1000},
		{ask("api.x.internal", dns.TypeA).SetEdns0(65535, false), true, maxMessage},
		{ask("api.x.internal", dns.TypeA), false, 65535},
	} {
		reply := zone.answer(c.question, gateway, c.packet)
		packed, err := reply.Pack()
		if err != nil || len(packed) > c.most || reply.Truncated != c.packet || len(reply.Answer) == 0 || !c.packet && len(reply.Answer) != len(many) {
			t.Errorf("packet %t: %v, %d bytes of %d, %d answers, truncated %t", c.packet, err, len(packed), c.most, len(reply.Answer), reply.Truncated)
		}
	}
}

func TestReached(t *testing.T) {
	parse := netip.MustParseAddr
	for _, c := range []struct{ listens, asker, want string }{
		{"127.0.0.1", "127.0.0.1", "[127.0.0.1]"},
		{"192.0.2.7", "198.51.100.1", "[192.0.2.7]"},
		{"::ffff:192.0.2.7", "198.51.100.1", "[192.0.2.7]"},
		{"::1", "127.0.0.1", "[::1]"},
		{"0.0.0.0", "127.0.0.1", "[127.0.0.1]"},
		{"0.0.0.0", "2001:db8::1", "[]"},
		{"::", "127.0.0.1", "[127.0.0.1 ::1]"},
		{"::", "::1", "[127.0.0.1 ::1]"},
	} {
		got := Reached(parse(c.listens), parse(c.asker))
		var words []string
		for _, address := range got {
			words = append(words, address.String())
		}
		if text := "[" + strings.Join(words, " ") + "]"; text != c.want {
			t.Errorf("%s is reached by %s at %s, want %s", c.listens, c.asker, text, c.want)
		}
	}
}
