package ec2

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/store"
)

var errUnreadable = errors.New("unreadable")

// unreadable is a store of which the rows of one table cannot be read.
type unreadable struct {
	store.DB
	table string
}

type unreadableTx struct {
	store.Tx
	table string
}

func (u unreadable) View(ctx context.Context, fn func(store.Tx) error) error {
	return u.DB.View(ctx, func(t store.Tx) error { return fn(unreadableTx{t, u.table}) })
}

func (u unreadableTx) Get(key store.Key) ([]byte, error) {
	if strings.Contains(string(key), u.table) {
		return nil, errUnreadable
	}
	return u.Tx.Get(key)
}

// TestFiltersDoNotDropErrors: a record whose values cannot be read is not one that a filter leaves out.
func TestFiltersDoNotDropErrors(t *testing.T) {
	s, _, _ := newCloud(t)
	err := s.updateIn(t.Context(), testScope, func(x tx) error {
		const table, attachment, list = "tgw-rtb-12345678", "tgw-attach-12345678", "pl-12345678"
		return errors.Join(ensureNetwork(x),
			interfaces.put(x, &networkInterface{resource: resource{ID: "eni-12345678"}, Groups: []string{"sg-12345678"}, Addresses: []interfaceAddress{{Private: "172.31.0.9"}}}),
			transitTables.put(x, &transitTable{resource: resource{ID: table}, Gateway: "tgw-12345678"}),
			transitListReferences.In(x, testScope).Put(&transitListReference{Table: table, List: list, Attachment: attachment}),
			fleets.put(x, &fleet{resource: resource{ID: "fleet-11111111-1111-1111-1111-111111111111"}, Type: types.FleetTypeRequest, Members: []fleetMember{{Instance: "i-12345678"}}}))
	})
	if err != nil {
		t.Fatal(err)
	}
	db := s.config.DB
	for _, c := range []struct {
		table, filter string
		list          func(context.Context, []types.Filter) error
	}{
		{"instances", "fleet-state", listFleets(s)},
		{"instances", "activity-status", listFleets(s)},
		{"security-groups", "group-name", func(ctx context.Context, f []types.Filter) error {
			_, err := s.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: f})
			return err
		}},
		{"security-groups", "ip-permission.group-name", func(ctx context.Context, f []types.Filter) error {
			_, err := s.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: f})
			return err
		}},
		{"transit-gateways", "default-association-route-table", func(ctx context.Context, f []types.Filter) error {
			_, err := s.DescribeTransitGatewayRouteTables(ctx, &ec2.DescribeTransitGatewayRouteTablesInput{Filters: f})
			return err
		}},
		{"transit-gateway-attachments", "attachment.resource-id", listReferences(s)},
		{"transit-gateway-attachments", "attachment.resource-type", listReferences(s)},
		{"prefix-lists", "prefix-list-owner-id", listReferences(s)},
	} {
		s.config.DB = unreadable{db, "/" + c.table + "/"}
		if err := c.list(asRoot(t), []types.Filter{{Name: &c.filter, Values: []string{"none"}}}); !errors.Is(err, errUnreadable) {
			t.Errorf("%s: %v", c.filter, err)
		}
	}
}

func listFleets(s *Service) func(context.Context, []types.Filter) error {
	return func(ctx context.Context, f []types.Filter) error {
		_, err := s.DescribeFleets(ctx, &ec2.DescribeFleetsInput{Filters: f})
		return err
	}
}

func listReferences(s *Service) func(context.Context, []types.Filter) error {
	return func(ctx context.Context, f []types.Filter) error {
		table := "tgw-rtb-12345678"
		_, err := s.GetTransitGatewayPrefixListReferences(ctx, &ec2.GetTransitGatewayPrefixListReferencesInput{TransitGatewayRouteTableId: &table, Filters: f})
		return err
	}
}

// TestTypesAreDecodedOnce: the catalog is large, and fleets look through it at every launch.
func TestTypesAreDecodedOnce(t *testing.T) {
	r := &types.InstanceRequirementsRequest{VCpuCount: &types.VCpuCountRangeRequest{}, MemoryMiB: &types.MemoryMiBRequest{}}
	all := func(*typeInfo) bool { return true }
	found := typesFor("us-east-1", r, all)
	if again := testing.AllocsPerRun(3, func() { typesFor("us-east-1", r, all) }); len(found) < 100 || again > float64(10*len(found)) {
		t.Errorf("%v allocations to look through %d types", again, len(found))
	}
}
