package awsapi

import (
	"maps"
	"net/http"
	"slices"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// EncodeError writes any error. Those that are neither *Error nor one of the SDK's types become
// InternalFailure without their text: log them before. On HEAD requests the caller drops the body.
func (c *Codec) EncodeError(p meta.Protocol, requestID string, err error) *Reply {
	d := c.describeError(err, dialectOf(p))
	r := &Reply{Status: d.status, Header: http.Header{}}
	for name, values := range d.header {
		r.Header[name] = values
	}
	setRequestID(r.Header, c.Service, requestID)
	switch p {
	case meta.EC2Query:
		r.Header.Set("Content-Type", "text/xml;charset=UTF-8")
		b := append([]byte(xmlDeclaration), "<Response><Errors><Error>"...)
		b = xmlText(xmlText(b, "Code", d.code), "Message", d.message)
		b = append(b, "</Error></Errors>"...)
		r.Body = append(xmlText(b, "RequestID", requestID), "</Response>"...)
	case meta.AWSQuery:
		r.Header.Set("Content-Type", "text/xml")
		r.Body = c.queryError(d, requestID)
	case meta.RESTXML:
		r.Header.Set("Content-Type", "application/xml")
		switch {
		case c.Service.Name == "s3":
			r.Body = s3Error(d, requestID)
		case d.shape == "InvalidChangeBatch" && d.plan != nil:
			r.Body = c.changeBatchError(d, requestID)
		default:
			r.Header.Set("Content-Type", "text/xml")
			r.Body = c.queryError(d, requestID)
		}
	case meta.RPCv2CBOR:
		r.Header.Set("Content-Type", "application/cbor")
		r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		c.queryHeader(r, d)
		r.Body = cborError(d)
	default:
		r.Header.Set("Content-Type", "application/json")
		if p != meta.RESTJSON {
			r.Header.Set("Content-Type", jsonType(p))
		}
		r.Header.Set("X-Amzn-Errortype", d.code)
		c.queryHeader(r, d)
		r.Body = jsonError(d)
	}
	return r
}

// queryHeader tells clients of query-compatible services the code of the old protocol.
func (c *Codec) queryHeader(r *Reply, d *described) {
	if c.Service.QueryCompatible() {
		r.Header.Set("X-Amzn-Query-Error", d.queryCode+";"+d.sender())
	}
}

func xmlText(b []byte, name, text string) []byte {
	b = append(append(append(b, '<'), name...), '>')
	b = appendXMLText(b, text)
	return append(append(append(b, "</"...), name...), '>')
}

// extras writes the further members of an error: those of a typed one, or Fields.
func (d *described) extras(b []byte) []byte {
	if d.plan != nil {
		for i := range d.plan.fields {
			f := &d.plan.fields[i]
			at := f.in(placeOf(d.value))
			if f.location != wire.Body || isMessage(f.name) || f.absent(at) {
				continue
			}
			if more, err := xmlElement(b, f.plan, f.open, f.close, f.flat, at); err == nil {
				b = more
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(d.fields)) {
		b = xmlText(b, k, d.fields[k])
	}
	return b
}

func isMessage(name string) bool { return name == "message" || name == "Message" }

func (c *Codec) queryError(d *described, requestID string) []byte {
	b := append([]byte(xmlDeclaration), rootTag("ErrorResponse", c.Service.Namespace)...)
	b = append(b, "<Error>"...)
	b = xmlText(xmlText(xmlText(b, "Type", d.sender()), "Code", d.code), "Message", d.message)
	b = append(d.extras(b), "</Error>"...)
	return append(xmlText(b, "RequestId", requestID), "</ErrorResponse>"...)
}

// s3Error has no namespace; S3 puts the resource and such between message and request id.
func s3Error(d *described, requestID string) []byte {
	b := append([]byte(xmlDeclaration), "<Error>"...)
	b = d.extras(xmlText(xmlText(b, "Code", d.code), "Message", d.message))
	return append(xmlText(xmlText(b, "RequestId", requestID), "HostId", hostID(requestID)), "</Error>"...)
}

// changeBatchError is Route 53's one error with a root of its own, and with capitals that the model lacks.
func (c *Codec) changeBatchError(d *described, requestID string) []byte {
	b := append([]byte(xmlDeclaration), rootTag(d.shape, c.Service.Namespace)...)
	b = append(b, "<Messages>"...)
	for i := range d.plan.fields {
		if f := &d.plan.fields[i]; f.plan.kind == kindList {
			for list, j := d.value.Field(f.field), 0; j < list.Len(); j++ {
				b = xmlText(b, "Message", list.Index(j).String())
			}
		}
	}
	b = append(b, "</Messages>"...)
	return append(xmlText(b, "RequestId", requestID), "</"+d.shape+">"...)
}

// jsonError names the message as the error's shape does; free-form errors carry both spellings, because some
// clients read one and some the other.
func jsonError(d *described) []byte {
	b := append([]byte(`{"__type":`), appendJSONString(nil, d.code)...)
	if d.plan != nil {
		if members, err := jsonMembers(nil, d.plan, placeOf(d.value)); err == nil && len(members) > 2 {
			return append(append(b, ','), members[1:]...)
		}
	}
	for _, name := range []string{"message", "Message"} {
		b = appendJSONString(append(append(append(append(b, `,"`...), name...), '"'), ':'), d.message)
	}
	for _, k := range slices.Sorted(maps.Keys(d.fields)) {
		b = appendJSONString(append(appendJSONString(append(b, ','), k), ':'), d.fields[k])
	}
	return append(b, '}')
}

func cborError(d *described) []byte {
	b := cborString(cborString([]byte{cborOpen}, "__type"), d.code)
	if d.plan != nil {
		if members, err := cborValue(nil, d.plan, placeOf(d.value)); err == nil && len(members) > 2 {
			return append(b, members[1:]...)
		}
	}
	for _, name := range []string{"message", "Message"} {
		b = cborString(cborString(b, name), d.message)
	}
	for _, k := range slices.Sorted(maps.Keys(d.fields)) {
		b = cborString(cborString(b, k), d.fields[k])
	}
	return append(b, cborBreak)
}
