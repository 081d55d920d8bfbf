package ec2

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// fleetOf is a fleet of type instant for so many On-Demand Instances of the test's template, with options.
func (t *spotFleetTest) fleetOf(target int32, options *types.OnDemandOptionsRequest, overrides ...types.FleetLaunchTemplateOverridesRequest) *ec2.CreateFleetInput {
	in := oneInstance(&types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("web"), Version: aws.String("1")}, overrides...)
	in.TargetCapacitySpecification.TotalTargetCapacity, in.OnDemandOptions = &target, options
	return in
}

func (t *spotFleetTest) create(in *ec2.CreateFleetInput) *ec2.CreateFleetOutput {
	t.Helper()
	return must[*ec2.CreateFleetOutput](t.T)(t.client.CreateFleet(t.Context(), in))
}

// launchedBy is how many instances there are of each type.
func launchedBy(out *ec2.CreateFleetOutput) map[types.InstanceType]int {
	all := map[types.InstanceType]int{}
	for _, group := range out.Instances {
		all[group.InstanceType] += len(group.InstanceIds)
	}
	return all
}

// TestFleetsOfOneType: all instances are of one type or in one zone, and less than what is asked for at least is nothing.
func TestFleetsOfOneType(tt *testing.T) {
	t := newSpotFleetTest(tt)
	subnet := func(cidr string) *string {
		vpc := must[*ec2.DescribeVpcsOutput](tt)(t.client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})).Vpcs[0].VpcId
		return must[*ec2.CreateSubnetOutput](tt)(t.client.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: &cidr})).Subnet.SubnetId
	}
	// Of the 16 addresses of a subnet 11 are for instances.
	small, other := subnet("172.31.200.0/28"), subnet("172.31.201.0/24")
	of := func(typ types.InstanceType, in *string) types.FleetLaunchTemplateOverridesRequest {
		return types.FleetLaunchTemplateOverridesRequest{InstanceType: typ, SubnetId: in}
	}
	nano, micro := types.InstanceTypeT4gNano, types.InstanceTypeT4gMicro
	one := &types.OnDemandOptionsRequest{SingleInstanceType: aws.Bool(true)}
	if got := launchedBy(t.create(t.fleetOf(20, one, of(nano, small), of(micro, other)))); len(got) != 1 || got[nano] != 11 {
		t.Errorf("%v of one type, not 11 of the first, which has no room for more", got)
	}
	least := &types.OnDemandOptionsRequest{SingleInstanceType: aws.Bool(true), MinTargetCapacity: aws.Int32(5)}
	tiny := subnet("172.31.202.0/28")
	first := t.create(t.fleetOf(7, &types.OnDemandOptionsRequest{}, of(nano, tiny)))
	if got := launchedBy(first); got[nano] != 7 {
		t.Fatalf("%v", got)
	}
	// Of the first type four would do, of the second all.
	if got := launchedBy(t.create(t.fleetOf(20, least, of(nano, tiny), of(micro, other)))); len(got) != 1 || got[micro] != 20 {
		t.Errorf("%v, not 20 of the second type", got)
	}
	count := func() int {
		all := must[*ec2.DescribeInstancesOutput](tt)(t.client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{}))
		n := 0
		for _, r := range all.Reservations {
			n += len(r.Instances)
		}
		return n
	}
	before := count()
	none := t.create(t.fleetOf(20, least, of(nano, tiny)))
	if len(none.Instances) != 0 || len(none.Errors) != 1 || *none.Errors[0].ErrorCode != "InsufficientFreeAddressesInSubnet" || count() != before {
		t.Errorf("%+v, %d instances of %d", none, count(), before)
	}
	// What is less than the target, and enough.
	if got := launchedBy(t.create(t.fleetOf(20, &types.OnDemandOptionsRequest{SingleAvailabilityZone: aws.Bool(true), MinTargetCapacity: aws.Int32(4)}, of(nano, tiny)))); got[nano] != 4 {
		t.Errorf("%v, not the four that there is room for", got)
	}
	for what, c := range map[string]struct {
		code   string
		change func(*ec2.CreateFleetInput)
	}{
		"least alone":                         {"InvalidParameterCombination", func(in *ec2.CreateFleetInput) { in.OnDemandOptions.MinTargetCapacity = aws.Int32(1) }},
		"least of a fleet that is maintained": {"InvalidParameterCombination", func(in *ec2.CreateFleetInput) { in.Type, in.OnDemandOptions = types.FleetTypeMaintain, least }},
		"too much at least": {"InvalidParameterValue", func(in *ec2.CreateFleetInput) {
			in.SpotOptions = &types.SpotOptionsRequest{MinTargetCapacity: aws.Int32(1001), SingleInstanceType: aws.Bool(true)}
		}},
		"no price": {"InvalidParameterValue", func(in *ec2.CreateFleetInput) { in.OnDemandOptions.MaxTotalPrice = aws.String("much") }},
		"reservations of a fleet that is maintained": {"InvalidParameterCombination", func(in *ec2.CreateFleetInput) {
			in.Type, in.OnDemandOptions.CapacityReservationOptions = types.FleetTypeMaintain, &types.CapacityReservationOptionsRequest{UsageStrategy: types.FleetCapacityReservationUsageStrategyUseCapacityReservationsFirst}
		}},
	} {
		in := t.fleetOf(1, &types.OnDemandOptionsRequest{})
		c.change(in)
		_, err := t.client.CreateFleet(t.Context(), in)
		t.Log(what)
		wantCode(tt, err, c.code)
	}
}

// TestFleetsUseReservedRoomFirst: what reservations have room for is taken before what the order of prices says.
func TestFleetsUseReservedRoomFirst(tt *testing.T) {
	t := newSpotFleetTest(tt)
	must[*ec2.CreateCapacityReservationOutput](tt)(t.client.CreateCapacityReservation(t.Context(), &ec2.CreateCapacityReservationInput{
		InstanceType: aws.String("t4g.small"), InstancePlatform: types.CapacityReservationInstancePlatformLinuxUnix, AvailabilityZone: aws.String("us-east-1a"), InstanceCount: aws.Int32(2),
	}))
	options := &types.OnDemandOptionsRequest{CapacityReservationOptions: &types.CapacityReservationOptionsRequest{UsageStrategy: types.FleetCapacityReservationUsageStrategyUseCapacityReservationsFirst}}
	overrides := []types.FleetLaunchTemplateOverridesRequest{
		{InstanceType: types.InstanceTypeT4gNano, AvailabilityZone: aws.String("us-east-1a")}, {InstanceType: types.InstanceTypeT4gSmall, AvailabilityZone: aws.String("us-east-1a")},
	}
	for _, want := range []map[types.InstanceType]int{{types.InstanceTypeT4gSmall: 2, types.InstanceTypeT4gNano: 1}, {types.InstanceTypeT4gNano: 3}} {
		got := launchedBy(t.create(t.fleetOf(3, options, overrides...)))
		if got[types.InstanceTypeT4gSmall] != want[types.InstanceTypeT4gSmall] || got[types.InstanceTypeT4gNano] != want[types.InstanceTypeT4gNano] {
			t.Errorf("%v, not %v", got, want)
		}
	}
}

// TestCapacityRebalancing: another instance takes the place of one at risk, which ends after the delay if the fleet says so.
func TestCapacityRebalancing(tt *testing.T) {
	t := newSpotFleetTest(tt)
	in := t.fleetOf(1, nil)
	in.Type, in.TargetCapacitySpecification.DefaultTargetCapacityType = types.FleetTypeMaintain, types.DefaultTargetCapacityTypeSpot
	rebalance := func(strategy types.FleetReplacementStrategy, delay *int32) *types.SpotOptionsRequest {
		return &types.SpotOptionsRequest{MaintenanceStrategies: &types.FleetSpotMaintenanceStrategiesRequest{CapacityRebalance: &types.FleetSpotCapacityRebalanceRequest{ReplacementStrategy: strategy, TerminationDelay: delay}}}
	}
	for _, c := range []struct {
		options *types.SpotOptionsRequest
		code    string
	}{
		{rebalance("never", nil), "InvalidParameterValue"},
		{rebalance(types.FleetReplacementStrategyLaunch, aws.Int32(120)), "InvalidParameterCombination"},
		{rebalance(types.FleetReplacementStrategyLaunchBeforeTerminate, nil), "InvalidParameterValue"},
		{rebalance(types.FleetReplacementStrategyLaunchBeforeTerminate, aws.Int32(7201)), "InvalidParameterValue"},
	} {
		in.SpotOptions = c.options
		_, err := t.client.CreateFleet(t.Context(), in)
		wantCode(tt, err, c.code)
	}
	active := func(id string) (all []string) {
		for _, i := range must[*ec2.DescribeFleetInstancesOutput](tt)(t.client.DescribeFleetInstances(t.Context(), &ec2.DescribeFleetInstancesInput{FleetId: &id})).ActiveInstances {
			all = append(all, *i.InstanceId)
		}
		return all
	}
	edit := func(change func(x tx) error) {
		t.Helper()
		if err := t.service.updateIn(t.Context(), testScope, change); err != nil {
			t.Fatal(err)
		}
	}
	for _, strategy := range []types.FleetReplacementStrategy{types.FleetReplacementStrategyLaunch, types.FleetReplacementStrategyLaunchBeforeTerminate} {
		in.SpotOptions, in.ClientToken = rebalance(strategy, nil), nil
		ends := strategy == types.FleetReplacementStrategyLaunchBeforeTerminate
		if ends {
			in.SpotOptions = rebalance(strategy, aws.Int32(120))
		}
		id := *t.create(in).FleetId
		t.reconcile(id)
		before := active(id)
		if len(before) != 1 {
			t.Fatalf("%q", before)
		}
		edit(func(x tx) error {
			return instances.edit(x, before[0], func(i *instance) error { i.Notices.Rebalance = x.Now(); return nil })
		})
		again := t.reconcile(id)
		both := active(id)
		if len(both) != 2 || !slices.Contains(both, before[0]) || ends != (again > 115*time.Second && again <= 120*time.Second) {
			t.Errorf("%s: %q after %q, again in %s", strategy, both, before, again)
		}
		if t.reconcile(id); len(active(id)) != 2 {
			t.Errorf("%s: %q", strategy, active(id))
		}
		edit(func(x tx) error {
			f, err := fleets.get(x, id)
			if err != nil {
				return err
			}
			all, err := f.members(x)
			if err == nil && ends {
				all[0].Ends = all[0].Ends.Add(-121 * time.Second)
				err = f.keep(x, all[0])
			}
			return err
		})
		t.reconcile(id)
		if left := active(id); ends == slices.Contains(left, before[0]) || ends && len(left) != 1 {
			t.Errorf("%s: %q are left", strategy, left)
		}
	}
}
