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
		return errors.Join(ensureNetwork(x), fleets.put(x, &fleet{resource: resource{ID: "fleet-11111111-1111-1111-1111-111111111111"}, Type: types.FleetTypeRequest, Members: []fleetMember{{Instance: "i-12345678"}}}))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.config.DB = unreadable{s.config.DB, "/instances/"}
	for _, name := range []string{"fleet-state", "activity-status"} {
		wanted := "none"
		_, err := s.DescribeFleets(asRoot(t), &ec2.DescribeFleetsInput{Filters: []types.Filter{{Name: &name, Values: []string{wanted}}}})
		if !errors.Is(err, errUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
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
