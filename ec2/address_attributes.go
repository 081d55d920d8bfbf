package ec2

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/lazyregexp"
)

// ptrReset is the update that takes the name away.
const ptrReset = "."

var domainName = lazyregexp.New(`^([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.)+[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.?$`)

// DescribeAddressesAttribute answers the names that reverse lookups of addresses answer.
// AWS: the example of "describe-addresses-attribute" in the CLI's reference has an address without a name; an address whose
// name was taken away is not listed: Terraform's provider waits for that.
func (s *Service) DescribeAddressesAttribute(ctx context.Context, in *ec2.DescribeAddressesAttributeInput) (*ec2.DescribeAddressesAttributeOutput, error) {
	named := *elasticIPs
	named.pages = pageBounds{1, 1000}
	list, next, err := describe(ctx, s, &named, query{in.AllocationIds, "allocationIds", nil, in.MaxResults, in.NextToken}, func(_ tx, a *elasticIP) (types.AddressAttribute, error) {
		if a.PTRWas && a.PTR == "" && a.PTRUpdate == "" {
			return types.AddressAttribute{}, nil
		}
		return addressAttribute(a), nil
	})
	list = slices.DeleteFunc(list, func(a types.AddressAttribute) bool { return a.AllocationId == nil })
	return &ec2.DescribeAddressesAttributeOutput{Addresses: list, NextToken: next}, err
}

// ModifyAddressAttribute gives an address a name for reverse lookups: the resolver of the VPC in which it is answers it.
func (s *Service) ModifyAddressAttribute(ctx context.Context, in *ec2.ModifyAddressAttributeInput) (*ec2.ModifyAddressAttributeOutput, error) {
	name := aws.ToString(in.DomainName)
	const longest = 255
	switch {
	case name == "":
		return nil, errMissingParameter("DomainName")
	case len(name) > longest || !domainName.MatchString(name):
		return nil, errInvalidParameterValue("The domain name '%s' is not valid.", name)
	}
	shown, err := s.updatePTR(ctx, in.AllocationId, strings.TrimSuffix(name, ".")+".")
	return &ec2.ModifyAddressAttributeOutput{Address: shown}, err
}

// ResetAddressAttribute takes the name away.
func (s *Service) ResetAddressAttribute(ctx context.Context, in *ec2.ResetAddressAttributeInput) (*ec2.ResetAddressAttributeOutput, error) {
	if in.Attribute != types.AddressAttributeNameDomainName {
		return nil, errInvalidParameterValue("The attribute '%s' is not valid.", in.Attribute)
	}
	shown, err := s.updatePTR(ctx, in.AllocationId, ptrReset)
	return &ec2.ResetAddressAttributeOutput{Address: shown}, err
}

func (s *Service) updatePTR(ctx context.Context, allocation *string, name string) (*types.AddressAttribute, error) {
	var shown types.AddressAttribute
	return &shown, s.update(ctx, func(t tx) error {
		return elasticIPs.edit(t, aws.ToString(allocation), func(a *elasticIP) error {
			a.PTRUpdate = name
			shown = addressAttribute(a)
			return wantSettled(t, a.ID)
		})
	})
}

// settlePTR makes the update true of an address whose name no resolver answers: one that nothing has, or a gateway, which is
// no device of its VPC. Of another it asks for a look at the VPC whose resolver is to answer it.
func settlePTR(t tx, a *elasticIP) error {
	e, err := interfaces.find(t, a.Interface)
	switch {
	case err != nil || a.PTRUpdate == "":
		return err
	case e == nil || e.ofGateway():
		return a.renamed(t)
	}
	return wantNetwork(t, e.VPC)
}

// renamed makes the update true.
func (a *elasticIP) renamed(t tx) error {
	a.PTRWas = true
	a.PTR, a.PTRUpdate = strings.TrimPrefix(a.PTRUpdate, ptrReset), ""
	return elasticIPs.put(t, a)
}

// reverseZone is what a resolver answers about a public address; a is nil for one that is no Elastic IP.
func reverseZone(region, public string, a *elasticIP) backend.WantedZone {
	name := publicNameOf(region, public) + "."
	if a != nil {
		wanted := a.PTR
		if a.PTRUpdate != "" {
			wanted = strings.TrimPrefix(a.PTRUpdate, ptrReset)
		}
		name = cmp.Or(wanted, name)
	}
	reverse := reverseName(public)
	return backend.WantedZone{Name: reverse, Records: []string{fmt.Sprintf("%s %d IN PTR %s", reverse, nameLifetime, name)}}
}

// confirmPTRs makes those updates true that the resolver of the applied VPC has.
func confirmPTRs(t tx, applied *backend.WantedVPC) error {
	list, err := elasticIPs.by(t, "renaming", "yes")
	if err != nil {
		return err
	}
	for _, a := range list {
		e, err := interfaces.find(t, a.Interface)
		if err != nil {
			return err
		}
		if e == nil || e.VPC != applied.ID {
			continue
		}
		wanted := reverseZone(t.scope.Region, a.Public, a)
		if !slices.ContainsFunc(applied.DNS.Zones, func(z backend.WantedZone) bool {
			return z.Name == wanted.Name && slices.Equal(z.Records, wanted.Records)
		}) {
			continue
		}
		if err := a.renamed(t); err != nil {
			return err
		}
	}
	return nil
}

func addressAttribute(a *elasticIP) types.AddressAttribute {
	shown := types.AddressAttribute{AllocationId: aws.String(a.ID), PublicIp: aws.String(a.Public), PtrRecord: optional(a.PTR)}
	if a.PTRUpdate != "" {
		shown.PtrRecordUpdate = &types.PtrUpdateStatus{Value: optional(strings.TrimPrefix(a.PTRUpdate, ptrReset)), Status: aws.String("PENDING")}
	}
	return shown
}
