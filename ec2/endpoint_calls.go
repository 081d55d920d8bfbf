package ec2

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend"
	"miniaws/backend/store"
)

// Through answers the endpoint that a request from inside a VPC came through: the one whose address it was sent to, else
// the one to which the service's own name leads. Like AWS's private names that prefers an interface endpoint with private
// DNS to a gateway endpoint, and either to the way through the internet. What has neither an endpoint of the service nor a
// way to the internet is denied; in AWS nothing would answer at all.
func (s *Service) Through(ctx context.Context, r *awsapi.Request) (*awsapi.Endpoint, error) {
	origin, inside := backend.OriginFrom(ctx)
	if !inside {
		return nil, nil
	}
	var through *awsapi.Endpoint
	err := s.config.DB.View(ctx, func(raw store.Tx) error {
		through = nil
		place, err := knownNetworks.In(raw, store.Scope{}).Find(origin.VPC)
		if err != nil || place == nil || place.Region != r.Region {
			return err // endpoints are of their own region
		}
		t := s.tx(raw, store.Scope{Account: place.Account, Region: place.Region})
		best, err := endpointFor(t, origin, "com.amazonaws."+place.Region+"."+r.Service.SigningName)
		if best != nil {
			through = &awsapi.Endpoint{ID: best.ID, VPC: best.VPC, Account: place.Account, Policy: best.Policy, Source: origin.Source}
		}
		return err
	})
	if err == nil && through == nil && !origin.Public.IsValid() {
		return nil, &awsapi.Denied{Message: fmt.Sprintf("There is no way from %s to %s in %s: the subnet of %s has no endpoint of it, and no way to the internet.",
			origin.VPC, r.Service.SigningName, r.Region, origin.ENI)}
	}
	return through, err
}

// endpointFor answers the best one of the service among the endpoints; nil for none.
func endpointFor(t tx, origin backend.Origin, service string) (best *endpoint, err error) {
	for _, id := range origin.Endpoints {
		e, err := endpoints.find(t, id)
		if err != nil {
			return nil, err
		}
		if e == nil || e.Service != service || e.State != types.StateAvailable {
			continue
		}
		if id == origin.Addressed {
			return e, nil
		}
		named := e.PrivateDNS || e.Type == types.VpcEndpointTypeGateway
		if named && (best == nil || e.PrivateDNS) {
			best = e
		}
	}
	return best, nil
}
