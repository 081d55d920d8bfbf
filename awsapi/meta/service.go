package meta

import (
	"reflect"
	"slices"
	"sync"

	"miniaws/awsapi/wire"
)

// Protocol is one of AWS's wire protocols.
type Protocol uint8

// The protocols. The zero value is none of them.
const (
	_         Protocol = iota
	AWSQuery           // form in, XML out
	EC2Query           // AWSQuery's older cousin
	AWSJSON10          // application/x-amz-json-1.0
	AWSJSON11          // application/x-amz-json-1.1
	RPCv2CBOR          // Smithy RPC v2
	RESTXML            // S3, Route 53
	RESTJSON           // EBS, DLM, Recycle Bin
)

var protocolNames = [...]string{"none", "awsQuery", "ec2Query", "awsJson1_0", "awsJson1_1", "rpcv2Cbor", "restXml", "restJson1"}

// String is the protocol's name in Smithy's documents.
func (p Protocol) String() string {
	if int(p) < len(protocolNames) {
		return protocolNames[p]
	}
	return "unknown"
}

// Union lists the variants of one union interface of an SDK types package.
type Union struct {
	Type     reflect.Type
	Variants []reflect.Type
}

// Service describes one service. Its fields are read only.
type Service struct {
	Name           string   // the SDK package's name: cloudwatchlogs
	SigningName    string   // service in the credential scope: logs
	EndpointPrefix string   // first label of AWS's host names: logs
	Version        string   // Version= of query calls: 2014-03-28
	Namespace      string   // of XML answers, else empty
	Targets        []string // X-Amz-Target prefixes and names in rpcv2Cbor paths
	Protocols      []Protocol
	Operations     []string // sorted

	hasUnions bool
	unions    func() []Union
	wire      *string
	rules     *string

	unpack      sync.Once
	unpacked    *wire.Service
	unpackRules sync.Once
	ruled       *wire.Rules
}

// HasOperation answers without unpacking the blob.
func (s *Service) HasOperation(name string) bool {
	_, ok := slices.BinarySearch(s.Operations, name)
	return ok
}

// Speaks tells whether the service answers in protocol p.
func (s *Service) Speaks(p Protocol) bool { return slices.Contains(s.Protocols, p) }

// QueryCompatible says that the service moved from awsQuery to another protocol: clients compare the codes of
// the old one, sent in the header x-amzn-query-error.
func (s *Service) QueryCompatible() bool { return s.Speaks(AWSQuery) && s.Protocols[0] != AWSQuery }

// Wire unpacks the wire names on first use. It panics on a damaged blob: that is a broken build.
func (s *Service) Wire() *wire.Service {
	s.unpack.Do(func() {
		w, err := wire.Decode(*s.wire)
		if err != nil {
			panic("meta: " + s.Name + ": " + err.Error())
		}
		s.unpacked = w
	})
	return s.unpacked
}

// Rules unpacks the constraints on first use.
func (s *Service) Rules() *wire.Rules {
	s.unpackRules.Do(func() {
		r, err := wire.DecodeRules(*s.rules, s.Wire())
		if err != nil {
			panic("meta: " + s.Name + ": " + err.Error())
		}
		s.ruled = r
	})
	return s.ruled
}

// KnowUnions is called by the package unions/NAME, before main.
func (s *Service) KnowUnions(unions func() []Union) { s.unions = unions }

// Unions lists the service's unions; nil when it has none. A service that has some panics where the program does not import
// the package that knows them.
func (s *Service) Unions() []Union {
	switch {
	case s.unions != nil:
		return s.unions()
	case s.hasUnions:
		panic("meta: " + s.Name + " has unions: the package that serves it must import miniaws/awsapi/meta/unions/" + s.Name)
	default:
		return nil
	}
}
