package awsapi

import (
	"strings"
	"testing"

	"miniaws/awsapi/meta"
)

func BenchmarkDecodeForm(b *testing.B) {
	c := demoCodec(meta.AWSQuery)
	m := &Message{Body: []byte(strings.TrimSuffix(demoForm, "&Bogus.X=1&Tree.Bad=2"))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(meta.AWSQuery, "Do", m, &demoInput{}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkBoth(b *testing.B, p meta.Protocol) {
	c := demoCodec(p)
	v := demoOutput(*demoValue())
	var buf []byte
	r, err := c.Encode(p, "Do", "rid", &v, nil)
	if err != nil {
		b.Fatal(err)
	}
	m := &Message{Body: append([]byte(nil), r.Body...)}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(m.Body)))
		for b.Loop() {
			r, err := c.Encode(p, "Do", "rid", &v, buf)
			if err != nil {
				b.Fatal(err)
			}
			buf = r.Body
		}
	})
	b.Run("decode", func(b *testing.B) {
		if p == meta.AWSQuery {
			b.Skip("a query service answers in XML and reads forms: BenchmarkDecodeForm has the other way")
		}
		b.ReportAllocs()
		b.SetBytes(int64(len(m.Body)))
		for b.Loop() {
			if _, err := c.Decode(p, "Do", m, &demoInput{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkQuery(b *testing.B)   { benchmarkBoth(b, meta.AWSQuery) }
func BenchmarkJSON(b *testing.B)    { benchmarkBoth(b, meta.AWSJSON11) }
func BenchmarkCBOR(b *testing.B)    { benchmarkBoth(b, meta.RPCv2CBOR) }
func BenchmarkRESTXML(b *testing.B) { benchmarkBoth(b, meta.RESTXML) }

// BenchmarkFirstRequest is what the first call of a service costs.
func BenchmarkFirstRequest(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c := demoCodec(meta.AWSQuery)
		if _, err := c.Decode(meta.AWSQuery, "Do", &Message{Body: []byte("Name=x")}, &demoInput{}); err != nil {
			b.Fatal(err)
		}
	}
}
