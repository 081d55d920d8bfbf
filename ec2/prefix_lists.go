package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
)

// prefixList is a named set of ranges, with its earlier versions.
type prefixList struct {
	resource
	Name, Family string
	MaxEntries   int32 `json:",omitempty"`
	// AWS lists are made with the account's network and cannot be changed.
	AWS bool `json:",omitempty"`
	// Versions are the entries of version 1, 2, ...; the last is the current one. Old ones go when room is needed.
	Versions []prefixListVersion
	State    types.PrefixListState
}

type prefixListVersion struct {
	Number  int64
	Entries []prefixListEntry `json:",omitempty"`
}

type prefixListEntry struct {
	CIDR        string
	Description string `json:",omitempty"`
}

// keptVersions bounds the record.
const keptVersions = 20

func (p *prefixList) current() prefixListVersion { return p.Versions[len(p.Versions)-1] }

func (p *prefixList) prefixes() []netip.Prefix {
	var list []netip.Prefix
	for _, e := range p.current().Entries {
		list = append(list, netip.MustParsePrefix(e.CIDR))
	}
	return list
}

func (p *prefixList) owner(t tx) string {
	if p.AWS {
		return "AWS"
	}
	return t.scope.Account
}

func prefixListBase(p *prefixList) *resource { return &p.resource }

var prefixLists = &kind[prefixList]{
	prefix: "pl-", typ: types.ResourceTypePrefixList, base: prefixListBase, notFound: errPrefixListNotFound, malformed: errPrefixListMalformed,
	pages: pageBounds{1, 100},
	table: tableOf("prefix-lists", prefixListBase, map[string]func(*prefixList) []string{
		"name": func(p *prefixList) []string { return one(p.Name) },
	}),
	filters: filters[prefixList]{
		"owner-id":         func(t tx, p *prefixList) []string { return one(p.owner(t)) },
		"prefix-list-id":   func(_ tx, p *prefixList) []string { return one(p.ID) },
		"prefix-list-name": func(_ tx, p *prefixList) []string { return one(p.Name) },
	},
}

// createServiceLists makes the lists that AWS manages: one for each service with gateway endpoints. Here their addresses
// are the one at which the API answers inside a VPC.
func createServiceLists(t tx) error {
	for _, service := range gatewayServices {
		err := prefixLists.insert(t, &prefixList{
			resource: resource{ID: t.NewID("pl-")}, Name: "com.amazonaws." + t.scope.Region + "." + service, Family: "IPv4", AWS: true,
			State: types.PrefixListStateCreateComplete,
			Versions: []prefixListVersion{{Number: 1, Entries: []prefixListEntry{
				{CIDR: netip.PrefixFrom(backend.APIAddress, 32).String()},
			}}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// CreateManagedPrefixList makes a list.
func (s *Service) CreateManagedPrefixList(ctx context.Context, in *ec2.CreateManagedPrefixListInput) (*ec2.CreateManagedPrefixListOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypePrefixList)
	if err != nil {
		return nil, err
	}
	p := &prefixList{resource: resource{Tags: tags}, Name: aws.ToString(in.PrefixListName), Family: aws.ToString(in.AddressFamily), MaxEntries: aws.ToInt32(in.MaxEntries)}
	switch {
	case checkListName(p.Name) != nil:
		return nil, checkListName(p.Name)
	case p.Family != "IPv4" && p.Family != "IPv6":
		return nil, errInvalidParameterValue("Value (%s) for parameter AddressFamily is invalid. Valid values are IPv4 and IPv6.", p.Family)
	case p.MaxEntries < 1 || p.MaxEntries > 1000:
		return nil, errInvalidParameterValue("Must specify a max size between 1 and 1000")
	}
	entries, err := p.changed(nil, in.Entries, nil)
	if err != nil {
		return nil, err
	}
	p.Versions, p.State = []prefixListVersion{{1, entries}}, types.PrefixListStateCreateInProgress
	out := &ec2.CreateManagedPrefixListOutput{}
	return out, s.update(ctx, func(t tx) error {
		made, err := prefixLists.makeOnce(t, "CreateManagedPrefixList", in.ClientToken, in, func() (string, error) {
			p.ID = t.NewID("pl-")
			if err := prefixLists.insert(t, p); err != nil {
				return "", err
			}
			return p.ID, wantSettled(t, p.ID)
		})
		if err != nil {
			return err
		}
		shown, err := prefixListToAPI(t, made)
		out.PrefixList = &shown
		return err
	})
}

// AWS: CreateManagedPrefixList, PrefixListName and the members of Entries.
const (
	maxListName      = 255
	maxEntriesOfCall = 100
)

func checkListName(name string) error {
	switch {
	case strings.HasPrefix(name, "com.amazonaws"):
		return errInvalidParameterValue("The prefix list name cannot start with com.amazonaws.")
	case len(name) > maxListName:
		return errInvalidParameterValue("Value (%s) for parameter PrefixListName is invalid. It may be up to %d characters in length.", name, maxListName)
	}
	return nil
}

// changed answers entries with some added and removed. A range that is there is given another description by being added
// with it.
func (p *prefixList) changed(entries []prefixListEntry, add []types.AddPrefixListEntry, remove []types.RemovePrefixListEntry) ([]prefixListEntry, error) {
	if max(len(add), len(remove)) > maxEntriesOfCall {
		return nil, errInvalidParameterValue("The number of entries per request cannot exceeds limit (%d).", maxEntriesOfCall)
	}
	entries = slices.Clone(entries)
	parse := func(text string) (string, error) {
		prefix, ok := parseCIDR(text)
		if !ok || prefix.Addr().Is4() != (p.Family == "IPv4") {
			return "", errInvalidParameterValue("The CIDR %s is not valid for a prefix list of the family %s.", text, p.Family)
		}
		return prefix.String(), nil
	}
	at := func(cidr string) int {
		return slices.IndexFunc(entries, func(e prefixListEntry) bool { return e.CIDR == cidr })
	}
	for _, r := range remove {
		cidr, err := parse(aws.ToString(r.Cidr))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(add, func(a types.AddPrefixListEntry) bool {
			same, err := parse(aws.ToString(a.Cidr))
			return err == nil && same == cidr
		}) {
			// AWS: the error is quoted in terraform-provider-aws, vpc_managed_prefix_list.go.
			return nil, errInvalidParameterValue("Request cannot contain Cidr %s in both AddPrefixListEntries and RemovePrefixListEntries", aws.ToString(r.Cidr))
		}
		i := at(cidr)
		if i < 0 {
			return nil, errNoPrefixListEntry(aws.ToString(r.Cidr))
		}
		entries = slices.Delete(entries, i, i+1)
	}
	for _, a := range add {
		cidr, err := parse(aws.ToString(a.Cidr))
		if err != nil {
			return nil, err
		}
		switch i, description := at(cidr), aws.ToString(a.Description); {
		case i < 0:
			entries = append(entries, prefixListEntry{cidr, description})
		case entries[i].Description == description:
			return nil, errPrefixListEntryExists(aws.ToString(a.Cidr), description)
		default:
			entries[i].Description = description
		}
	}
	if len(entries) > int(p.MaxEntries) {
		return nil, errPrefixListMaxEntriesExceeded(p.MaxEntries)
	}
	return entries, nil
}

// editList changes a list of the account's own.
func (s *Service) editList(ctx context.Context, id *string, version *int64, change func(t tx, p *prefixList) error) (*types.ManagedPrefixList, error) {
	var shown types.ManagedPrefixList
	return &shown, s.update(ctx, func(t tx) error {
		p, err := prefixLists.get(t, aws.ToString(id))
		switch {
		case err != nil:
			return err
		case p.AWS:
			return errOperationNotPermitted("The prefix list %s is managed by AWS and cannot be modified.", p.ID)
		case version != nil && *version != p.current().Number:
			return errPrefixListVersionMismatch(p.current().Number)
		case !settled(p.State):
			return errIncorrectState("The prefix list %s is in the state %s and cannot be modified.", p.ID, p.State)
		}
		if err := change(t, p); err != nil {
			return err
		}
		if len(p.Versions) > keptVersions {
			p.Versions = p.Versions[len(p.Versions)-keptVersions:]
		}
		if err := prefixLists.put(t, p); err != nil {
			return err
		}
		if err := wantUsers(t, p.ID); err != nil {
			return err
		}
		shown, err = prefixListToAPI(t, p)
		if err != nil {
			return err
		}
		return wantSettled(t, p.ID)
	})
}

func settled(state types.PrefixListState) bool {
	return strings.HasSuffix(string(state), "-complete") || strings.HasSuffix(string(state), "-failed")
}

// ModifyManagedPrefixList changes a list. Other entries make another version.
func (s *Service) ModifyManagedPrefixList(ctx context.Context, in *ec2.ModifyManagedPrefixListInput) (*ec2.ModifyManagedPrefixListOutput, error) {
	if err := unsupported("ModifyManagedPrefixList", "IpamPrefixListResolverSyncEnabled", in.IpamPrefixListResolverSyncEnabled); err != nil {
		return nil, err
	}
	if in.MaxEntries != nil && (len(in.AddEntries) > 0 || len(in.RemoveEntries) > 0) {
		return nil, errInvalidParameterCombination("MaxEntries cannot be modified together with the entries of a prefix list.")
	}
	shown, err := s.editList(ctx, in.PrefixListId, in.CurrentVersion, func(_ tx, p *prefixList) error {
		if in.PrefixListName != nil {
			if err := checkListName(*in.PrefixListName); err != nil {
				return err
			}
			p.Name = *in.PrefixListName
		}
		if in.MaxEntries != nil {
			if *in.MaxEntries < 1 || *in.MaxEntries > 1000 {
				return errInvalidParameterValue("Must specify a max size between 1 and 1000")
			}
			if int(*in.MaxEntries) < len(p.current().Entries) {
				return errPrefixListMaxEntriesExceeded(*in.MaxEntries)
			}
			p.MaxEntries = *in.MaxEntries
		}
		p.State = types.PrefixListStateModifyInProgress
		if len(in.AddEntries)+len(in.RemoveEntries) == 0 {
			return nil
		}
		if in.CurrentVersion == nil {
			return errMissingParameter("CurrentVersion")
		}
		entries, err := p.changed(p.current().Entries, in.AddEntries, in.RemoveEntries)
		p.Versions = append(p.Versions, prefixListVersion{p.current().Number + 1, entries})
		return err
	})
	return &ec2.ModifyManagedPrefixListOutput{PrefixList: shown}, err
}

// RestoreManagedPrefixListVersion makes the entries of an earlier version the newest ones.
func (s *Service) RestoreManagedPrefixListVersion(ctx context.Context, in *ec2.RestoreManagedPrefixListVersionInput) (*ec2.RestoreManagedPrefixListVersionOutput, error) {
	shown, err := s.editList(ctx, in.PrefixListId, in.CurrentVersion, func(_ tx, p *prefixList) error {
		old, err := p.version(aws.ToInt64(in.PreviousVersion))
		if err != nil {
			return err
		}
		p.Versions = append(p.Versions, prefixListVersion{p.current().Number + 1, old.Entries})
		p.State = types.PrefixListStateRestoreInProgress
		return nil
	})
	return &ec2.RestoreManagedPrefixListVersionOutput{PrefixList: shown}, err
}

func (p *prefixList) version(number int64) (prefixListVersion, error) {
	for _, v := range p.Versions {
		if v.Number == number {
			return v, nil
		}
	}
	return prefixListVersion{}, errPrefixListVersionNotFound(number)
}

// DeleteManagedPrefixList removes a list that nobody refers to.
func (s *Service) DeleteManagedPrefixList(ctx context.Context, in *ec2.DeleteManagedPrefixListInput) (*ec2.DeleteManagedPrefixListOutput, error) {
	out := &ec2.DeleteManagedPrefixListOutput{}
	return out, s.update(ctx, func(t tx) error {
		p, err := prefixLists.get(t, aws.ToString(in.PrefixListId))
		if err != nil {
			return err
		}
		if p.AWS {
			return errOperationNotPermitted("The prefix list %s is managed by AWS and cannot be deleted.", p.ID)
		}
		users, err := usersOfList(t, p.ID)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return errDependencyViolation("The prefix list '%s' has dependencies and cannot be deleted.", p.ID)
		}
		p.State = types.PrefixListStateDeleteComplete
		shown, err := prefixListToAPI(t, p)
		out.PrefixList = &shown
		if err != nil {
			return err
		}
		return prefixLists.delete(t, p.ID)
	})
}

// listUser is a resource that refers to a prefix list, and its VPC or transit gateway.
type listUser struct{ id, network string }

// usersOfList answers who refers to a prefix list: security groups, route tables and those of transit gateways, in the order of
// their ids.
func usersOfList(t tx, id string) ([]listUser, error) {
	groups, err := securityGroups.by(t, "peer", id)
	if err != nil {
		return nil, err
	}
	var users []listUser
	for _, g := range groups {
		users = append(users, listUser{g.ID, g.VPC})
	}
	tables, err := routeTables.all(t)
	if err != nil {
		return nil, err
	}
	for _, r := range tables {
		if r.find(id) >= 0 {
			users = append(users, listUser{r.ID, r.VPC})
		}
	}
	references, err := transitReferencesTo(t, id)
	if err != nil {
		return nil, err
	}
	for _, x := range references {
		if x.gone() {
			continue
		}
		r, err := transitTables.see(t, x.Table)
		if err != nil {
			return nil, err
		}
		if r != nil && !r.gone() {
			users = append(users, listUser{r.ID, r.Gateway})
		}
	}
	slices.SortFunc(users, func(a, b listUser) int { return strings.Compare(a.id, b.id) })
	return users, nil
}

// wantUsers asks for a look at every VPC and transit gateway whose rules or routes refer to a list.
func wantUsers(t tx, id string) error {
	users, err := usersOfList(t, id)
	if err != nil {
		return err
	}
	for _, u := range users {
		want := wantNetwork
		if kindOfNetwork(u.network) == transitKind {
			want = wantTransit
		}
		if err := want(t, u.network); err != nil {
			return err
		}
	}
	// A group counts in the VPCs that it is associated with too.
	groups, err := securityGroups.by(t, "peer", id)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := wantNetworksOf(t, g); err != nil {
			return err
		}
	}
	return nil
}

// DescribeManagedPrefixLists lists the account's and AWS's lists.
func (s *Service) DescribeManagedPrefixLists(ctx context.Context, in *ec2.DescribeManagedPrefixListsInput) (*ec2.DescribeManagedPrefixListsOutput, error) {
	list, next, err := describe(ctx, s, prefixLists, query{in.PrefixListIds, "", in.Filters, in.MaxResults, in.NextToken}, prefixListToAPI)
	return &ec2.DescribeManagedPrefixListsOutput{PrefixLists: list, NextToken: next}, err
}

// DescribePrefixLists lists the lists of AWS's services, with their ranges.
func (s *Service) DescribePrefixLists(ctx context.Context, in *ec2.DescribePrefixListsInput) (*ec2.DescribePrefixListsOutput, error) {
	list, next, err := describe(ctx, s, prefixLists, query{in.PrefixListIds, "", append(slices.Clone(in.Filters), types.Filter{Name: aws.String("owner-id"), Values: []string{"AWS"}}), in.MaxResults, in.NextToken},
		func(_ tx, p *prefixList) (types.PrefixList, error) {
			shown := types.PrefixList{PrefixListId: aws.String(p.ID), PrefixListName: aws.String(p.Name)}
			for _, e := range p.current().Entries {
				shown.Cidrs = append(shown.Cidrs, e.CIDR)
			}
			return shown, nil
		})
	return &ec2.DescribePrefixListsOutput{PrefixLists: list, NextToken: next}, err
}

// GetManagedPrefixListEntries answers the entries of a version, the current one by default.
func (s *Service) GetManagedPrefixListEntries(ctx context.Context, in *ec2.GetManagedPrefixListEntriesInput) (*ec2.GetManagedPrefixListEntriesOutput, error) {
	out := &ec2.GetManagedPrefixListEntriesOutput{}
	return out, s.view(ctx, func(t tx) error {
		p, err := prefixLists.get(t, aws.ToString(in.PrefixListId))
		if err != nil {
			return err
		}
		v := p.current()
		if in.TargetVersion != nil {
			if v, err = p.version(*in.TargetVersion); err != nil {
				return err
			}
		}
		entries := slices.Clone(v.Entries)
		slices.SortFunc(entries, func(a, b prefixListEntry) int { return strings.Compare(a.CIDR, b.CIDR) })
		entries, next, err := cut(entries, func(e prefixListEntry) string { return e.CIDR }, p.ID, pageBounds{1, 100}, query{max: in.MaxResults, token: in.NextToken})
		out.NextToken, out.Entries = next, []types.PrefixListEntry{}
		for _, e := range entries {
			out.Entries = append(out.Entries, types.PrefixListEntry{Cidr: aws.String(e.CIDR), Description: optional(e.Description)})
		}
		return err
	})
}

// GetManagedPrefixListAssociations answers which resources refer to a list.
func (s *Service) GetManagedPrefixListAssociations(ctx context.Context, in *ec2.GetManagedPrefixListAssociationsInput) (*ec2.GetManagedPrefixListAssociationsOutput, error) {
	out := &ec2.GetManagedPrefixListAssociationsOutput{}
	return out, s.view(ctx, func(t tx) error {
		p, err := prefixLists.get(t, aws.ToString(in.PrefixListId))
		if err != nil {
			return err
		}
		users, err := usersOfList(t, p.ID)
		if err != nil {
			return err
		}
		users, next, err := cut(users, func(u listUser) string { return u.id }, "users "+p.ID, pageBounds{5, 255}, query{max: in.MaxResults, token: in.NextToken})
		out.NextToken, out.PrefixListAssociations = next, []types.PrefixListAssociation{}
		for _, u := range users {
			out.PrefixListAssociations = append(out.PrefixListAssociations, types.PrefixListAssociation{ResourceId: aws.String(u.id), ResourceOwner: aws.String(t.scope.Account)})
		}
		return err
	})
}

func prefixListToAPI(t tx, p *prefixList) (types.ManagedPrefixList, error) {
	shown := types.ManagedPrefixList{
		PrefixListId: aws.String(p.ID), PrefixListName: aws.String(p.Name), AddressFamily: aws.String(p.Family), State: p.State, OwnerId: aws.String(p.owner(t)),
		PrefixListArn: aws.String(arn(t.scope, types.ResourceTypePrefixList, p.ID)), Tags: tagSet(t, p.Tags),
	}
	if p.AWS {
		shown.PrefixListArn = aws.String("arn:aws:ec2:" + t.scope.Region + ":aws:prefix-list/" + p.ID)
	} else {
		shown.Version, shown.MaxEntries = aws.Int64(p.current().Number), aws.Int32(p.MaxEntries)
	}
	return shown, nil
}
