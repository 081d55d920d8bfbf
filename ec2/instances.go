package ec2

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// instanceState is where an instance is in its life, as AWS names it. Handlers move it to the left states of this
// drawing, the reconciler to the right ones:
//
//	RunInstances, StartInstances --> pending --------------> running
//	StopInstances, poweroff inside -> stopping -------------> stopped
//	TerminateInstances -------------> shutting-down --------> terminated --(an hour)--> gone
//	a launch that failed: pending --> terminated;  a container that ended, or was removed: running --> stopped
type instanceState string

const (
	statePending      instanceState = "pending"
	stateRunning      instanceState = "running"
	stateShuttingDown instanceState = "shutting-down"
	stateTerminated   instanceState = "terminated"
	stateStopping     instanceState = "stopping"
	stateStopped      instanceState = "stopped"
)

// stateCodes are AWS's numbers. AWS: "InstanceState".
var stateCodes = map[instanceState]int32{
	statePending: 0, stateRunning: 16, stateShuttingDown: 32, stateTerminated: 48, stateStopping: 64, stateStopped: 80,
}

// instance is one EC2 instance: a container with our init as its first process.
type instance struct {
	resource
	Reservation string
	Index       int32
	ImageID     string
	// What of the image is needed after it is gone. References are container images to boot, in the order of preference;
	// Reference is the one that the container was made of.
	References               []string
	Reference                string `json:",omitempty"`
	Login                    string
	Architecture, RootDevice string
	Type                     types.InstanceType
	KeyName, PublicKey       string `json:",omitempty"`
	Hostname                 string

	State instanceState
	// Force ends a stop without waiting for the processes inside; Reboot is wanted while running.
	Force, Reboot bool `json:",omitempty"`
	// Reason and Transition are StateReason and StateTransitionReason.
	ReasonCode, Reason, Transition string `json:",omitempty"`
	Launched, Ended                time.Time

	Token        string `json:",omitempty"`
	Zone, ZoneID string
	VPC, Subnet  string
	PrivateIP    string
	// PublicIndex is one more than the device index of the interface that is to get a public address when the instance comes
	// up: it gave one back when it stopped, or there was none to have.
	PublicIndex int32               `json:",omitempty"`
	Profile     *profileAssociation `json:",omitempty"`
	Metadata    metadataOptions
	Monitoring  bool `json:",omitempty"`
	Tenancy     string
	// Host is the Dedicated Host that an instance of the tenancy "host" is on; Bound is the one that it asked for, or comes
	// back to (its affinity).
	Host, Bound    string `json:",omitempty"`
	PlacementGroup string `json:",omitempty"` // id
	Partition      int32  `json:",omitempty"`
	Credit         string `json:",omitempty"`
	Shutdown       types.ShutdownBehavior
	KeepFromStop   bool   `json:",omitempty"` // DisableApiStop
	KeepFromEnd    bool   `json:",omitempty"` // DisableApiTermination
	EBSOptimized   bool   `json:",omitempty"`
	NoAutoRecovery bool   `json:",omitempty"`
	Template       string `json:",omitempty"` // launch template id
	TemplateNumber int64  `json:",omitempty"`
	Lifecycle      string `json:",omitempty"` // "spot"
	SpotRequest    string `json:",omitempty"`
	Persistent     bool   `json:",omitempty"` // its Spot request launches another one when it ends
	RootVolume     rootVolume
	Notices        instanceNotices `json:",omitzero"`

	Fleet   string         `json:",omitempty"` // that launched it
	Names   nameOptions    `json:",omitzero"`
	Reports []statusReport `json:",omitempty"`
	// Cores and Threads are CpuOptions that are not the type's; 0 for those.
	Cores, Threads int32 `json:",omitempty"`

	// Capacity is the Capacity Reservation that it was let into when it came up.
	Capacity        string          `json:",omitempty"`
	CapacityOptions capacityOptions `json:",omitzero"`

	// What the engine confirmed.
	EngineID string `json:",omitempty"`
	// Limits are those that the container has, and Clamped those that the type promises where the engine has less.
	CPUs        float64 `json:",omitempty"`
	MemoryBytes int64   `json:",omitempty"`
	Clamped     string  `json:",omitempty"`
	Created     bool    `json:",omitempty"` // the container was there once: its layer is the root volume
}

// metadataOptions are InstanceMetadataOptionsRequest's.
type metadataOptions struct {
	Tokens, Endpoint, IPv6, Tags string
	HopLimit                     int32
}

// rootVolume is the container's own layer, shown as an EBS volume.
type rootVolume struct {
	ID          string
	GiB         int32
	Type        types.VolumeType
	DeleteOnEnd bool
	At          time.Time
	// IOPS and Throughput, in MiB/s, are as asked; 0 is what the type does without.
	IOPS, Throughput int32 `json:",omitempty"`
}

func (i *instance) vpc() string { return i.VPC }

// affinity is that of Placement; empty for instances of no Dedicated Host.
func (i *instance) affinity() string {
	if i.Tenancy != string(types.TenancyHost) {
		return ""
	}
	return named(i.Bound != "", "host", "default")[0]
}

// userData is kept apart from the instance, as lists do not need it.
type userData struct {
	ID   string
	Data []byte
}

var userDatas = store.NewTable(store.Spec[userData]{
	Service: "ec2", Name: "instance-user-data", ID: func(u *userData) store.ID { return store.ID{u.ID} },
})

// home says whose an instance is, for those who know only its id: the engine's events, the metadata service, people.
type home struct{ ID, Account, Region string }

var homes = store.NewTable(store.Spec[home]{
	Service: "ec2", Name: "instance-homes", ID: func(h *home) store.ID { return store.ID{h.ID} },
})

// item names a resource for the reconcile loop.
func (t tx) item(kind, id string) reconcile.Item {
	return reconcile.Item{Kind: kind, Account: t.scope.Account, Region: t.scope.Region, ID: id}
}

// The kinds of work of the reconcile loop.
const (
	instanceKind = "ec2.instance"
	imageKind    = "ec2.image"
	layersKind   = "ec2.image-layers"
)

func instanceBase(i *instance) *resource { return &i.resource }

var instances = &kind[instance]{
	prefix: "i-", typ: types.ResourceTypeInstance, base: instanceBase,
	notFound: errInstanceNotFound, malformed: errInstanceMalformed,
	table: tableOf("instances", instanceBase, map[string]func(*instance) []string{
		"reservation": func(i *instance) []string { return one(i.Reservation) },
		"vpc":         func(i *instance) []string { return one(i.VPC) },
		"group":       func(i *instance) []string { return one(i.PlacementGroup) },
		"association": func(i *instance) []string {
			if i.Profile == nil {
				return nil
			}
			return one(i.Profile.Association)
		},
		"private":  func(i *instance) []string { return one(i.PrivateIP) },
		"host":     func(i *instance) []string { return one(i.Host) },
		"capacity": func(i *instance) []string { return one(i.Capacity) },
	}),
	narrow:  map[string]string{"reservation-id": "reservation", "vpc-id": "vpc"},
	pages:   pageBounds{5, 1000},
	filters: instanceFilters,
}

// named answers AWS's values of switches.
func named(value bool, yes, no string) []string {
	if value {
		return []string{yes}
	}
	return []string{no}
}

// profileName is the last part of an instance profile's ARN.
func profileName(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

var instanceFilters = filters[instance]{
	"affinity":             func(_ tx, i *instance) []string { return one(i.affinity()) },
	"architecture":         func(_ tx, i *instance) []string { return one(i.Architecture) },
	"availability-zone":    func(_ tx, i *instance) []string { return one(i.Zone) },
	"availability-zone-id": func(_ tx, i *instance) []string { return one(i.ZoneID) },
	"block-device-mapping.attach-time": func(_ tx, i *instance) []string {
		return one(filterTime(i.RootVolume.At))
	},
	"block-device-mapping.delete-on-termination": func(_ tx, i *instance) []string { return yesNo(i.RootVolume.DeleteOnEnd) },
	"block-device-mapping.device-name":           func(_ tx, i *instance) []string { return one(i.RootDevice) },
	"block-device-mapping.status":                func(tx, *instance) []string { return one("attached") },
	"block-device-mapping.volume-id":             func(_ tx, i *instance) []string { return one(i.RootVolume.ID) },
	"boot-mode":                                  func(tx, *instance) []string { return nil },
	"capacity-reservation-id": func(t tx, i *instance) []string {
		id, err := reservationOf(t, i)
		t.fail(err)
		return one(id)
	},
	"capacity-reservation-specification.capacity-reservation-preference": func(_ tx, i *instance) []string {
		if i.CapacityOptions.Target != "" {
			return nil
		}
		return one(string(cmp.Or(i.CapacityOptions.Preference, types.CapacityReservationPreferenceOpen)))
	},
	"capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id": func(_ tx, i *instance) []string {
		return one(i.CapacityOptions.Target)
	},
	"capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn": func(tx, *instance) []string { return nil },
	"client-token":                   func(_ tx, i *instance) []string { return one(i.Token) },
	"current-instance-boot-mode":     func(tx, *instance) []string { return one("legacy-bios") },
	"dns-name":                       func(t tx, i *instance) []string { return one(instancePublicName(t, i)) },
	"ebs-optimized":                  func(_ tx, i *instance) []string { return yesNo(i.EBSOptimized) },
	"ena-support":                    func(tx, *instance) []string { return yesNo(true) },
	"enclave-options.enabled":        func(tx, *instance) []string { return yesNo(false) },
	"hibernation-options.configured": func(tx, *instance) []string { return yesNo(false) },
	"host-id":                        func(_ tx, i *instance) []string { return one(i.Host) },
	"hypervisor":                     func(tx, *instance) []string { return one("xen") },
	"iam-instance-profile.arn": func(_ tx, i *instance) []string {
		if i.Profile == nil {
			return nil
		}
		return one(i.Profile.ARN)
	},
	"iam-instance-profile.id": func(_ tx, i *instance) []string {
		if i.Profile == nil {
			return nil
		}
		return one(i.Profile.ID)
	},
	"iam-instance-profile.name": func(_ tx, i *instance) []string {
		if i.Profile == nil {
			return nil
		}
		return one(profileName(i.Profile.ARN))
	},
	"image-id":            func(_ tx, i *instance) []string { return one(i.ImageID) },
	"instance-id":         func(_ tx, i *instance) []string { return one(i.ID) },
	"instance-lifecycle":  func(_ tx, i *instance) []string { return one(i.Lifecycle) },
	"instance-state-code": func(_ tx, i *instance) []string { return number(stateCodes[i.State]) },
	"instance-state-name": func(_ tx, i *instance) []string { return one(string(i.State)) },
	"instance-type":       func(_ tx, i *instance) []string { return one(string(i.Type)) },
	"instance.group-id":   func(t tx, i *instance) []string { return interfaceValues(t, i, interfaces.filters["group-id"]) },
	"instance.group-name": func(t tx, i *instance) []string { return interfaceValues(t, i, interfaces.filters["group-name"]) },
	"group-id":            func(t tx, i *instance) []string { return interfaceValues(t, i, interfaces.filters["group-id"]) },
	"group-name":          func(t tx, i *instance) []string { return interfaceValues(t, i, interfaces.filters["group-name"]) },
	"ip-address":          func(t tx, i *instance) []string { return one(instancePublicAddress(t, i)) },
	"ipv6-address": func(t tx, i *instance) []string {
		return interfaceValues(t, i, interfaces.filters["ipv6-addresses.ipv6-address"])
	},
	"kernel-id":    func(tx, *instance) []string { return nil },
	"key-name":     func(_ tx, i *instance) []string { return one(i.KeyName) },
	"launch-index": func(_ tx, i *instance) []string { return number(i.Index) },
	"launch-time":  func(_ tx, i *instance) []string { return one(filterTime(i.Launched)) },
	"maintenance-options.auto-recovery": func(_ tx, i *instance) []string {
		return named(i.NoAutoRecovery, "disabled", "default")
	},
	"metadata-options.http-endpoint":                  func(_ tx, i *instance) []string { return one(i.Metadata.Endpoint) },
	"metadata-options.http-protocol-ipv4":             func(tx, *instance) []string { return one("enabled") },
	"metadata-options.http-protocol-ipv6":             func(_ tx, i *instance) []string { return one(i.Metadata.IPv6) },
	"metadata-options.http-put-response-hop-limit":    func(_ tx, i *instance) []string { return number(i.Metadata.HopLimit) },
	"metadata-options.http-tokens":                    func(_ tx, i *instance) []string { return one(i.Metadata.Tokens) },
	"metadata-options.instance-metadata-tags":         func(_ tx, i *instance) []string { return one(i.Metadata.Tags) },
	"metadata-options.state":                          func(tx, *instance) []string { return one("applied") },
	"monitoring-state":                                func(_ tx, i *instance) []string { return named(i.Monitoring, "enabled", "disabled") },
	"network-performance-options.bandwidth-weighting": func(tx, *instance) []string { return one("default") },
	"operator.managed":                                func(tx, *instance) []string { return yesNo(false) },
	"operator.principal":                              func(tx, *instance) []string { return nil },
	"outpost-arn":                                     func(tx, *instance) []string { return nil },
	"owner-id":                                        func(t tx, _ *instance) []string { return one(t.scope.Account) },
	"placement-group-name": func(t tx, i *instance) []string {
		group, err := placementGroups.see(t, i.PlacementGroup)
		if t.fail(err); group == nil {
			return nil
		}
		return one(group.Name)
	},
	"placement-partition-number": func(_ tx, i *instance) []string {
		if i.Partition == 0 {
			return nil
		}
		return number(i.Partition)
	},
	"platform":         func(tx, *instance) []string { return nil },
	"platform-details": func(tx, *instance) []string { return one("Linux/UNIX") },
	"private-dns-name": func(t tx, i *instance) []string { return one(instancePrivateName(t, i)) },
	"private-dns-name-options.enable-resource-name-dns-a-record":    func(_ tx, i *instance) []string { return yesNo(i.Names.A) },
	"private-dns-name-options.enable-resource-name-dns-aaaa-record": func(_ tx, i *instance) []string { return yesNo(i.Names.AAAA) },
	"private-dns-name-options.hostname-type": func(_ tx, i *instance) []string {
		return one(string(cmp.Or(i.Names.Type, types.HostnameTypeIpName)))
	},
	// AWS: "DescribeInstances": the primary one alone.
	"private-ip-address": func(_ tx, i *instance) []string { return one(i.PrivateIP) },
	"product-code":       func(tx, *instance) []string { return nil },
	"product-code.type":  func(tx, *instance) []string { return nil },
	"ramdisk-id":         func(tx, *instance) []string { return nil },
	"reason":             func(_ tx, i *instance) []string { return one(i.Transition) },
	"requester-id":       func(tx, *instance) []string { return nil },
	"reservation-id":     func(_ tx, i *instance) []string { return one(i.Reservation) },
	"root-device-name":   func(_ tx, i *instance) []string { return one(i.RootDevice) },
	"root-device-type":   func(tx, *instance) []string { return one("ebs") },
	"source-dest-check": func(t tx, i *instance) []string {
		return interfaceValues(t, i, interfaces.filters["source-dest-check"])
	},
	"spot-instance-request-id":    func(_ tx, i *instance) []string { return one(i.SpotRequest) },
	"state-reason-code":           func(_ tx, i *instance) []string { return one(i.ReasonCode) },
	"state-reason-message":        func(_ tx, i *instance) []string { return one(i.Reason) },
	"subnet-id":                   func(_ tx, i *instance) []string { return one(i.Subnet) },
	"tenancy":                     func(_ tx, i *instance) []string { return one(i.Tenancy) },
	"tpm-support":                 func(tx, *instance) []string { return nil },
	"usage-operation":             func(tx, *instance) []string { return one("RunInstances") },
	"usage-operation-update-time": func(_ tx, i *instance) []string { return one(filterTime(i.RootVolume.At)) },
	"virtualization-type":         func(tx, *instance) []string { return one("hvm") },
	"vpc-id":                      func(_ tx, i *instance) []string { return one(i.VPC) },
}

func init() {
	instances.reach = reachInstances
	// AWS: "DescribeInstances", Filters: network-interface.* are those of DescribeNetworkInterfaces, and some more.
	for name, values := range interfaces.filters {
		instanceFilters["network-interface."+name] = func(t tx, i *instance) []string { return interfaceValues(t, i, values) }
	}
	for name, values := range moreInterfaceFilters {
		instanceFilters["network-interface."+name] = func(t tx, i *instance) []string { return interfaceValues(t, i, values) }
	}
}

// moreInterfaceFilters are those of an instance's interfaces that interfaces themselves do not have.
var moreInterfaceFilters = filters[networkInterface]{
	"addresses.association.allocation-id":     addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Allocation }),
	"addresses.association.association-id":    addressesWith(func(_ tx, e *networkInterface, i int) string { return e.Addresses[i].Association }),
	"addresses.association.carrier-ip":        func(tx, *networkInterface) []string { return nil },
	"addresses.association.customer-owned-ip": func(tx, *networkInterface) []string { return nil },
	"addresses.association.ip-owner-id":       addressesWith(func(t tx, e *networkInterface, i int) string { return e.Addresses[i].owner(t) }),
	"addresses.association.public-dns-name":   addressesWith(func(t tx, e *networkInterface, i int) string { return publicName(t, e.VPC, e.Addresses[i].Public) }),
	"addresses.private-dns-name":              addressesWith(func(t tx, e *networkInterface, i int) string { return privateName(t, e.Addresses[i].Private) }),
	"association.carrier-ip":                  func(tx, *networkInterface) []string { return nil },
	"association.customer-owned-ip":           func(tx, *networkInterface) []string { return nil },
	"attachment.network-card-index":           attachedWith(func(*attachment) string { return "0" }),
	"deny-all-igw-traffic":                    func(tx, *networkInterface) []string { return yesNo(false) },
	"ipv4-prefixes.ipv4-prefix":               func(_ tx, e *networkInterface) []string { return e.Prefixes },
	"ipv6-address":                            func(_ tx, e *networkInterface) []string { return e.IPv6 },
	"ipv6-addresses.is-primary-ipv6": func(_ tx, e *networkInterface) []string {
		if len(e.IPv6) == 0 {
			return nil
		}
		if e.PrimaryIPv6 && len(e.IPv6) == 1 {
			return yesNo(true)
		}
		return append(yesNo(false), yesNo(e.PrimaryIPv6)...)
	},
	"ipv6-native":               func(tx, *networkInterface) []string { return yesNo(false) },
	"ipv6-prefixes.ipv6-prefix": func(_ tx, e *networkInterface) []string { return e.IPv6Prefixes },
	"operator.managed":          func(tx, *networkInterface) []string { return yesNo(false) },
	"operator.principal":        func(tx, *networkInterface) []string { return nil },
	"outpost-arn":               func(tx, *networkInterface) []string { return nil },
	"public-dns-name": func(t tx, e *networkInterface) []string {
		if e.Addresses[0].Public == "" {
			return nil
		}
		return one(publicName(t, e.VPC, e.Addresses[0].Public))
	},
	"tag-key":   func(_ tx, e *networkInterface) []string { return slices.Collect(maps.Keys(e.Tags)) },
	"tag-value": func(_ tx, e *networkInterface) []string { return slices.Collect(maps.Values(e.Tags)) },
}

// reachInstances finds instances by their ids, and by what their interfaces have.
func reachInstances(t tx, filter string, values []string) (found []*instance, ok bool, err error) {
	index := map[string]string{
		"private-ip-address": "private", "ip-address": "public", "subnet-id": "subnet", "group-id": "group", "instance.group-id": "group",
	}[filter]
	if name, ofInterface := strings.CutPrefix(filter, "network-interface."); ofInterface {
		index = interfaces.narrow[name]
	}
	if index == "" && filter != "instance-id" {
		return nil, false, nil
	}
	ids := map[string]bool{}
	for _, value := range values {
		if value == "" {
			continue
		}
		if index == "" {
			ids[value] = true
			continue
		}
		list, err := shared(interfaces.in(t).Index(index).Shared(store.Query{Parts: []string{value}}))
		if err != nil {
			return nil, false, err
		}
		for _, e := range list {
			if e.Attachment != nil && e.Attachment.Instance != "" {
				ids[e.Attachment.Instance] = true
			}
		}
		if filter != "private-ip-address" {
			continue
		}
		// Where no node agent wires interfaces an instance's address is the engine's, and no interface has it.
		own, err := shared(instances.in(t).Index("private").Shared(store.Query{Parts: []string{value}}))
		if err != nil {
			return nil, false, err
		}
		for _, i := range own {
			ids[i.ID] = true
		}
	}
	for id := range ids {
		switch i, err := instances.in(t).GetShared(id); {
		case err == nil:
			found = append(found, i)
		case errors.Is(err, store.ErrNotFound): // no such instance: nothing is selected
		default:
			return nil, false, err
		}
	}
	return found, true, nil
}

// filterTime is how filters name a time.
func filterTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return imageTime(at)
}

// hostName is an instance's own, by its address. AWS: "Amazon EC2 instance hostname types".
func hostName(address string) string { return "ip-" + strings.ReplaceAll(address, ".", "-") }

// clampTag shows that the engine has less than the type promises.
const clampTag = "aws:mini-aws:clamp"

// shownInstanceTags are an instance's tags as users see them.
func (s *Service) shownInstanceTags(t tx, i *instance) []types.Tag {
	t.simulated = s.config.EngineSimulated
	list := tagsToAPI(t, i.Tags)
	if i.Clamped != "" {
		key, value := clampTag, i.Clamped
		list = append(list, types.Tag{Key: &key, Value: &value})
		slices.SortFunc(list, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	}
	return list
}

// moved tells how an instance changed its state, as the operations on states answer it.
func moved(i *instance, before instanceState) types.InstanceStateChange {
	id := i.ID
	return types.InstanceStateChange{InstanceId: &id, CurrentState: stateToAPI(i.State), PreviousState: stateToAPI(before)}
}

func stateToAPI(state instanceState) *types.InstanceState {
	code := stateCodes[state]
	return &types.InstanceState{Code: &code, Name: types.InstanceStateName(state)}
}

// userInitiated is the transition reason of what a user asked for.
func userInitiated(at time.Time) string {
	return "User initiated (" + at.UTC().Format("2006-01-02 15:04:05") + " GMT)"
}

// positions is the order of instances: that of their reservation, then of their launch index.
func positions(a, b *instance) int {
	switch c := strings.Compare(a.Reservation, b.Reservation); {
	case c != 0:
		return c
	case a.Index != b.Index:
		return int(a.Index - b.Index)
	default:
		return strings.Compare(a.ID, b.ID)
	}
}
