package ec2

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/lazyregexp"
)

// spotRequest is a request for a Spot Instance. There is no market here: it is fulfilled at once by a container as any
// other, and never interrupted unless somebody asks for that.
//
//	RunInstances, RequestSpotInstances -> active --(instance ended)--> closed; a persistent one: open -> active again
//	                                        |--(StopInstances)--> disabled --(StartInstances)--> active
//	                                        \--(CancelSpotInstanceRequests)--> cancelled
type spotRequest struct {
	resource
	State        types.SpotInstanceState
	Code         string // of Status
	Message      string
	Type         types.SpotInstanceType
	Price        string `json:",omitempty"`
	Interruption types.InstanceInterruptionBehavior
	Instance     string
	Zone, ZoneID string
	Created      time.Time
	Updated      time.Time
	ImageID      string
	InstanceType types.InstanceType
	KeyName      string `json:",omitempty"`
	Subnet       string `json:",omitempty"`
	// Launch is what answers show of the launch besides.
	Launch types.LaunchSpecification
	// Until is the end of its time. A request that is fulfilled outlives it, but then no other instance follows.
	Until time.Time `json:",omitzero"`
}

func spotBase(r *spotRequest) *resource { return &r.resource }

// spotPattern takes the ids of AWS, too: sir- and eight letters and digits.
var spotPattern = lazyregexp.New(`^([0-9a-z]{8}|[0-9a-f]{17})$`)

var spotRequests = &kind[spotRequest]{
	prefix: "sir-", typ: types.ResourceTypeSpotInstancesRequest, base: spotBase, notFound: errSpotRequestNotFound, malformed: errSpotRequestMalformed, pattern: spotPattern,
	table: tableOf("spot-requests", spotBase, nil),
	pages: pageBounds{5, 1000},
	filters: filters[spotRequest]{
		"availability-zone-group": func(tx, *spotRequest) []string { return nil },
		"create-time":             func(_ tx, r *spotRequest) []string { return one(filterTime(r.Created)) },
		"instance-id":             func(_ tx, r *spotRequest) []string { return one(r.Instance) },
		"fault-code":              func(tx, *spotRequest) []string { return nil },
		"fault-message":           func(tx, *spotRequest) []string { return nil },
		"launch-group":            func(tx, *spotRequest) []string { return nil },
		"launch.block-device-mapping.delete-on-termination": spotDisksWith(func(d *types.EbsBlockDevice) []string {
			return yesNo(d.DeleteOnTermination == nil || *d.DeleteOnTermination)
		}),
		"launch.block-device-mapping.device-name": func(_ tx, r *spotRequest) (all []string) {
			for _, m := range r.Launch.BlockDeviceMappings {
				all = append(all, one(aws.ToString(m.DeviceName))...)
			}
			return all
		},
		"launch.block-device-mapping.snapshot-id": spotDisksWith(func(d *types.EbsBlockDevice) []string { return one(aws.ToString(d.SnapshotId)) }),
		"launch.block-device-mapping.volume-size": spotDisksWith(func(d *types.EbsBlockDevice) []string { return count32(d.VolumeSize) }),
		"launch.block-device-mapping.volume-type": spotDisksWith(func(d *types.EbsBlockDevice) []string { return one(string(d.VolumeType)) }),
		"launch.group-id":                         spotGroupsWith(func(g types.GroupIdentifier) *string { return g.GroupId }),
		"launch.group-name":                       spotGroupsWith(func(g types.GroupIdentifier) *string { return g.GroupName }),
		"launch.kernel-id":                        func(tx, *spotRequest) []string { return nil },
		"launch.ramdisk-id":                       func(tx, *spotRequest) []string { return nil },
		"launch.monitoring-enabled": func(_ tx, r *spotRequest) []string {
			return yesNo(r.Launch.Monitoring != nil && aws.ToBool(r.Launch.Monitoring.Enabled))
		},
		"launched-availability-zone-id": func(_ tx, r *spotRequest) []string { return one(r.ZoneID) },
		"network-interface.addresses.primary": spotCardsWith(func(e types.InstanceNetworkInterfaceSpecification) (all []string) {
			if e.PrivateIpAddress != nil {
				all = yesNo(true)
			}
			for _, a := range e.PrivateIpAddresses {
				all = append(all, yesNo(aws.ToBool(a.Primary))...)
			}
			return all
		}),
		"network-interface.delete-on-termination": spotCardsWith(func(e types.InstanceNetworkInterfaceSpecification) []string {
			return yesNo(e.DeleteOnTermination == nil && e.NetworkInterfaceId == nil || aws.ToBool(e.DeleteOnTermination))
		}),
		"network-interface.description": spotCardsWith(func(e types.InstanceNetworkInterfaceSpecification) []string { return one(aws.ToString(e.Description)) }),
		"network-interface.device-index": spotCardsWith(func(e types.InstanceNetworkInterfaceSpecification) []string {
			return number(aws.ToInt32(e.DeviceIndex))
		}),
		"network-interface.group-id": spotCardsWith(func(e types.InstanceNetworkInterfaceSpecification) []string { return e.Groups }),
		"network-interface.network-interface-id": spotCardsWith(func(e types.InstanceNetworkInterfaceSpecification) []string {
			return one(aws.ToString(e.NetworkInterfaceId))
		}),
		"network-interface.private-ip-address": spotCardsWith(func(e types.InstanceNetworkInterfaceSpecification) []string {
			all := one(aws.ToString(e.PrivateIpAddress))
			for _, a := range e.PrivateIpAddresses {
				all = append(all, one(aws.ToString(a.PrivateIpAddress))...)
			}
			return all
		}),
		"valid-from": func(tx, *spotRequest) []string { return nil },
		"valid-until": func(_ tx, r *spotRequest) []string {
			if r.Until.IsZero() {
				return nil
			}
			return one(filterTime(r.Until))
		},
		"launch.image-id":             func(_ tx, r *spotRequest) []string { return one(r.ImageID) },
		"launch.instance-type":        func(_ tx, r *spotRequest) []string { return one(string(r.InstanceType)) },
		"launch.key-name":             func(_ tx, r *spotRequest) []string { return one(r.KeyName) },
		"launched-availability-zone":  func(_ tx, r *spotRequest) []string { return one(r.Zone) },
		"network-interface.subnet-id": func(_ tx, r *spotRequest) []string { return one(r.Subnet) },
		"product-description":         func(tx, *spotRequest) []string { return one("Linux/UNIX") },
		"spot-instance-request-id":    func(_ tx, r *spotRequest) []string { return one(r.ID) },
		"spot-price":                  func(_ tx, r *spotRequest) []string { return one(r.Price) },
		"state":                       func(_ tx, r *spotRequest) []string { return one(string(r.State)) },
		"status-code":                 func(_ tx, r *spotRequest) []string { return one(r.Code) },
		"status-message":              func(_ tx, r *spotRequest) []string { return one(r.Message) },
		"type":                        func(_ tx, r *spotRequest) []string { return one(string(r.Type)) },
	},
}

// spotDisksWith, spotGroupsWith and spotCardsWith make filters of the lists of a launch.
func spotDisksWith(values func(*types.EbsBlockDevice) []string) func(tx, *spotRequest) []string {
	return func(_ tx, r *spotRequest) (all []string) {
		for _, m := range r.Launch.BlockDeviceMappings {
			if m.Ebs != nil {
				all = append(all, values(m.Ebs)...)
			}
		}
		return all
	}
}

func spotGroupsWith(value func(types.GroupIdentifier) *string) func(tx, *spotRequest) []string {
	return func(_ tx, r *spotRequest) (all []string) {
		for _, g := range r.Launch.SecurityGroups {
			all = append(all, one(aws.ToString(value(g)))...)
		}
		return all
	}
}

func spotCardsWith(values func(types.InstanceNetworkInterfaceSpecification) []string) func(tx, *spotRequest) []string {
	return func(_ tx, r *spotRequest) (all []string) {
		for _, e := range r.Launch.NetworkInterfaces {
			all = append(all, values(e)...)
		}
		return all
	}
}

// requestSpot writes the request of an instance that is launched on the Spot market.
func (s *Service) requestSpot(t tx, i *instance, l *launch) error {
	if !l.spot() {
		return nil
	}
	market := l.in.InstanceMarketOptions
	if market.MarketType != types.MarketTypeSpot {
		return errNotImplemented("The market type " + string(market.MarketType))
	}
	options := market.SpotOptions
	if options == nil {
		options = &types.SpotMarketOptions{}
	}
	if err := unsupported("SpotOptions", "BlockDurationMinutes", options.BlockDurationMinutes); err != nil {
		return err
	}
	if price := options.MaxPrice; aws.ToString(price) != "" {
		if value, err := strconv.ParseFloat(*price, 64); err != nil || !(value > 0) || math.IsInf(value, 0) {
			return errInvalidParameterValue(`Value (%s) for parameter price is invalid. "%[1]s" is an invalid spot instance price`, *price)
		}
	}
	if l.request != "" {
		return spotRequests.edit(t, l.request, func(r *spotRequest) error {
			if r.State != types.SpotInstanceStateOpen || r.Instance != "" {
				return errNoLongerOpen
			}
			r.State, r.Code, r.Message, r.Updated, r.Instance = types.SpotInstanceStateActive, "fulfilled", "Your spot request is fulfilled.", t.Now(), i.ID
			r.Zone, r.ZoneID, r.Subnet = i.Zone, i.ZoneID, i.Subnet
			i.Lifecycle, i.SpotRequest, i.Persistent = "spot", r.ID, true
			return nil
		})
	}
	r := &spotRequest{
		resource: resource{ID: t.NewID("sir-"), Tags: l.spotTags}, State: types.SpotInstanceStateActive, Code: "fulfilled", Message: "Your spot request is fulfilled.",
		Type: options.SpotInstanceType, Price: aws.ToString(options.MaxPrice), Interruption: options.InstanceInterruptionBehavior, Instance: i.ID,
		Zone: i.Zone, ZoneID: i.ZoneID, Created: t.Now(), Updated: t.Now(), ImageID: i.ImageID, InstanceType: i.Type, KeyName: i.KeyName, Subnet: i.Subnet,
	}
	switch r.Type {
	case "":
		r.Type = types.SpotInstanceTypeOneTime
	case types.SpotInstanceTypeOneTime, types.SpotInstanceTypePersistent:
	default:
		return errInvalidParameterValue("Value (%s) for parameter spotInstanceType is invalid.", r.Type)
	}
	var err error
	if r.Until, err = l.spotUntil(t, r.Type, options.ValidUntil); err != nil {
		return err
	}
	if r.Launch, err = spotSpecification(t, i, l.in); err != nil {
		return err
	}
	persistent := r.Type == types.SpotInstanceTypePersistent
	switch r.Interruption {
	case "":
		r.Interruption = types.InstanceInterruptionBehaviorTerminate
	case types.InstanceInterruptionBehaviorTerminate:
	case types.InstanceInterruptionBehaviorHibernate:
		return errNotImplemented("The interruption behavior hibernate")
	case types.InstanceInterruptionBehaviorStop:
		if !persistent {
			return errInvalidParameterCombination("The interruption behavior '%s' requires a persistent Spot request.", r.Interruption)
		}
	default:
		return errInvalidParameterValue("Value (%s) for parameter instanceInterruptionBehavior is invalid.", r.Interruption)
	}
	i.Lifecycle, i.SpotRequest, i.Persistent = "spot", r.ID, persistent
	if persistent {
		if err := keepSpotLaunch(t, r.ID, l); err != nil {
			return err
		}
	}
	return spotRequests.insert(t, r)
}

// spotUntil answers the end of a request's time; the zero Time for none.
// AWS: "SpotMarketOptions" and "RequestSpotInstances", ValidUntil.
func (l *launch) spotUntil(t tx, typ types.SpotInstanceType, asked *time.Time) (time.Time, error) {
	const days = 7 // of a one-time request that says nothing
	once := typ == types.SpotInstanceTypeOneTime
	switch {
	case asked == nil && once && l.byRequest:
		return t.Now().AddDate(0, 0, days).Truncate(time.Second), nil
	case asked == nil:
		return time.Time{}, nil
	case once && !l.byRequest:
		return time.Time{}, errInvalidParameterCombination("The parameter ValidUntil is supported for persistent Spot requests only.")
	case !asked.After(t.Now()):
		return time.Time{}, errInvalidParameterValue("Value (%s) for parameter validUntil is invalid. The date must be in the future.", filterTime(*asked))
	}
	return *asked, nil
}

// expired tells whether the request's time is over.
func (r *spotRequest) expired(now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// spotSpecification is the launch as requests show it.
func spotSpecification(t tx, i *instance, in *ec2.RunInstancesInput) (types.LaunchSpecification, error) {
	out := types.LaunchSpecification{
		EbsOptimized: in.EbsOptimized, IamInstanceProfile: in.IamInstanceProfile, BlockDeviceMappings: in.BlockDeviceMappings, NetworkInterfaces: in.NetworkInterfaces,
		Monitoring: &types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(i.Monitoring)}, Placement: &types.SpotPlacement{AvailabilityZone: optional(i.Zone)},
	}
	if p := in.Placement; p != nil {
		out.Placement.GroupName, out.Placement.Tenancy = p.GroupName, p.Tenancy
	}
	plugged, err := interfacesOf(t, i.ID)
	if len(plugged) == 0 || err != nil || len(in.NetworkInterfaces) > 0 {
		return out, err // the groups of interfaces are shown with them
	}
	shown, err := interfaceToAPI(t, plugged[0])
	out.SecurityGroups = shown.Groups
	return out, err
}

// endSpot closes the request of an instance that ended.
func (s *Service) endSpot(t tx, i *instance) error {
	r, err := spotRequests.find(t, i.SpotRequest)
	if err != nil {
		return err
	}
	// What a fleet launched the fleet replaces.
	if r != nil && i.Fleet == "" && r.Type == types.SpotInstanceTypePersistent && r.Instance == i.ID && r.State != types.SpotInstanceStateCancelled && r.State != types.SpotInstanceStateClosed && !r.expired(t.Now()) {
		if i.ReasonCode == spotTermination {
			return reopenSpot(t, r, "instance-terminated-no-capacity", "There is no Spot capacity available that matches your request.")
		}
		return reopenSpot(t, r, "instance-terminated-by-user", "Your spot instance was terminated by the user.")
	}
	if i.Persistent {
		if err := spotLaunches.In(t, t.scope).Delete(i.SpotRequest); err != nil {
			return err
		}
	}
	return s.noteSpot(t, i, types.SpotInstanceStateClosed, "instance-terminated-by-user", "Your spot instance was terminated by the user.")
}

// DescribeSpotInstanceRequests lists requests.
func (s *Service) DescribeSpotInstanceRequests(ctx context.Context, in *ec2.DescribeSpotInstanceRequestsInput) (*ec2.DescribeSpotInstanceRequestsOutput, error) {
	q := query{in.SpotInstanceRequestIds, "spotInstanceRequestIds", in.Filters, in.MaxResults, in.NextToken}
	list, next, err := describe(ctx, s, spotRequests, q, func(_ tx, r *spotRequest) (types.SpotInstanceRequest, error) {
		launch := r.Launch
		launch.ImageId, launch.InstanceType, launch.KeyName, launch.SubnetId = aws.String(r.ImageID), r.InstanceType, optional(r.KeyName), optional(r.Subnet)
		shown := types.SpotInstanceRequest{
			SpotInstanceRequestId: aws.String(r.ID), State: r.State, Type: r.Type, SpotPrice: optional(r.Price), InstanceId: optional(r.Instance),
			InstanceInterruptionBehavior: r.Interruption, CreateTime: aws.Time(r.Created), LaunchedAvailabilityZone: aws.String(r.Zone),
			LaunchedAvailabilityZoneId: aws.String(r.ZoneID), ProductDescription: types.RIProductDescriptionLinuxUnix, Tags: tagsToAPI(s.onEngine(), r.Tags),
			Status:              &types.SpotInstanceStatus{Code: aws.String(r.Code), Message: aws.String(r.Message), UpdateTime: aws.Time(r.Updated)},
			LaunchSpecification: &launch,
		}
		if !r.Until.IsZero() {
			shown.ValidUntil = aws.Time(r.Until)
		}
		return shown, nil
	})
	return &ec2.DescribeSpotInstanceRequestsOutput{SpotInstanceRequests: list, NextToken: next}, err
}

// CancelSpotInstanceRequests ends requests; their instances run on.
func (s *Service) CancelSpotInstanceRequests(ctx context.Context, in *ec2.CancelSpotInstanceRequestsInput) (*ec2.CancelSpotInstanceRequestsOutput, error) {
	out := &ec2.CancelSpotInstanceRequestsOutput{}
	return out, s.update(ctx, func(t tx) error {
		out.CancelledSpotInstanceRequests = nil
		for _, id := range in.SpotInstanceRequestIds {
			r, err := spotRequests.get(t, id)
			if err != nil {
				return err
			}
			state := types.CancelSpotInstanceRequestState(r.State)
			if r.State == types.SpotInstanceStateActive || r.State == types.SpotInstanceStateOpen || r.State == types.SpotInstanceStateDisabled {
				code, message := "request-canceled-and-instance-running", "Your spot request is canceled, but your instance is still running."
				if r.Instance == "" {
					code, message = "canceled-before-fulfillment", "Your spot request is canceled before it was fulfilled."
				}
				r.State, r.Code, r.Message, r.Updated = types.SpotInstanceStateCancelled, code, message, t.Now()
				if err := spotLaunches.In(t, t.scope).Delete(r.ID); err != nil {
					return err
				}
				state = types.CancelSpotInstanceRequestStateCancelled
				if err := spotRequests.put(t, r); err != nil {
					return err
				}
			}
			out.CancelledSpotInstanceRequests = append(out.CancelledSpotInstanceRequests, types.CancelledSpotInstanceRequest{SpotInstanceRequestId: aws.String(id), State: state})
		}
		return nil
	})
}

// RequestSpotInstances launches instances as RunInstances does, in its older words.
func (s *Service) RequestSpotInstances(ctx context.Context, in *ec2.RequestSpotInstancesInput) (*ec2.RequestSpotInstancesOutput, error) {
	if err := unsupported("RequestSpotInstances", "AvailabilityZoneGroup", in.AvailabilityZoneGroup, "BlockDurationMinutes", in.BlockDurationMinutes,
		"LaunchGroup", in.LaunchGroup, "ValidFrom", in.ValidFrom); err != nil {
		return nil, err
	}
	if in.LaunchSpecification == nil {
		return nil, errMissingParameter("LaunchSpecification")
	}
	// AWS: "RequestSpotInstances", TagSpecifications: those of the request alone.
	if _, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeSpotInstancesRequest); err != nil {
		return nil, err
	}
	run := &ec2.RunInstancesInput{}
	if err := reshape(in.LaunchSpecification, run); err != nil {
		return nil, err
	}
	count := aws.Int32(1)
	if in.InstanceCount != nil {
		count = in.InstanceCount
	}
	run.MinCount, run.MaxCount, run.ClientToken, run.TagSpecifications = count, count, in.ClientToken, slices.Clone(in.TagSpecifications)
	run.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: &types.SpotMarketOptions{
		MaxPrice: in.SpotPrice, SpotInstanceType: in.Type, InstanceInterruptionBehavior: in.InstanceInterruptionBehavior, ValidUntil: in.ValidUntil,
	}}
	made, err := s.run(ctx, run, true)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, i := range made.Instances {
		ids = append(ids, aws.ToString(i.SpotInstanceRequestId))
	}
	listed, err := s.DescribeSpotInstanceRequests(ctx, &ec2.DescribeSpotInstanceRequestsInput{SpotInstanceRequestIds: ids})
	if err != nil {
		return nil, err
	}
	return &ec2.RequestSpotInstancesOutput{SpotInstanceRequests: listed.SpotInstanceRequests}, nil
}
