package ec2

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type typeInfo = types.InstanceTypeInfo

// texts turns a list of one of the API's enumerations into strings.
func texts[E ~string](list []E) []string {
	all := make([]string, len(list))
	for i, e := range list {
		all[i] = string(e)
	}
	return all
}

func flagValue(value *bool) []string { return yesNo(aws.ToBool(value)) }

func count32(value *int32) []string {
	if value == nil {
		return nil
	}
	return number(*value)
}

var typeFilters = filters[typeInfo]{
	"auto-recovery-supported":                                 func(_ tx, i *typeInfo) []string { return flagValue(i.AutoRecoverySupported) },
	"bare-metal":                                              func(_ tx, i *typeInfo) []string { return flagValue(i.BareMetal) },
	"burstable-performance-supported":                         func(_ tx, i *typeInfo) []string { return flagValue(i.BurstablePerformanceSupported) },
	"current-generation":                                      func(_ tx, i *typeInfo) []string { return flagValue(i.CurrentGeneration) },
	"dedicated-hosts-supported":                               func(_ tx, i *typeInfo) []string { return flagValue(i.DedicatedHostsSupported) },
	"ebs-info.ebs-optimized-support":                          func(_ tx, i *typeInfo) []string { return one(string(i.EbsInfo.EbsOptimizedSupport)) },
	"ebs-info.encryption-support":                             func(_ tx, i *typeInfo) []string { return one(string(i.EbsInfo.EncryptionSupport)) },
	"ebs-info.nvme-support":                                   func(_ tx, i *typeInfo) []string { return one(string(i.EbsInfo.NvmeSupport)) },
	"ebs-info.attachment-limit-type":                          func(_ tx, i *typeInfo) []string { return one(string(i.EbsInfo.AttachmentLimitType)) },
	"ebs-info.maximum-ebs-attachments":                        func(_ tx, i *typeInfo) []string { return count32(i.EbsInfo.MaximumEbsAttachments) },
	"ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps":  optimizedWith(func(o *types.EbsOptimizedInfo) []string { return count32(o.BaselineBandwidthInMbps) }),
	"ebs-info.ebs-optimized-info.baseline-iops":               optimizedWith(func(o *types.EbsOptimizedInfo) []string { return count32(o.BaselineIops) }),
	"ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": optimizedWith(func(o *types.EbsOptimizedInfo) []string { return decimal(o.BaselineThroughputInMBps) }),
	"ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps":   optimizedWith(func(o *types.EbsOptimizedInfo) []string { return count32(o.MaximumBandwidthInMbps) }),
	"ebs-info.ebs-optimized-info.maximum-iops":                optimizedWith(func(o *types.EbsOptimizedInfo) []string { return count32(o.MaximumIops) }),
	"ebs-info.ebs-optimized-info.maximum-throughput-in-mbps":  optimizedWith(func(o *types.EbsOptimizedInfo) []string { return decimal(o.MaximumThroughputInMBps) }),
	"instance-storage-info.disk.count":                        disksWith(func(d types.DiskInfo) []string { return count32(d.Count) }),
	"instance-storage-info.disk.size-in-gb":                   disksWith(func(d types.DiskInfo) []string { return number(aws.ToInt64(d.SizeInGB)) }),
	"instance-storage-info.disk.type":                         disksWith(func(d types.DiskInfo) []string { return one(string(d.Type)) }),
	"instance-storage-info.encryption-support":                storageWith(func(s *types.InstanceStorageInfo) []string { return one(string(s.EncryptionSupport)) }),
	"instance-storage-info.nvme-support":                      storageWith(func(s *types.InstanceStorageInfo) []string { return one(string(s.NvmeSupport)) }),
	"network-info.bandwidth-weightings":                       func(_ tx, i *typeInfo) []string { return texts(i.NetworkInfo.BandwidthWeightings) },
	"network-info.efa-info.maximum-efa-interfaces": func(_ tx, i *typeInfo) []string {
		if i.NetworkInfo.EfaInfo == nil {
			return nil
		}
		return count32(i.NetworkInfo.EfaInfo.MaximumEfaInterfaces)
	},
	"network-info.flexible-ena-queues-support": func(_ tx, i *typeInfo) []string { return one(string(i.NetworkInfo.FlexibleEnaQueuesSupport)) },
	"nitro-tpm-info.supported-versions": func(_ tx, i *typeInfo) []string {
		if i.NitroTpmInfo == nil {
			return nil
		}
		return i.NitroTpmInfo.SupportedVersions
	},
	"reboot-migration-support":               func(_ tx, i *typeInfo) []string { return one(string(i.RebootMigrationSupport)) },
	"free-tier-eligible":                     func(_ tx, i *typeInfo) []string { return flagValue(i.FreeTierEligible) },
	"hibernation-supported":                  func(_ tx, i *typeInfo) []string { return flagValue(i.HibernationSupported) },
	"hypervisor":                             func(_ tx, i *typeInfo) []string { return one(string(i.Hypervisor)) },
	"instance-storage-supported":             func(_ tx, i *typeInfo) []string { return flagValue(i.InstanceStorageSupported) },
	"instance-storage-info.total-size-in-gb": storageWith(func(s *types.InstanceStorageInfo) []string { return number(aws.ToInt64(s.TotalSizeInGB)) }),
	"instance-type":                          func(_ tx, i *typeInfo) []string { return one(string(i.InstanceType)) },
	"memory-info.size-in-mib":                func(_ tx, i *typeInfo) []string { return number(aws.ToInt64(i.MemoryInfo.SizeInMiB)) },
	"network-info.efa-supported": func(_ tx, i *typeInfo) []string {
		return flagValue(i.NetworkInfo.EfaSupported)
	},
	"network-info.ena-support":                     func(_ tx, i *typeInfo) []string { return one(string(i.NetworkInfo.EnaSupport)) },
	"network-info.encryption-in-transit-supported": func(_ tx, i *typeInfo) []string { return flagValue(i.NetworkInfo.EncryptionInTransitSupported) },
	"network-info.ipv4-addresses-per-interface":    func(_ tx, i *typeInfo) []string { return count32(i.NetworkInfo.Ipv4AddressesPerInterface) },
	"network-info.ipv6-addresses-per-interface":    func(_ tx, i *typeInfo) []string { return count32(i.NetworkInfo.Ipv6AddressesPerInterface) },
	"network-info.ipv6-supported":                  func(_ tx, i *typeInfo) []string { return flagValue(i.NetworkInfo.Ipv6Supported) },
	"network-info.maximum-network-cards":           func(_ tx, i *typeInfo) []string { return count32(i.NetworkInfo.MaximumNetworkCards) },
	"network-info.maximum-network-interfaces":      func(_ tx, i *typeInfo) []string { return count32(i.NetworkInfo.MaximumNetworkInterfaces) },
	"network-info.network-performance":             func(_ tx, i *typeInfo) []string { return one(aws.ToString(i.NetworkInfo.NetworkPerformance)) },
	"nitro-enclaves-support":                       func(_ tx, i *typeInfo) []string { return one(string(i.NitroEnclavesSupport)) },
	"nitro-tpm-support":                            func(_ tx, i *typeInfo) []string { return one(string(i.NitroTpmSupport)) },
	"processor-info.supported-architecture":        func(_ tx, i *typeInfo) []string { return texts(i.ProcessorInfo.SupportedArchitectures) },
	"processor-info.supported-features":            func(_ tx, i *typeInfo) []string { return texts(i.ProcessorInfo.SupportedFeatures) },
	"processor-info.sustained-clock-speed-in-ghz":  func(_ tx, i *typeInfo) []string { return decimal(i.ProcessorInfo.SustainedClockSpeedInGhz) },
	"supported-boot-mode":                          func(_ tx, i *typeInfo) []string { return texts(i.SupportedBootModes) },
	"supported-root-device-type":                   func(_ tx, i *typeInfo) []string { return texts(i.SupportedRootDeviceTypes) },
	"supported-usage-class":                        func(_ tx, i *typeInfo) []string { return texts(i.SupportedUsageClasses) },
	"supported-virtualization-type":                func(_ tx, i *typeInfo) []string { return texts(i.SupportedVirtualizationTypes) },
	"vcpu-info.default-cores":                      func(_ tx, i *typeInfo) []string { return count32(i.VCpuInfo.DefaultCores) },
	"vcpu-info.default-threads-per-core": func(_ tx, i *typeInfo) []string {
		return count32(i.VCpuInfo.DefaultThreadsPerCore)
	},
	"vcpu-info.default-vcpus": func(_ tx, i *typeInfo) []string { return count32(i.VCpuInfo.DefaultVCpus) },
	"vcpu-info.valid-cores": func(_ tx, i *typeInfo) []string {
		var all []string
		for _, n := range i.VCpuInfo.ValidCores {
			all = append(all, number(n)...)
		}
		return all
	},
	"vcpu-info.valid-threads-per-core": func(_ tx, i *typeInfo) []string {
		var all []string
		for _, n := range i.VCpuInfo.ValidThreadsPerCore {
			all = append(all, number(n)...)
		}
		return all
	},
}

// decimal is a filter's value of a number that need not be there.
func decimal(value *float64) []string {
	if value == nil {
		return nil
	}
	return one(strconv.FormatFloat(*value, 'f', -1, 64))
}

// optimizedWith, storageWith and disksWith make filters of what types need not have.
func optimizedWith(values func(*types.EbsOptimizedInfo) []string) func(tx, *typeInfo) []string {
	return func(_ tx, i *typeInfo) []string {
		if i.EbsInfo.EbsOptimizedInfo == nil {
			return nil
		}
		return values(i.EbsInfo.EbsOptimizedInfo)
	}
}

func storageWith(values func(*types.InstanceStorageInfo) []string) func(tx, *typeInfo) []string {
	return func(_ tx, i *typeInfo) []string {
		if i.InstanceStorageInfo == nil {
			return nil
		}
		return values(i.InstanceStorageInfo)
	}
}

func disksWith(values func(types.DiskInfo) []string) func(tx, *typeInfo) []string {
	return storageWith(func(s *types.InstanceStorageInfo) (all []string) {
		for _, d := range s.Disks {
			all = append(all, values(d)...)
		}
		return all
	})
}

// DescribeInstanceTypes lists AWS's types with what AWS says of them. What the engine's machine lacks of a type shows on
// its instances.
// AWS: "DescribeInstanceTypes": 5 to 100 a page.
func (s *Service) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput) (*ec2.DescribeInstanceTypesOutput, error) {
	match, err := typeFilters.compile(func(*typeInfo) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	catalog, region := instanceTypes(), scopeOf(ctx).Region
	everything := !catalog.knows(region)
	found := []types.InstanceTypeInfo{}
	var wrong []string
	for _, name := range in.InstanceTypes {
		if _, ok := catalog.findCached(string(name)); !ok {
			wrong = append(wrong, string(name))
		}
	}
	if len(wrong) > 0 {
		return nil, errInvalidInstanceType(wrong)
	}
	for i, name := range catalog.names {
		if len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, types.InstanceType(name)) {
			continue
		}
		if !everything && !catalog.offered(i, region) && !aws.ToBool(in.IncludeUnsupportedInRegion) {
			continue
		}
		if info := catalog.decode(i); match.matches(tx{}, info) {
			found = append(found, *info)
		}
	}
	q := query{ids: texts(in.InstanceTypes), idsName: "instanceTypes", max: in.MaxResults, token: in.NextToken}
	if in.MaxResults == nil && len(in.InstanceTypes) == 0 {
		q.max = aws.Int32(100)
	}
	page, next, err := cut(found, func(i types.InstanceTypeInfo) string { return string(i.InstanceType) }, "instance-types", pageBounds{5, 100}, q)
	return &ec2.DescribeInstanceTypesOutput{InstanceTypes: page, NextToken: next}, err
}

// offering is a type in a place.
type offering struct {
	resource
	typ, location string
}

var offeringFilters = filters[offering]{
	"instance-type": func(_ tx, o *offering) []string { return one(o.typ) },
	"location":      func(_ tx, o *offering) []string { return one(o.location) },
}

// DescribeInstanceTypeOfferings lists which types are to be had where.
func (s *Service) DescribeInstanceTypeOfferings(ctx context.Context, in *ec2.DescribeInstanceTypeOfferingsInput) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	match, err := offeringFilters.compile(func(*offering) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	region := scopeOf(ctx).Region
	zones, err := zonesOf(region)
	if err != nil {
		return nil, err
	}
	var locations []string
	kind := in.LocationType
	switch kind {
	case "", types.LocationTypeRegion:
		kind, locations = types.LocationTypeRegion, []string{region}
	case types.LocationTypeAvailabilityZone:
		for _, z := range zones {
			locations = append(locations, z.name)
		}
	case types.LocationTypeAvailabilityZoneId:
		for _, z := range zones {
			locations = append(locations, z.id)
		}
	default:
		return nil, errNotImplemented("The location type " + string(kind))
	}
	catalog := instanceTypes()
	var found []offering
	for i, name := range catalog.names {
		for _, location := range locations {
			o := offering{typ: name, location: location}
			if (!catalog.knows(location) || catalog.offered(i, location)) && match.matches(tx{}, &o) {
				found = append(found, o)
			}
		}
	}
	place := func(o offering) string { return o.typ + " " + o.location }
	slices.SortFunc(found, func(a, b offering) int { return strings.Compare(place(a), place(b)) })
	page, next, err := cut(found, place, "offerings", pageBounds{5, 1000}, query{max: in.MaxResults, token: in.NextToken})
	out := &ec2.DescribeInstanceTypeOfferingsOutput{NextToken: next, InstanceTypeOfferings: []types.InstanceTypeOffering{}}
	for _, o := range page {
		out.InstanceTypeOfferings = append(out.InstanceTypeOfferings, types.InstanceTypeOffering{
			InstanceType: types.InstanceType(o.typ), Location: aws.String(o.location), LocationType: kind,
		})
	}
	return out, err
}
