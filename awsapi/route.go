package awsapi

import (
	"cmp"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/sigv4"
	"miniaws/awsapi/wire"
)

// route is where a request goes.
type route struct {
	service  *service
	protocol meta.Protocol
	// operation is empty where the service is known and the operation is not; asked is the name that was asked for.
	operation, asked string
	// foreign names a service that is not one of ours; service is then one that speaks the protocol.
	foreign string
	form    string            // query protocols: the parameters, from the body or the query string
	labels  map[string]string // REST
	query   url.Values        // S3, instead of parsing it again
	virtual string            // S3: the bucket that the host names
	isForm  bool              // S3: PutObject as a browser's form
}

// route finds service, protocol and operation. The signing name of the credential scope may be empty. Order: what is
// explicit in the protocol first, then the service that the caller signed for, S3 last, since any path may be a bucket.
func (s *Server) route(r *http.Request, body []byte, signingName string) route {
	if r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" {
		if target, operation, ok := cborPath(r.URL.Path); ok {
			return s.routeTarget(target, operation, meta.RPCv2CBOR)
		}
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		protocol := meta.AWSJSON11
		if mediaType(r) == "application/x-amz-json-1.0" {
			protocol = meta.AWSJSON10
		}
		// CloudTrail's prefix has dots itself.
		dot := max(0, strings.LastIndexByte(target, '.'))
		return s.routeTarget(target[:dot], strings.TrimPrefix(target[dot:], "."), protocol)
	}
	if found, ok := s.routeQuery(r, body, signingName); ok {
		return found
	}
	if signingName != "" && signingName != "s3" {
		return s.routeSigned(r, signingName)
	}
	switch {
	case signingName == "" && strings.HasPrefix(r.URL.Path, "/2013-04-01/"):
		return s.routeREST(meta.Route53, r)
	case strings.HasPrefix(r.URL.Path, "/v20180820/") && r.Header.Get("X-Amz-Account-Id") != "":
		return s.routeREST(meta.S3Control, r)
	default:
		return s.routeS3(r)
	}
}

// routeSigned takes what names its service in the signature alone: REST services, calls that do not say their action,
// and services that are not ours.
func (s *Server) routeSigned(r *http.Request, signingName string) route {
	for _, m := range meta.All {
		switch {
		case m.SigningName != signingName:
		case m == meta.S3:
			return s.routeS3(r)
		case m.Speaks(meta.RESTXML) || m.Speaks(meta.RESTJSON):
			return s.routeREST(m, r)
		default:
			return route{service: s.services[m], protocol: m.Protocols[0]}
		}
	}
	protocol := meta.RESTJSON
	if strings.HasSuffix(mediaType(r), "xml") {
		protocol = meta.RESTXML
	}
	return s.foreign(signingName, protocol)
}

// foreign is a route to a service that is not ours, worded by one that speaks the same protocol.
func (s *Server) foreign(name string, protocol meta.Protocol) route {
	found := route{protocol: protocol, foreign: name}
	for _, m := range meta.All {
		if m.Speaks(protocol) {
			found.service = s.services[m]
			break
		}
	}
	return found
}

// cborPath reads /service/{target}/operation/{Op}.
func cborPath(path string) (target, operation string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) != 4 || parts[0] != "service" || parts[2] != "operation" {
		return "", "", false
	}
	return parts[1], parts[3], true
}

func (s *Server) routeTarget(target, operation string, protocol meta.Protocol) route {
	for _, m := range meta.All {
		if slices.Contains(m.Targets, target) && m.Speaks(protocol) {
			return s.known(m, operation, protocol)
		}
	}
	return s.foreign(cmp.Or(target, "(none)"), protocol)
}

// known is a route to the operation, if the service has one of that name.
func (s *Server) known(m *meta.Service, operation string, protocol meta.Protocol) route {
	found := route{service: s.services[m], protocol: protocol, asked: operation}
	if m.HasOperation(operation) {
		found.operation = operation
	}
	return found
}

// routeQuery takes calls with Action and Version in the query string or in a form.
func (s *Server) routeQuery(r *http.Request, body []byte, signingName string) (route, bool) {
	form := r.URL.RawQuery
	if r.Method == http.MethodPost && (mediaType(r) == "application/x-www-form-urlencoded" || mediaType(r) == "") && len(body) > 0 {
		form = string(body)
	}
	values, err := FormValues(form, "Action", "Version")
	if err != nil || values["Action"] == "" {
		return route{}, false
	}
	named := route{asked: values["Action"], form: form}
	for _, m := range meta.All {
		protocol := queryProtocol(m)
		if protocol == 0 {
			continue
		}
		// Two load balancing services share a signing name, and the version alone tells them apart; a wrong version of
		// a named service is that service's error.
		if m.Version == values["Version"] {
			found := s.known(m, values["Action"], protocol)
			found.form = form
			return found, true
		}
		if m.SigningName == signingName && named.service == nil {
			named.service, named.protocol = s.services[m], protocol
		}
	}
	return named, named.service != nil
}

func queryProtocol(m *meta.Service) meta.Protocol {
	for _, p := range []meta.Protocol{meta.EC2Query, meta.AWSQuery} {
		if m.Speaks(p) {
			return p
		}
	}
	return 0
}

// mediaType is the content type without its parameters, in lower case.
func mediaType(r *http.Request) string {
	found, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return found
}

// family is how the service words what goes wrong before its handler.
func (rt route) family() sigv4.Family {
	switch rt.protocol {
	case meta.EC2Query:
		return sigv4.EC2
	case meta.AWSJSON10, meta.AWSJSON11, meta.RPCv2CBOR:
		return sigv4.JSON
	case meta.RESTJSON:
		return sigv4.RESTJSON
	case meta.RESTXML:
		if rt.service.meta != meta.Route53 {
			return sigv4.S3
		}
	}
	return sigv4.Query
}

// restRouter finds a REST operation by method, path, query and headers.
type restRouter struct {
	byMethod map[string][]restOperation
}

type restOperation struct {
	op *wire.Op
	// query and headers must be there: the template's constants and the required members.
	constants, query, headers []string
	id                        string // of the SDK's own x-id parameter
}

func newRESTRouter(w *wire.Service) restRouter {
	router := restRouter{byMethod: map[string][]restOperation{}}
	for i := range w.Ops {
		o := restOperation{op: &w.Ops[i]}
		_, constant, _ := strings.Cut(o.op.URI, "?")
		for pair := range strings.SplitSeq(constant, "&") {
			switch name, value, _ := strings.Cut(pair, "="); {
			case name == "x-id":
				o.id = value
			case pair != "":
				o.constants = append(o.constants, pair)
			}
		}
		if o.op.In >= 0 {
			for _, member := range w.Requests[o.op.In].Members {
				switch {
				case member.Flags&wire.Required == 0:
				case member.Location == wire.Query:
					o.query = append(o.query, member.Name)
				case member.Location == wire.Header:
					o.headers = append(o.headers, member.Name)
				}
			}
		}
		router.byMethod[o.op.Method] = append(router.byMethod[o.op.Method], o)
	}
	// What asks for more comes first.
	for _, operations := range router.byMethod {
		slices.SortStableFunc(operations, func(a, b restOperation) int { return cmp.Compare(b.weight(), a.weight()) })
	}
	return router
}

// weight ranks an operation by how much it asks of a request: constants of its path and query, required parameters.
func (o restOperation) weight() int {
	path, _, _ := strings.Cut(o.op.URI, "?")
	fixed := 0
	for segment := range strings.SplitSeq(path, "/") {
		if segment != "" && !strings.HasPrefix(segment, "{") {
			fixed++
		}
	}
	greedy := 0
	if strings.Contains(path, "+}") {
		greedy = 1
	}
	return 100*fixed + 10*(len(o.constants)+len(o.query)+len(o.headers)) - greedy
}

func (s *Server) routeREST(m *meta.Service, r *http.Request) route {
	target := s.services[m]
	found := route{service: target, protocol: m.Protocols[0]}
	target.restOnce.Do(func() { target.rest = newRESTRouter(m.Wire()) })
	query := r.URL.Query()
	for _, o := range target.rest.byMethod[r.Method] {
		if id := query.Get("x-id"); id != "" && o.id != "" && id != o.id {
			continue
		}
		if !o.asks(query, r.Header) {
			continue
		}
		if labels, ok := MatchURI(o.op.URI, r.URL.EscapedPath()); ok {
			found.operation, found.labels = o.op.Name, labels
			break
		}
	}
	return found
}

// asks tells whether the request has everything that the operation asks for.
func (o restOperation) asks(query map[string][]string, header http.Header) bool {
	for _, pair := range o.constants {
		name, value, _ := strings.Cut(pair, "=")
		if values, ok := query[name]; !ok || value != "" && !slices.Contains(values, value) {
			return false
		}
	}
	for _, name := range o.query {
		if _, ok := query[name]; !ok {
			return false
		}
	}
	for _, name := range o.headers {
		if len(header.Values(name)) == 0 {
			return false
		}
	}
	return true
}
