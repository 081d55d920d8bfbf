package organizations

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/backend/store"
)

// AWS: "Quotas for AWS Organizations": levels of units below the root, units, and accounts (10, or what AWS agrees to).
const (
	maxDepth    = 5
	maxUnits    = 2000
	maxAccounts = 1000
)

// count is how many nodes of a kind there are.
func (o *organization) count(kind types.TargetType) (count int) {
	for _, n := range o.Nodes {
		if n.Kind == kind {
			count++
		}
	}
	return count
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func contains[T comparable](list []T, wanted T) bool { return slices.Contains(list, wanted) }

// checkParent: a root or unit has the id.
func (o *organization) checkParent(id *string) error {
	if n := o.Nodes[aws.ToString(id)]; n != nil && n.Kind != types.TargetTypeAccount {
		return nil
	}
	return errParentNotFound()
}

// unit answers a unit.
func (o *organization) unit(id *string) (*node, error) {
	if n := o.Nodes[aws.ToString(id)]; n != nil && n.Kind == types.TargetTypeOrganizationalUnit {
		return n, nil
	}
	return nil, errUnitNotFound()
}

// way is from the root to a node, both included.
func (o *organization) way(id string) []string {
	var ids []string
	for at := id; at != ""; at = o.Nodes[at].Parent {
		ids = append(ids, at)
	}
	slices.Reverse(ids)
	return ids
}

// path is the value of aws:PrincipalOrgPaths for an account.
func (o *organization) path(account string) string {
	way := o.way(account)
	return o.ID + "/" + strings.Join(way[:len(way)-1], "/") + "/"
}

func (o *organization) nameTaken(parent, name, except string) bool {
	for id, n := range o.Nodes {
		if n.Kind == types.TargetTypeOrganizationalUnit && n.Parent == parent && n.Name == name && id != except {
			return true
		}
	}
	return false
}

func (o *organization) unitToAPI(id string) *types.OrganizationalUnit {
	return &types.OrganizationalUnit{Id: aws.String(id), Arn: aws.String(o.arn("ou", id)), Name: aws.String(o.Nodes[id].Name)}
}

// ListRoots answers the one root, with the policy types that are enabled.
func (s *Service) ListRoots(ctx context.Context, _ *organizations.ListRootsInput) (*organizations.ListRootsOutput, error) {
	out := &organizations.ListRootsOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		out.Roots = []types.Root{*o.rootToAPI()}
		return nil
	})
}

func (o *organization) rootToAPI() *types.Root {
	r := &types.Root{Id: aws.String(o.Root), Arn: aws.String(o.arn("root", o.Root)), Name: aws.String("Root"), PolicyTypes: []types.PolicyTypeSummary{}}
	for _, kind := range o.Enabled {
		r.PolicyTypes = append(r.PolicyTypes, types.PolicyTypeSummary{Type: kind, Status: types.PolicyTypeStatusEnabled})
	}
	return r
}

// CreateOrganizationalUnit makes a unit below a root or another unit.
func (s *Service) CreateOrganizationalUnit(ctx context.Context, in *organizations.CreateOrganizationalUnitInput) (*organizations.CreateOrganizationalUnitOutput, error) {
	out := &organizations.CreateOrganizationalUnitOutput{}
	return out, s.alter(ctx, func(_ store.Tx, o *organization) error {
		if err := o.checkParent(in.ParentId); err != nil {
			return err
		}
		if len(o.way(*in.ParentId)) > maxDepth {
			return errConstraint(types.ConstraintViolationExceptionReasonOuDepthLimitExceeded, "You have exceeded the maximum depth of nested OUs.")
		}
		if o.count(types.TargetTypeOrganizationalUnit) >= maxUnits {
			return errConstraint(types.ConstraintViolationExceptionReasonOuNumberLimitExceeded, "You have exceeded the allowed number of OUs.")
		}
		if o.nameTaken(*in.ParentId, aws.ToString(in.Name), "") {
			return errDuplicateUnit()
		}
		tags, err := tagsOf(in.Tags)
		if err != nil {
			return err
		}
		id := "ou-" + strings.TrimPrefix(o.Root, "r-") + "-" + random(8)
		o.Nodes[id] = &node{Parent: *in.ParentId, Name: aws.ToString(in.Name), Kind: types.TargetTypeOrganizationalUnit, Tags: tags, Attached: o.defaults()}
		out.OrganizationalUnit = o.unitToAPI(id)
		return nil
	})
}

// DescribeOrganizationalUnit answers one unit.
func (s *Service) DescribeOrganizationalUnit(ctx context.Context, in *organizations.DescribeOrganizationalUnitInput) (*organizations.DescribeOrganizationalUnitOutput, error) {
	out := &organizations.DescribeOrganizationalUnitOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		if _, err := o.unit(in.OrganizationalUnitId); err != nil {
			return err
		}
		out.OrganizationalUnit = o.unitToAPI(*in.OrganizationalUnitId)
		return nil
	})
}

// UpdateOrganizationalUnit gives a unit another name.
func (s *Service) UpdateOrganizationalUnit(ctx context.Context, in *organizations.UpdateOrganizationalUnitInput) (*organizations.UpdateOrganizationalUnitOutput, error) {
	out := &organizations.UpdateOrganizationalUnitOutput{}
	return out, s.alter(ctx, func(_ store.Tx, o *organization) error {
		n, err := o.unit(in.OrganizationalUnitId)
		if err != nil {
			return err
		}
		if in.Name != nil {
			if o.nameTaken(n.Parent, *in.Name, *in.OrganizationalUnitId) {
				return errDuplicateUnit()
			}
			n.Name = *in.Name
		}
		out.OrganizationalUnit = o.unitToAPI(*in.OrganizationalUnitId)
		return nil
	})
}

// DeleteOrganizationalUnit removes an empty unit.
func (s *Service) DeleteOrganizationalUnit(ctx context.Context, in *organizations.DeleteOrganizationalUnitInput) (*organizations.DeleteOrganizationalUnitOutput, error) {
	return &organizations.DeleteOrganizationalUnitOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		if _, err := o.unit(in.OrganizationalUnitId); err != nil {
			return err
		}
		for _, n := range o.Nodes {
			if n.Parent == *in.OrganizationalUnitId {
				return errUnitNotEmpty()
			}
		}
		delete(o.Nodes, *in.OrganizationalUnitId)
		return nil
	})
}

// ListOrganizationalUnitsForParent lists the units right below a root or unit.
func (s *Service) ListOrganizationalUnitsForParent(ctx context.Context, in *organizations.ListOrganizationalUnitsForParentInput) (*organizations.ListOrganizationalUnitsForParentOutput, error) {
	out := &organizations.ListOrganizationalUnitsForParentOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		if err := o.checkParent(in.ParentId); err != nil {
			return err
		}
		all := []types.OrganizationalUnit{}
		for _, id := range sortedKeys(o.Nodes) {
			if n := o.Nodes[id]; n.Kind == types.TargetTypeOrganizationalUnit && n.Parent == *in.ParentId {
				all = append(all, *o.unitToAPI(id))
			}
		}
		out.OrganizationalUnits, out.NextToken, err = cut(all, in.MaxResults, in.NextToken)
		return err
	})
}

// ListParents answers what an account or unit is right below.
func (s *Service) ListParents(ctx context.Context, in *organizations.ListParentsInput) (*organizations.ListParentsOutput, error) {
	out := &organizations.ListParentsOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		n := o.Nodes[aws.ToString(in.ChildId)]
		if n == nil || n.Parent == "" {
			return errChildNotFound()
		}
		out.Parents = []types.Parent{{Id: aws.String(n.Parent), Type: types.ParentType(o.Nodes[n.Parent].Kind)}}
		return nil
	})
}

// ListChildren lists the accounts or units right below a root or unit.
func (s *Service) ListChildren(ctx context.Context, in *organizations.ListChildrenInput) (*organizations.ListChildrenOutput, error) {
	out := &organizations.ListChildrenOutput{}
	return out, s.look(ctx, func(_ store.Tx, o *organization) (err error) {
		if err := o.checkParent(in.ParentId); err != nil {
			return err
		}
		all := []types.Child{}
		for _, id := range sortedKeys(o.Nodes) {
			if n := o.Nodes[id]; n.Parent == *in.ParentId && string(n.Kind) == string(in.ChildType) {
				all = append(all, types.Child{Id: aws.String(id), Type: in.ChildType})
			}
		}
		out.Children, out.NextToken, err = cut(all, in.MaxResults, in.NextToken)
		return err
	})
}
