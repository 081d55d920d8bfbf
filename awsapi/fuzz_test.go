package awsapi

import (
	"errors"
	"testing"

	"miniaws/awsapi/meta"
)

// fuzzDecoder feeds a decoder: it must neither panic nor accept what it cannot write back, and every refusal
// must be an error of the client.
func fuzzDecoder(f *testing.F, p meta.Protocol) {
	c := demoCodec(p)
	v := demoOutput(*demoValue())
	if p != meta.AWSQuery {
		r, err := c.Encode(p, "Do", "rid", &v, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(r.Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in := &demoInput{}
		if _, err := c.Decode(p, "Do", &Message{Body: body}, in); err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Status != 400 {
				t.Fatalf("not an error of the client: %v", err)
			}
			return
		}
		out := demoOutput(*in)
		if _, err := c.Encode(p, "Do", "rid", &out, nil); err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		_ = c.Validate(p, "Do", in, CheckAll)
	})
}

func FuzzForm(f *testing.F) {
	f.Add([]byte(demoForm))
	f.Add([]byte("Item.4294967296=1&Item.&.=&=&&%00=x&Choice."))
	fuzzDecoder(f, meta.AWSQuery)
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"Name":"\ud83d\ude00","Count":1e1,"Tags":[null,{}],"Choice":{"text":"x"}}`))
	fuzzDecoder(f, meta.AWSJSON11)
}

func FuzzCBOR(f *testing.F) { fuzzDecoder(f, meta.RPCv2CBOR) }

func FuzzXML(f *testing.F) {
	f.Add([]byte(`<a><Flat>1</Flat><Map><entry><key>k</key></entry></Map><Choice><text/></Choice></a>`))
	fuzzDecoder(f, meta.RESTXML)
}

func FuzzMatchURI(f *testing.F) {
	f.Add("/{Bucket}/{Key+}?x-id=PutObject", "/b/k//%2F")
	f.Fuzz(func(_ *testing.T, template, path string) { _, _ = MatchURI(template, path) })
}
