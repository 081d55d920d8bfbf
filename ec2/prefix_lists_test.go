package ec2

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestEntriesOfPrefixLists: what is there is not added again, another description replaces the first, and nothing is added
// and removed in one call.
func TestEntriesOfPrefixLists(t *testing.T) {
	_, client, _ := newCloud(t)
	entry := func(cidr, description string) types.AddPrefixListEntry {
		return types.AddPrefixListEntry{Cidr: aws.String(cidr), Description: aws.String(description)}
	}
	made := must[*ec2.CreateManagedPrefixListOutput](t)(client.CreateManagedPrefixList(t.Context(), &ec2.CreateManagedPrefixListInput{
		PrefixListName: aws.String("offices"), AddressFamily: aws.String("IPv6"), MaxEntries: aws.Int32(5), Entries: []types.AddPrefixListEntry{entry("2001:DB8:1::/48", "one")},
	})).PrefixList
	settled := func() *types.ManagedPrefixList {
		var shown *types.ManagedPrefixList
		waitFor(t, func() bool {
			shown = &must[*ec2.DescribeManagedPrefixListsOutput](t)(client.DescribeManagedPrefixLists(t.Context(), &ec2.DescribeManagedPrefixListsInput{PrefixListIds: []string{*made.PrefixListId}})).PrefixLists[0]
			return shown.State == types.PrefixListStateCreateComplete || shown.State == types.PrefixListStateModifyComplete
		})
		return shown
	}
	modify := func(add []types.AddPrefixListEntry, remove ...string) error {
		in := &ec2.ModifyManagedPrefixListInput{PrefixListId: made.PrefixListId, CurrentVersion: settled().Version, AddEntries: add}
		for _, cidr := range remove {
			in.RemoveEntries = append(in.RemoveEntries, types.RemovePrefixListEntry{Cidr: aws.String(cidr)})
		}
		_, err := client.ModifyManagedPrefixList(t.Context(), in)
		return err
	}
	wantCode(t, modify([]types.AddPrefixListEntry{entry("2001:db8:1::/48", "one")}), "InvalidPrefixListModification")
	wantCode(t, modify(nil, "2001:db8:2::/48"), "InvalidPrefixListModification")
	wantCode(t, modify([]types.AddPrefixListEntry{entry("2001:db8:1::/48", "two")}, "2001:DB8:1::/48"), "InvalidParameterValue")
	if version := *settled().Version; version != 1 {
		t.Errorf("version %d after what was refused", version)
	}
	if err := modify([]types.AddPrefixListEntry{entry("2001:db8:1::/48", "two")}); err != nil {
		t.Error(err)
	}
	settled()
	list := must[*ec2.GetManagedPrefixListEntriesOutput](t)(client.GetManagedPrefixListEntries(t.Context(), &ec2.GetManagedPrefixListEntriesInput{PrefixListId: made.PrefixListId})).Entries
	if len(list) != 1 || *list[0].Description != "two" {
		t.Error(list)
	}
}
