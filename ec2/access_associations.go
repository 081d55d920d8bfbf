package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// onAssociated is [on] for an operation that means a thing by the id of one of its associations or attachments: the access
// is to the thing itself, which an index of its kind finds, and to what more answers of it (nil answers nothing).
func onAssociated[In, T any](s *Service, action string, k *kind[T], index string, id func(*In) *string, more func(*In, *T) []string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		var ids []string
		var found *T
		err := s.view(ctx, func(t tx) (err error) {
			if wanted := aws.ToString(id(in)); wanted != "" {
				found, err = k.in(t).Index(index).Find(wanted)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if found != nil {
			ids = append(ids, k.base(found).ID)
		}
		if more != nil {
			ids = append(ids, more(in, found)...)
		}
		return s.accessTo(ctx, "ec2:"+action, ids)
	}
}

// detachedInstance is the instance at which an interface is.
func detachedInstance(_ *ec2.DetachNetworkInterfaceInput, e *networkInterface) []string {
	if e == nil || e.Attachment == nil {
		return nil
	}
	return strs(&e.Attachment.Instance)
}

// onAddress is [on] for an operation that means an elastic IP by its allocation, its association or itself.
func onAddress[In any](s *Service, action string, names func(*In) (allocation, association, public *string), more func(*In) []string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		allocation, association, public := names(in)
		ids := strs(allocation)
		err := s.view(ctx, func(t tx) error {
			index, value := "association", aws.ToString(association)
			if value == "" {
				index, value = "public", aws.ToString(public)
			}
			if len(ids) > 0 || value == "" {
				return nil
			}
			for a, err := range elasticIPs.in(t).Index(index).Scan(store.Query{Parts: store.ID{value}}) {
				if err != nil {
					return err
				}
				ids = strs(&a.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if more != nil {
			ids = append(ids, more(in)...)
		}
		return s.accessTo(ctx, "ec2:"+action, ids)
	}
}

// accessOfDisassociateNAT is [on] the gateway and the elastic IPs whose associations are to end.
func (s *Service) accessOfDisassociateNAT(ctx context.Context, in *ec2.DisassociateNatGatewayAddressInput) ([]awsapi.Access, error) {
	ids := strs(in.NatGatewayId)
	err := s.view(ctx, func(t tx) error {
		ids = strs(in.NatGatewayId)
		for _, association := range in.AssociationIds {
			eip, err := elasticIPs.in(t).Index("association").Find(association)
			if err != nil {
				return err
			}
			if eip != nil {
				ids = append(ids, eip.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.accessTo(ctx, "ec2:DisassociateNatGatewayAddress", ids)
}
