package s3

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
)

// maxRoutingRules is how many redirects a website has at most.
// AWS: "Configuring a webpage redirect".
const maxRoutingRules = 50

const maxWebsite = 128 << 10

// PutBucketWebsite makes the bucket a website, at BUCKET.s3-website.DOMAIN.
func (s *Service) PutBucketWebsite(ctx context.Context, in *s3.PutBucketWebsiteInput) (*s3.PutBucketWebsiteOutput, error) {
	if in.WebsiteConfiguration == nil {
		return nil, errMalformedXML()
	}
	// AWS: API reference of PutBucketWebsite: "The maximum request length is limited to 128 KB."
	if r := awsapi.FromContext(ctx); r.HTTP != nil && r.HTTP.ContentLength > maxWebsite {
		return nil, refusal(http.StatusBadRequest, "MaxMessageLengthExceeded", "Your request was too large.", "MaxMessageLengthBytes", strconv.Itoa(maxWebsite))
	}
	if err := checkWebsite(in.WebsiteConfiguration); err != nil {
		return nil, err
	}
	return &s3.PutBucketWebsiteOutput{}, s.putConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindWebsite, in.WebsiteConfiguration, nil)
}

func checkWebsite(c *types.WebsiteConfiguration) error {
	if all := c.RedirectAllRequestsTo; all != nil {
		switch {
		case c.IndexDocument != nil || c.ErrorDocument != nil || len(c.RoutingRules) > 0:
			return errInvalidArgument("RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.", "RedirectAllRequestsTo", "not null")
		case aws.ToString(all.HostName) == "":
			return errMalformedXML()
		default:
			return checkProtocol(all.Protocol)
		}
	}
	switch {
	case c.IndexDocument == nil:
		return errInvalidArgument("A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty", "IndexDocument", "null")
	case aws.ToString(c.IndexDocument.Suffix) == "" || strings.Contains(*c.IndexDocument.Suffix, "/"):
		return errInvalidArgument("The IndexDocument Suffix is not well formed", "IndexDocument", aws.ToString(c.IndexDocument.Suffix))
	case c.ErrorDocument != nil && aws.ToString(c.ErrorDocument.Key) == "":
		return errInvalidArgument("The ErrorDocument Key is not well formed", "ErrorDocument", "")
	case len(c.RoutingRules) > maxRoutingRules:
		return errInvalidRequest(strconv.Itoa(len(c.RoutingRules)) + " routing rules provided, the number of routing rules in a website configuration is limited to 50.")
	}
	for _, rule := range c.RoutingRules {
		if err := checkRoutingRule(rule); err != nil {
			return err
		}
	}
	return nil
}

func checkProtocol(p types.Protocol) error {
	if p != "" && !slices.Contains(p.Values(), p) {
		return errInvalidRequest("Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.")
	}
	return nil
}

func checkRoutingRule(rule types.RoutingRule) error {
	if condition := rule.Condition; condition != nil {
		if condition.HttpErrorCodeReturnedEquals == nil && condition.KeyPrefixEquals == nil {
			return errInvalidRequest("Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.")
		}
		if code := condition.HttpErrorCodeReturnedEquals; code != nil {
			if number, err := strconv.Atoi(*code); err != nil || number < 400 || number > 599 {
				return errInvalidRequest("The provided HTTP error code (" + *code + ") is not valid. Valid codes are 4XX or 5XX.")
			}
		}
	}
	redirect := rule.Redirect
	if redirect == nil || redirect.HostName == nil && redirect.HttpRedirectCode == nil && redirect.Protocol == "" && redirect.ReplaceKeyPrefixWith == nil && redirect.ReplaceKeyWith == nil {
		return errMalformedXML()
	}
	if redirect.ReplaceKeyPrefixWith != nil && redirect.ReplaceKeyWith != nil {
		return errInvalidRequest("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
	}
	if code := redirect.HttpRedirectCode; code != nil {
		if number, err := strconv.Atoi(*code); err != nil || number < 301 || number > 399 {
			return errInvalidRequest("The provided HTTP redirect code (" + *code + ") is not valid. Valid codes are 3XX except 300.")
		}
	}
	return checkProtocol(redirect.Protocol)
}

// GetBucketWebsite answers the configuration as it was put.
func (s *Service) GetBucketWebsite(ctx context.Context, in *s3.GetBucketWebsiteInput) (*s3.GetBucketWebsiteOutput, error) {
	c, b, err := getConfig[types.WebsiteConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindWebsite)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errNoWebsite(b.Name)
	}
	return &s3.GetBucketWebsiteOutput{ErrorDocument: c.ErrorDocument, IndexDocument: c.IndexDocument, RedirectAllRequestsTo: c.RedirectAllRequestsTo, RoutingRules: c.RoutingRules}, nil
}

func errNoWebsite(bucket string) error {
	return errNotSet("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", bucket)
}

// DeleteBucketWebsite succeeds when there is none.
func (s *Service) DeleteBucketWebsite(ctx context.Context, in *s3.DeleteBucketWebsiteInput) (*s3.DeleteBucketWebsiteOutput, error) {
	return &s3.DeleteBucketWebsiteOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindWebsite)
}
