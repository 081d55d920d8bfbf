package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/store"
)

// publicAccess says whether the VPCs of an account and region may use their internet gateways.
// AWS: "Block public access to VPCs and subnets" in the VPC user guide.
type publicAccess struct {
	ID string
	// Mode is off until somebody says otherwise.
	Mode    types.InternetGatewayBlockMode
	Updated time.Time
	// Updating until the networks were asked for another look.
	Updating bool `json:",omitempty"`
	// Waiting are the VPCs whose networks do not have the mode yet.
	Waiting []string `json:",omitempty"`
}

const publicAccessID = "vpc-block-public-access"

var publicAccesses = store.NewTable(store.Spec[publicAccess]{
	Service: "ec2", Name: "vpc-block-public-access", ID: func(p *publicAccess) store.ID { return store.ID{p.ID} },
})

func publicAccessOf(t tx) (*publicAccess, error) {
	found, err := publicAccesses.In(t, t.scope).Find(publicAccessID)
	if found == nil {
		found = &publicAccess{ID: publicAccessID, Mode: types.InternetGatewayBlockModeOff}
	}
	return found, err
}

// accessExclusion is a VPC or a subnet for which the mode does not hold.
//
//	create-in-progress ──▶ create-complete ◀──▶ update-in-progress, update-complete ──▶ delete-complete (shown for an hour)
type accessExclusion struct {
	resource
	// Target is a vpc-... or a subnet-...; VPC is its VPC.
	Target, VPC string
	Mode        types.InternetGatewayExclusionMode
	State       types.VpcBlockPublicAccessExclusionState
	Created     time.Time
	Updated     time.Time
	Deleted     time.Time `json:",omitzero"`
}

func (x *accessExclusion) vpc() string { return x.VPC }

func (x *accessExclusion) gone() bool {
	return x.State == types.VpcBlockPublicAccessExclusionStateDeleteComplete || x.State == types.VpcBlockPublicAccessExclusionStateDeleteInProgress
}

func (x *accessExclusion) arn(t tx) string {
	if strings.HasPrefix(x.Target, subnets.prefix) {
		return arn(t.scope, types.ResourceTypeSubnet, x.Target)
	}
	return arn(t.scope, types.ResourceTypeVpc, x.Target)
}

func accessExclusionBase(x *accessExclusion) *resource { return &x.resource }

var accessExclusions = &kind[accessExclusion]{
	prefix: "vpcbpa-exclude-", typ: types.ResourceTypeVpcBlockPublicAccessExclusion, base: accessExclusionBase, notFound: errAccessExclusionNotFound,
	table: tableOf("vpc-block-public-access-exclusions", accessExclusionBase, map[string]func(*accessExclusion) []string{
		"vpc":    func(x *accessExclusion) []string { return one(x.VPC) },
		"target": func(x *accessExclusion) []string { return one(x.Target) },
	}),
	filters: filters[accessExclusion]{
		"resource-arn":                    func(t tx, x *accessExclusion) []string { return one(x.arn(t)) },
		"internet-gateway-exclusion-mode": func(_ tx, x *accessExclusion) []string { return one(string(x.Mode)) },
		"state":                           func(_ tx, x *accessExclusion) []string { return one(string(x.State)) },
	},
}

// internetAccess is what is left of a subnet's way to the internet.
func internetAccess(t tx, mode types.InternetGatewayBlockMode, n *subnet) (backend.InternetAccess, error) {
	if mode == types.InternetGatewayBlockModeOff {
		return backend.InternetOpen, nil
	}
	excluded, err := excludedFrom(t, n.VPC, n.ID)
	switch {
	case err != nil:
		return backend.InternetOpen, err
	case excluded == types.InternetGatewayExclusionModeAllowBidirectional:
		return backend.InternetOpen, nil
	case excluded == types.InternetGatewayExclusionModeAllowEgress, mode == types.InternetGatewayBlockModeBlockIngress:
		return backend.InternetOutward, nil
	}
	return backend.InternetBlocked, nil
}

// excludedFrom is the mode of exclusion of the last one of the targets that has one: the subnet's own says more than its VPC's.
func excludedFrom(t tx, targets ...string) (mode types.InternetGatewayExclusionMode, err error) {
	for _, target := range targets {
		list, err := accessExclusions.seen(t, "target", target)
		if err != nil {
			return "", err
		}
		for _, x := range list {
			if !x.gone() {
				mode = x.Mode
			}
		}
	}
	return mode, nil
}

// accessStates are what holds for a VPC, or for a subnet of it.
func accessStates(t tx, targets ...string) (*types.BlockPublicAccessStates, error) {
	access, err := publicAccessOf(t)
	if err != nil {
		return nil, err
	}
	shown := &types.BlockPublicAccessStates{InternetGatewayBlockMode: types.BlockPublicAccessMode(access.Mode)}
	if access.Mode == types.InternetGatewayBlockModeOff {
		return shown, nil
	}
	excluded, err := excludedFrom(t, targets...)
	switch excluded {
	case types.InternetGatewayExclusionModeAllowBidirectional:
		shown.InternetGatewayBlockMode = types.BlockPublicAccessModeOff
	case types.InternetGatewayExclusionModeAllowEgress:
		shown.InternetGatewayBlockMode = types.BlockPublicAccessModeBlockIngress
	}
	return shown, err
}

// ModifyVpcBlockPublicAccessOptions blocks, or opens, the internet gateways of all VPCs of the account in the region.
func (s *Service) ModifyVpcBlockPublicAccessOptions(ctx context.Context, in *ec2.ModifyVpcBlockPublicAccessOptionsInput) (*ec2.ModifyVpcBlockPublicAccessOptionsOutput, error) {
	out := &ec2.ModifyVpcBlockPublicAccessOptionsOutput{}
	return out, s.update(ctx, func(t tx) error {
		p := &publicAccess{ID: publicAccessID, Mode: in.InternetGatewayBlockMode, Updated: t.Now().UTC().Truncate(time.Millisecond), Updating: true}
		out.VpcBlockPublicAccessOptions = p.toAPI(t.scope)
		all, err := vpcs.all(t)
		if err != nil {
			return err
		}
		for _, v := range all {
			p.Waiting = append(p.Waiting, v.ID)
			if err := wantNetwork(t, v.ID); err != nil {
				return err
			}
		}
		return errors.Join(publicAccesses.In(t, t.scope).Put(p), wantSettled(t, publicAccessID))
	})
}

// DescribeVpcBlockPublicAccessOptions answers the mode.
func (s *Service) DescribeVpcBlockPublicAccessOptions(ctx context.Context, _ *ec2.DescribeVpcBlockPublicAccessOptionsInput) (*ec2.DescribeVpcBlockPublicAccessOptionsOutput, error) {
	out := &ec2.DescribeVpcBlockPublicAccessOptionsOutput{}
	return out, s.view(ctx, func(t tx) error {
		p, err := publicAccessOf(t)
		if err == nil {
			out.VpcBlockPublicAccessOptions = p.toAPI(t.scope)
		}
		return err
	})
}

func (p *publicAccess) toAPI(scope store.Scope) *types.VpcBlockPublicAccessOptions {
	shown := &types.VpcBlockPublicAccessOptions{
		AwsAccountId: aws.String(scope.Account), AwsRegion: aws.String(scope.Region), InternetGatewayBlockMode: p.Mode, ManagedBy: types.ManagedByAccount,
		State: types.VpcBlockPublicAccessStateUpdateComplete, ExclusionsAllowed: types.VpcBlockPublicAccessExclusionsAllowedAllowed,
	}
	switch {
	case p.Updated.IsZero():
		shown.State = types.VpcBlockPublicAccessStateDefaultState
	case p.Updating:
		shown.State = types.VpcBlockPublicAccessStateUpdateInProgress
	}
	if !p.Updated.IsZero() {
		shown.LastUpdateTimestamp = aws.Time(p.Updated)
	}
	return shown
}

// CreateVpcBlockPublicAccessExclusion opens a VPC or a subnet.
func (s *Service) CreateVpcBlockPublicAccessExclusion(ctx context.Context, in *ec2.CreateVpcBlockPublicAccessExclusionInput) (*ec2.CreateVpcBlockPublicAccessExclusionOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeVpcBlockPublicAccessExclusion)
	if err != nil {
		return nil, err
	}
	targets := strs(in.VpcId, in.SubnetId)
	switch {
	case len(targets) == 0:
		return nil, errMissingParameter("VpcId")
	case len(targets) > 1:
		return nil, errParametersExclude("VpcId", "SubnetId")
	}
	out := &ec2.CreateVpcBlockPublicAccessExclusionOutput{}
	return out, s.update(ctx, func(t tx) error {
		vpcID := aws.ToString(in.VpcId)
		if vpcID == "" {
			n, err := subnets.get(t, *in.SubnetId)
			if err != nil {
				return err
			}
			vpcID = n.VPC
		} else if _, err := vpcs.get(t, vpcID); err != nil {
			return err
		}
		all, err := accessExclusions.all(t)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, (*accessExclusion).gone)
		if slices.ContainsFunc(all, func(x *accessExclusion) bool { return x.Target == targets[0] }) {
			return errInvalidParameterValue("An exclusion for the resource %s already exists.", targets[0])
		}
		now := t.Now().UTC().Truncate(time.Millisecond)
		x := &accessExclusion{
			resource: resource{ID: t.NewID("vpcbpa-exclude-"), Tags: tags}, Target: targets[0], VPC: vpcID, Mode: in.InternetGatewayExclusionMode,
			State: types.VpcBlockPublicAccessExclusionStateCreateInProgress, Created: now, Updated: now,
		}
		shown, err := accessExclusionToAPI(t, x)
		out.VpcBlockPublicAccessExclusion = &shown
		if err != nil {
			return err
		}
		return x.changed(t)
	})
}

// changed writes the exclusion, and asks for a look at its VPC, whose network moves it to its next state.
func (x *accessExclusion) changed(t tx) error {
	return errors.Join(accessExclusions.put(t, x), wantNetwork(t, x.VPC))
}

// ModifyVpcBlockPublicAccessExclusion changes what the exclusion opens.
func (s *Service) ModifyVpcBlockPublicAccessExclusion(ctx context.Context, in *ec2.ModifyVpcBlockPublicAccessExclusionInput) (*ec2.ModifyVpcBlockPublicAccessExclusionOutput, error) {
	out := &ec2.ModifyVpcBlockPublicAccessExclusionOutput{}
	shown, err := s.changeExclusion(ctx, in.ExclusionId, "modified", func(t tx, x *accessExclusion) error {
		x.Mode, x.State, x.Updated = in.InternetGatewayExclusionMode, types.VpcBlockPublicAccessExclusionStateUpdateInProgress, t.Now().UTC().Truncate(time.Millisecond)
		return nil
	})
	out.VpcBlockPublicAccessExclusion = shown
	return out, err
}

// DeleteVpcBlockPublicAccessExclusion ends an exclusion.
func (s *Service) DeleteVpcBlockPublicAccessExclusion(ctx context.Context, in *ec2.DeleteVpcBlockPublicAccessExclusionInput) (*ec2.DeleteVpcBlockPublicAccessExclusionOutput, error) {
	out := &ec2.DeleteVpcBlockPublicAccessExclusionOutput{}
	shown, err := s.changeExclusion(ctx, in.ExclusionId, "deleted", func(t tx, x *accessExclusion) error {
		x.State, x.Deleted = types.VpcBlockPublicAccessExclusionStateDeleteInProgress, t.Now().UTC().Truncate(time.Millisecond)
		x.Updated = x.Deleted
		return wantGone(t, x.ID)
	})
	out.VpcBlockPublicAccessExclusion = shown
	return out, err
}

func (s *Service) changeExclusion(ctx context.Context, id *string, verb string, change func(tx, *accessExclusion) error) (*types.VpcBlockPublicAccessExclusion, error) {
	var shown types.VpcBlockPublicAccessExclusion
	return &shown, s.update(ctx, func(t tx) error {
		x, err := accessExclusions.get(t, aws.ToString(id))
		if err != nil {
			return err
		}
		if x.gone() {
			return errInvalidParameterValue("%s is in %s state and cannot be %s.", x.ID, x.State, verb)
		}
		if err := change(t, x); err != nil {
			return err
		}
		if shown, err = accessExclusionToAPI(t, x); err != nil {
			return err
		}
		return x.changed(t)
	})
}

// settleAccess ends the change of a mode that no network is waited for; known tells whether the id was the mode's.
func settleAccess(t tx, id string) (known bool, err error) {
	if id != publicAccessID {
		return false, nil
	}
	p, err := publicAccessOf(t)
	if err != nil || !p.Updating || len(p.Waiting) > 0 {
		return true, err
	}
	p.Updating = false
	return true, publicAccesses.In(t, t.scope).Put(p)
}

// reached notes that a VPC has the mode, or is gone.
func (p *publicAccess) reached(t tx, vpcID string) error {
	i := slices.Index(p.Waiting, vpcID)
	if i < 0 {
		return nil
	}
	p.Waiting = slices.Delete(p.Waiting, i, i+1)
	p.Updating = len(p.Waiting) > 0
	return publicAccesses.In(t, t.scope).Put(p)
}

// confirmAccess moves the mode, and the exclusions of a VPC, on once the applied network has of each of its subnets what is
// wanted by now.
func confirmAccess(t tx, applied *backend.WantedVPC) error {
	p, err := publicAccessOf(t)
	if err != nil {
		return err
	}
	list, err := accessExclusions.by(t, "vpc", applied.ID)
	if err != nil || len(list) == 0 && len(p.Waiting) == 0 {
		return err
	}
	there := map[string]bool{}
	for _, have := range applied.Subnets {
		n, err := subnets.find(t, have.ID)
		if err != nil {
			return err
		}
		if n == nil {
			continue
		}
		there[n.ID] = true
		if want, err := internetAccess(t, p.Mode, n); err != nil || want != have.Internet {
			return err
		}
	}
	for _, x := range list {
		next := map[types.VpcBlockPublicAccessExclusionState]types.VpcBlockPublicAccessExclusionState{
			types.VpcBlockPublicAccessExclusionStateCreateInProgress: types.VpcBlockPublicAccessExclusionStateCreateComplete,
			types.VpcBlockPublicAccessExclusionStateUpdateInProgress: types.VpcBlockPublicAccessExclusionStateUpdateComplete,
			types.VpcBlockPublicAccessExclusionStateDeleteInProgress: types.VpcBlockPublicAccessExclusionStateDeleteComplete,
		}[x.State]
		if next == "" {
			continue
		}
		if n, err := subnets.find(t, x.Target); err != nil {
			return err
		} else if n != nil && !there[n.ID] {
			continue // applied before there was this subnet
		}
		x.State = next
		if err := accessExclusions.put(t, x); err != nil {
			return err
		}
	}
	return p.reached(t, applied.ID)
}

// leaveAccess removes the exclusions of a VPC or a subnet that goes, for which nobody waits any more.
func leaveAccess(t tx, target string) error {
	p, err := publicAccessOf(t)
	if err != nil {
		return err
	}
	return errors.Join(accessExclusions.deleteBy(t, "target", target), p.reached(t, target))
}

// DescribeVpcBlockPublicAccessExclusions lists exclusions, for about an hour also those that are gone.
func (s *Service) DescribeVpcBlockPublicAccessExclusions(ctx context.Context, in *ec2.DescribeVpcBlockPublicAccessExclusionsInput) (*ec2.DescribeVpcBlockPublicAccessExclusionsOutput, error) {
	list, next, err := describe(ctx, s, accessExclusions, query{in.ExclusionIds, "exclusionIds", in.Filters, in.MaxResults, in.NextToken}, accessExclusionToAPI)
	return &ec2.DescribeVpcBlockPublicAccessExclusionsOutput{VpcBlockPublicAccessExclusions: list, NextToken: next}, err
}

func accessExclusionToAPI(t tx, x *accessExclusion) (types.VpcBlockPublicAccessExclusion, error) {
	shown := types.VpcBlockPublicAccessExclusion{
		ExclusionId: aws.String(x.ID), ResourceArn: aws.String(x.arn(t)), InternetGatewayExclusionMode: x.Mode, State: x.State,
		CreationTimestamp: aws.Time(x.Created), LastUpdateTimestamp: aws.Time(x.Updated), Tags: tagsToAPI(t, x.Tags),
	}
	if !x.Deleted.IsZero() {
		shown.DeletionTimestamp = aws.Time(x.Deleted)
	}
	return shown, nil
}
