package wire

import (
	"slices"
	"strings"
)

// Kind says what a Shape describes. Scalars have no shape: their Go type says enough.
type Kind uint8

// The kinds of shapes.
const (
	Struct Kind = iota
	List
	Map
	Union
	kindEnd
)

// Location says where in an HTTP message a top-level member travels. Only REST operations use others than Body.
type Location uint8

// The locations of members.
const (
	Body          Location = iota
	Path                   // {Name} or {Name+} in the URI template
	Query                  // query parameter Name; lists repeat it
	Header                 // header Name
	PrefixHeaders          // a map: all headers that begin with Name
	Payload                // the member is the whole body
	StatusCode             // the response's HTTP status
	Events                 // the events that follow the response, which the Go type has no field for
	locationEnd
)

// Flags refine how a member is written.
type Flags uint8

// The flags of a member.
const (
	Flat      Flags = 1 << iota // list or map without an element around it
	Epoch                       // timestamp in seconds since 1970, whatever the protocol's default is
	HTTPDate                    // timestamp as in HTTP headers
	DateTime                    // timestamp in RFC 3339
	Attribute                   // an XML attribute of the element
	Required                    // the model says that it must be present

	// Timestamp masks the flags that choose a timestamp format.
	Timestamp = Epoch | HTTPDate | DateTime
)

// Member is one field of a structure or one variant of a union.
type Member struct {
	Field    string // Go field, or the variant's Go type for a union
	Name     string // name on the wire
	Alt      string // name in the query protocols where it differs from Name, else empty
	Location Location
	Flags    Flags
	Target   int32 // index of the value's shape, -1 for scalars
}

// Shape is one structure, list, map or union.
type Shape struct {
	Kind       Kind
	Elem       string // list: name of an element; map: name of an entry
	Key, Value string // map: names inside an entry
	Target     int32  // list and map: shape of the values, -1 for scalars
	Members    []Member
}

// Op is one operation.
type Op struct {
	Name    string
	In, Out int32   // index into Requests and Responses, -1 when there are no members
	Wrapper string  // query: element around the members; restXml: the response's root element
	Method  string  // REST only
	URI     string  // REST only: template with the constant query, such as /{Bucket}/{Key+}?x-id=PutObject
	Status  uint16  // REST only: HTTP status of success where it is not 200
	Errors  []int32 // modelled errors, index into Service.Errors
}

// Error is one modelled error.
type Error struct {
	Type      string // Go type in the SDK's types package
	Code      string // code on the wire
	QueryCode string // code that query-compatible services show instead, or empty
	Shape     int32  // members, index into Responses, -1 when unknown
	Status    uint16 // HTTP status, 0 when the SDK does not say
	Server    bool   // the fault is the server's
}

// Service is everything the codecs know about one service. It is never changed after Decode.
type Service struct {
	Name      string // the SDK package's name
	Requests  []Shape
	Responses []Shape // the same slice as Requests where one table serves both
	Ops       []Op    // sorted by name
	Errors    []Error // sorted by Type
}

// OpenErrors says that the source does not tell which operation has which errors.
func (s *Service) OpenErrors() bool {
	for i := range s.Ops {
		if len(s.Ops[i].Errors) > 0 {
			return false
		}
	}
	return true
}

// Op finds an operation by its name.
func (s *Service) Op(name string) (*Op, bool) {
	i, ok := slices.BinarySearchFunc(s.Ops, name, func(o Op, name string) int { return strings.Compare(o.Name, name) })
	if !ok {
		return nil, false
	}
	return &s.Ops[i], true
}
