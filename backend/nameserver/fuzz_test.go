package nameserver

import (
	"testing"

	"github.com/miekg/dns"
)

// FuzzAnswer: whatever a message says, the answer to it is one that can be sent, is not larger than it may be, and never an
// answer to another question.
func FuzzAnswer(f *testing.F) {
	for _, question := range []*dns.Msg{
		ask("api.x.internal", dns.TypeA), ask("bucket.s3.us-east-1.x.internal", dns.TypeANY), ask(".", dns.TypeNS),
		ask("ec2-198-18-0-9.compute-1.amazonaws.com", dns.TypeAAAA).SetEdns0(4096, true), ask("9.0.18.198.in-addr.arpa", dns.TypePTR), ask(`\000\..s3.x.internal`, dns.TypeTXT),
	} {
		packed, err := question.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	zone := testZone(gateway, gateway6)
	f.Fuzz(func(t *testing.T, message []byte) {
		question := new(dns.Msg)
		if question.Unpack(message) != nil {
			return // the server has answered it
		}
		reply := zone.answer(question, gateway, true)
		packed, err := reply.Pack()
		if err != nil {
			t.Fatalf("%v\nis answered with what cannot be sent: %v\n%v", question, err, reply)
		}
		if len(packed) > maxMessage {
			t.Errorf("%d bytes", len(packed))
		}
		if reply.Id != question.Id || !reply.Response {
			t.Errorf("%v\nis answered with %v", question, reply)
		}
	})
}
