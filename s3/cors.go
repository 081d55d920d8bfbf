package s3

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// AWS: "Elements of a CORS configuration".

var corsMethods = []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead}

const maxCORSRules = 100

// PutBucketCors replaces all rules.
func (s *Service) PutBucketCors(ctx context.Context, in *s3.PutBucketCorsInput) (*s3.PutBucketCorsOutput, error) {
	c := in.CORSConfiguration
	if c == nil || len(c.CORSRules) == 0 {
		return nil, errMalformedXML()
	}
	if len(c.CORSRules) > maxCORSRules {
		return nil, errInvalidRequest("The number of CORS rules should not exceed allowed limit of 100 rules.")
	}
	for _, rule := range c.CORSRules {
		if err := checkCORSRule(rule); err != nil {
			return nil, err
		}
	}
	return &s3.PutBucketCorsOutput{}, s.putConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindCORS, c.CORSRules, nil)
}

func checkCORSRule(rule types.CORSRule) error {
	if len(rule.AllowedMethods) == 0 || len(rule.AllowedOrigins) == 0 {
		return errMalformedXML()
	}
	for _, method := range rule.AllowedMethods {
		if !slices.Contains(corsMethods, method) {
			return errInvalidRequest("Found unsupported HTTP method in CORS config. Unsupported method is " + method)
		}
	}
	for _, origin := range rule.AllowedOrigins {
		if strings.Count(origin, "*") > 1 {
			return errInvalidRequest(fmt.Sprintf("AllowedOrigin %q can not have more than one wildcard.", origin))
		}
	}
	for _, header := range slices.Concat(rule.AllowedHeaders, rule.ExposeHeaders) {
		if !headerName(header) {
			return errInvalidRequest(fmt.Sprintf(`AllowedHeader "%s" contains invalid character.`, header))
		}
	}
	for _, header := range rule.AllowedHeaders {
		if strings.Count(header, "*") > 1 {
			return errInvalidRequest(fmt.Sprintf("AllowedHeader %q can not have more than one wildcard.", header))
		}
	}
	for _, header := range rule.ExposeHeaders {
		if strings.Contains(header, "*") {
			return errInvalidRequest(fmt.Sprintf("ExposeHeader %q contains wildcard. We currently do not support wildcard for ExposeHeader.", header))
		}
	}
	if len(aws.ToString(rule.ID)) > 255 {
		return errInvalidRequest("Rule ID cannot be more than 255 characters.")
	}
	return nil
}

// headerName tells whether all characters may be in the name of a header; * is one of them.
//
// AWS: the words as versitygw's tests found them at S3 (PutBucketCors_invalid_header, PreflightOPTIONS_invalid_request_headers).
func headerName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// GetBucketCors answers the rules in their order.
func (s *Service) GetBucketCors(ctx context.Context, in *s3.GetBucketCorsInput) (*s3.GetBucketCorsOutput, error) {
	rules, b, err := getConfig[[]types.CORSRule](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindCORS)
	if err != nil {
		return nil, err
	}
	if rules == nil {
		return nil, errNotSet("NoSuchCORSConfiguration", "The CORS configuration does not exist", b.Name)
	}
	return &s3.GetBucketCorsOutput{CORSRules: *rules}, nil
}

// DeleteBucketCors succeeds when there are no rules.
func (s *Service) DeleteBucketCors(ctx context.Context, in *s3.DeleteBucketCorsInput) (*s3.DeleteBucketCorsOutput, error) {
	return &s3.DeleteBucketCorsOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindCORS)
}

// CORS answers the headers that a browser's request to a bucket gets, or decides a preflight.
//
// AWS: "Testing CORS" and "Troubleshooting CORS": a preflight that no rule allows is 403 AccessForbidden, any other
// request just gets no headers.
func (s *Service) CORS(ctx context.Context, name string, r *http.Request) (http.Header, error) {
	preflight := r.Method == http.MethodOptions
	origin, method := r.Header.Get("Origin"), r.Method
	if preflight {
		method = r.Header.Get("Access-Control-Request-Method")
		switch {
		case origin == "":
			return nil, refusal(http.StatusBadRequest, "BadRequest", "Insufficient information. Origin request header needed.")
		case !slices.Contains(corsMethods, method):
			if method == "" {
				method = "null"
			}
			return nil, refusal(http.StatusBadRequest, "BadRequest", "Invalid Access-Control-Request-Method: "+method)
		}
		for _, header := range listed(r.Header.Get("Access-Control-Request-Headers")) {
			if !headerName(header) {
				return nil, refusal(http.StatusBadRequest, "BadRequest", fmt.Sprintf(`Access-Control-Request-Headers "%s" contains invalid character.`, header))
			}
		}
	}
	if origin == "" {
		return nil, nil
	}
	if said := r.Header.Get("Access-Control-Request-Method"); said != "" {
		method = said // browsers do not let scripts say it, so it says what they do
	}
	var rules *[]types.CORSRule
	err := s.db.View(ctx, func(tx store.Tx) error {
		b, err := sharedBucket(tx, name)
		if err != nil {
			return err
		}
		if b == nil {
			return errNoSuchBucket(name)
		}
		if !b.Has[kindCORS] {
			return nil
		}
		rules, err = findSetting[[]types.CORSRule](tx, b.Name, kindCORS, "")
		return err
	})
	if err != nil {
		if preflight {
			return nil, err
		}
		return nil, nil // the request itself says so
	}
	asked := listed(r.Header.Get("Access-Control-Request-Headers"))
	if rules != nil {
		for _, rule := range *rules {
			if header := corsHeaders(rule, origin, method, asked); header != nil {
				return header, nil
			}
		}
	}
	if !preflight {
		return nil, nil
	}
	resource := "BUCKET"
	if strings.Contains(strings.Trim(r.URL.Path, "/"), "/") {
		resource = "OBJECT"
	}
	message := "CORSResponse: CORS is not enabled for this bucket."
	if rules != nil {
		message = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
	}
	return nil, refusal(http.StatusForbidden, "AccessForbidden", message, "Method", method, "ResourceType", resource)
}

// corsHeaders are the headers of a rule that fits, and nil for one that does not.
func corsHeaders(rule types.CORSRule, origin, method string, asked []string) http.Header {
	fits := slices.IndexFunc(rule.AllowedOrigins, func(pattern string) bool { return wildcard(pattern, origin) })
	if fits < 0 || !slices.Contains(rule.AllowedMethods, method) {
		return nil
	}
	for _, name := range asked {
		if !slices.ContainsFunc(rule.AllowedHeaders, func(pattern string) bool {
			return wildcard(strings.ToLower(pattern), strings.ToLower(name))
		}) {
			return nil
		}
	}
	header := http.Header{
		"Access-Control-Allow-Methods": {strings.Join(rule.AllowedMethods, ", ")},
		"Vary":                         {"Origin, Access-Control-Request-Headers, Access-Control-Request-Method"},
	}
	if rule.AllowedOrigins[fits] == "*" {
		header.Set("Access-Control-Allow-Origin", "*")
	} else {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(asked) > 0 {
		header.Set("Access-Control-Allow-Headers", strings.ToLower(strings.Join(asked, ", ")))
	}
	if len(rule.ExposeHeaders) > 0 {
		header.Set("Access-Control-Expose-Headers", strings.Join(rule.ExposeHeaders, ", "))
	}
	if rule.MaxAgeSeconds != nil {
		header.Set("Access-Control-Max-Age", strconv.Itoa(int(*rule.MaxAgeSeconds)))
	}
	return header
}

// wildcard matches a pattern with at most one *.
func wildcard(pattern, text string) bool {
	before, after, any := strings.Cut(pattern, "*")
	if !any {
		return pattern == text
	}
	return len(text) >= len(before)+len(after) && strings.HasPrefix(text, before) && strings.HasSuffix(text, after)
}

// listed splits a header's list.
func listed(header string) []string {
	var all []string
	for name := range strings.SplitSeq(header, ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}
