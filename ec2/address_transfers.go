package ec2

import (
	"context"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/lazyregexp"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// addressTransfer is the offer of an Elastic IP to another account. It is the offering account's.
//
//	pending ──accept──▶ accepted (shown for 14 days)
//	   ├──disable──▶ disabled, and forgotten
//	   └──7 days──▶ forgotten
type addressTransfer struct {
	Allocation, Public, To string
	Status                 types.AddressTransferStatus
	Expires                time.Time
	Accepted               time.Time `json:",omitzero"`
}

var addressTransfers = store.NewTable(store.Spec[addressTransfer]{
	Service: "ec2", Name: "address-transfers", ID: func(x *addressTransfer) store.ID { return store.ID{x.Allocation} },
})

// AWS: "Transfer Elastic IP addresses": an offer lasts seven days; "DescribeAddressTransfers" in the API reference: what was
// accepted is shown for 14.
const (
	offerLifetime    = 7 * 24 * time.Hour
	acceptedLifetime = 14 * 24 * time.Hour
)

var accountID = lazyregexp.New(`^[0-9]{12}$`)

// open tells whether the offer may be accepted now.
func (x *addressTransfer) open(now time.Time) bool {
	return x != nil && x.Status == types.AddressTransferStatusPending && now.Before(x.Expires)
}

// forgetTransfer removes the record of an offer once nobody is to see it any more.
func forgetTransfer(t tx, x *addressTransfer) error {
	if x.open(t.Now()) || !x.Accepted.IsZero() && t.Now().Before(x.Accepted.Add(acceptedLifetime)) {
		return nil
	}
	return addressTransfers.In(t, t.scope).Delete(x.Allocation)
}

func wantTransferForgotten(t tx, allocation string, after time.Duration) error {
	return reconcile.WantAfter(t, reconcile.Item{Kind: goneKind, Account: t.scope.Account, Region: t.scope.Region, ID: allocation}, after)
}

// EnableAddressTransfer offers an address to another account.
func (s *Service) EnableAddressTransfer(ctx context.Context, in *ec2.EnableAddressTransferInput) (*ec2.EnableAddressTransferOutput, error) {
	to := aws.ToString(in.TransferAccountId)
	out := &ec2.EnableAddressTransferOutput{}
	return out, s.update(ctx, func(t tx) error {
		eip, err := elasticIPs.get(t, aws.ToString(in.AllocationId))
		switch {
		case err != nil:
			return err
		case !accountID.MatchString(to) || to == t.scope.Account:
			return errInvalidParameterValue("Value (%s) for parameter TransferAccountId is invalid.", to)
		}
		x := &addressTransfer{
			Allocation: eip.ID, Public: eip.Public, To: to, Status: types.AddressTransferStatusPending, Expires: t.Now().UTC().Truncate(time.Second).Add(offerLifetime),
		}
		out.AddressTransfer = x.toAPI()
		if err := addressTransfers.In(t, t.scope).Put(x); err != nil {
			return err
		}
		return wantTransferForgotten(t, x.Allocation, offerLifetime)
	})
}

// DisableAddressTransfer takes the offer back.
func (s *Service) DisableAddressTransfer(ctx context.Context, in *ec2.DisableAddressTransferInput) (*ec2.DisableAddressTransferOutput, error) {
	out := &ec2.DisableAddressTransferOutput{}
	return out, s.update(ctx, func(t tx) error {
		eip, err := elasticIPs.get(t, aws.ToString(in.AllocationId))
		if err != nil {
			return err
		}
		x, err := addressTransfers.In(t, t.scope).Find(eip.ID)
		switch {
		case err != nil:
			return err
		case !x.open(t.Now()):
			return errInvalidParameterValue("No transfer of the address %s is pending.", eip.ID)
		}
		x.Status = types.AddressTransferStatusDisabled
		out.AddressTransfer = x.toAPI()
		return addressTransfers.In(t, t.scope).Delete(x.Allocation)
	})
}

// AcceptAddressTransfer takes over an address that another account offers. It gets an allocation of its own, and no tags
// but those of the input.
func (s *Service) AcceptAddressTransfer(ctx context.Context, in *ec2.AcceptAddressTransferInput) (*ec2.AcceptAddressTransferOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeElasticIp)
	if err != nil {
		return nil, err
	}
	public := aws.ToString(in.Address)
	if _, err := netip.ParseAddr(public); err != nil {
		return nil, errInvalidParameterValue("Value (%s) for parameter address is invalid.", public)
	}
	out := &ec2.AcceptAddressTransferOutput{}
	return out, s.update(ctx, func(t tx) error {
		row, err := publicAddresses.In(t, store.Scope{}).Find(public)
		if err != nil {
			return err
		}
		if row == nil || row.Region != t.scope.Region {
			return errAddressNotFound(public)
		}
		there := t
		there.scope = store.Scope{Account: row.Account, Region: row.Region}
		eip, err := elasticIPs.find(there, row.Owner)
		if err != nil {
			return err
		}
		x, err := addressTransfers.In(t, there.scope).Find(row.Owner)
		switch {
		case err != nil:
			return err
		case eip == nil || !x.open(t.Now()) || x.To != t.scope.Account:
			return errAddressNotFound(public)
		case eip.Association != "":
			return errTransferAddressAssociated(public)
		case eip.PTR != "" || eip.PTRUpdate != "":
			return errTransferCustomPTR(public)
		}
		ours := &elasticIP{resource: resource{ID: t.NewID("eipalloc-"), Tags: tags}, Public: public}
		x.Status, x.Accepted = types.AddressTransferStatusAccepted, t.Now().UTC().Truncate(time.Second)
		out.AddressTransfer = x.toAPI()
		if err := elasticIPs.delete(there, eip.ID); err != nil {
			return err
		}
		if err := elasticIPs.insert(t, ours); err != nil {
			return err
		}
		row.Account, row.Owner = t.scope.Account, ours.ID
		if err := publicAddresses.In(t, store.Scope{}).Put(row); err != nil {
			return err
		}
		if err := addressTransfers.In(t, there.scope).Put(x); err != nil {
			return err
		}
		return wantTransferForgotten(there, x.Allocation, acceptedLifetime)
	})
}

// DescribeAddressTransfers lists what the account offers, and what was accepted of it.
func (s *Service) DescribeAddressTransfers(ctx context.Context, in *ec2.DescribeAddressTransfersInput) (*ec2.DescribeAddressTransfersOutput, error) {
	out := &ec2.DescribeAddressTransfersOutput{AddressTransfers: []types.AddressTransfer{}}
	return out, s.view(ctx, func(t tx) error {
		var list []*addressTransfer
		rows := addressTransfers.In(t, t.scope)
		for _, id := range in.AllocationIds {
			x, err := rows.Find(id)
			if err != nil {
				return err
			}
			if x == nil {
				if _, err := elasticIPs.get(t, id); err != nil {
					return err
				}
				continue
			}
			list = append(list, x)
		}
		if len(in.AllocationIds) == 0 {
			var err error
			if list, _, err = rows.List(store.Query{}); err != nil {
				return err
			}
		}
		list, next, err := cut(list, func(x *addressTransfer) string { return x.Allocation }, "address-transfers", pageBounds{}, query{max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken = next
		out.AddressTransfers = []types.AddressTransfer{}
		for _, x := range list {
			if x.open(t.Now()) || !x.Accepted.IsZero() {
				out.AddressTransfers = append(out.AddressTransfers, *x.toAPI())
			}
		}
		return nil
	})
}

func (x *addressTransfer) toAPI() *types.AddressTransfer {
	shown := &types.AddressTransfer{
		AllocationId: aws.String(x.Allocation), PublicIp: aws.String(x.Public), TransferAccountId: aws.String(x.To), AddressTransferStatus: x.Status,
		TransferOfferExpirationTimestamp: aws.Time(x.Expires),
	}
	if !x.Accepted.IsZero() {
		shown.TransferOfferAcceptedTimestamp = aws.Time(x.Accepted)
	}
	return shown
}
