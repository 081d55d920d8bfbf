package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// GetInstanceTypesFromInstanceRequirements lists the types that have what is required. There are no prices here, so the
// protection against expensive types leaves none out.
// AWS: "Attribute-based instance type selection for EC2 Fleet".
func (s *Service) GetInstanceTypesFromInstanceRequirements(ctx context.Context, in *ec2.GetInstanceTypesFromInstanceRequirementsInput) (*ec2.GetInstanceTypesFromInstanceRequirementsOutput, error) {
	for _, a := range in.ArchitectureTypes {
		if !slices.Contains(a.Values(), a) {
			return nil, errInvalidParameterValue("Value (%s) for parameter architectureType is invalid.", a)
		}
	}
	for _, v := range in.VirtualizationTypes {
		if !slices.Contains(v.Values(), v) {
			return nil, errInvalidParameterValue("Value (%s) for parameter virtualizationType is invalid.", v)
		}
	}
	if err := checkRequirements(in.InstanceRequirements); err != nil {
		return nil, err
	}
	names := typesFor(scopeOf(ctx).Region, in.InstanceRequirements, func(i *typeInfo) bool {
		return overlaps(in.ArchitectureTypes, i.ProcessorInfo.SupportedArchitectures) && overlaps(in.VirtualizationTypes, i.SupportedVirtualizationTypes)
	})
	page, next, err := cut(names, func(name string) string { return name }, "requirements", pageBounds{1, 1000}, query{max: in.MaxResults, token: in.NextToken})
	out := &ec2.GetInstanceTypesFromInstanceRequirementsOutput{NextToken: next, InstanceTypes: []types.InstanceTypeInfoFromInstanceRequirements{}}
	for _, name := range page {
		out.InstanceTypes = append(out.InstanceTypes, types.InstanceTypeInfoFromInstanceRequirements{InstanceType: aws.String(name)})
	}
	return out, err
}

// overlaps tells whether two lists have something in common.
func overlaps[E comparable](a, b []E) bool {
	return slices.ContainsFunc(a, func(e E) bool { return slices.Contains(b, e) })
}

func checkRequirements(r *types.InstanceRequirementsRequest) error {
	switch {
	case r.VCpuCount == nil || r.VCpuCount.Min == nil:
		return errMissingParameter("InstanceRequirements.VCpuCount.Min")
	case r.MemoryMiB == nil || r.MemoryMiB.Min == nil:
		return errMissingParameter("InstanceRequirements.MemoryMiB.Min")
	case len(r.AllowedInstanceTypes) > 0 && len(r.ExcludedInstanceTypes) > 0:
		return errInvalidParameterCombination("AllowedInstanceTypes and ExcludedInstanceTypes may not be specified together.")
	case r.VCpuCount.Max != nil && *r.VCpuCount.Max < *r.VCpuCount.Min:
		return errInvalidParameterValue("VCpuCount.Max must be greater than or equal to VCpuCount.Min.")
	case r.MemoryMiB.Max != nil && *r.MemoryMiB.Max < *r.MemoryMiB.Min:
		return errInvalidParameterValue("MemoryMiB.Max must be greater than or equal to MemoryMiB.Min.")
	}
	if r.BaselinePerformanceFactors != nil {
		return errNotImplemented("BaselinePerformanceFactors of InstanceRequirements")
	}
	return nil
}

// typesFor answers the types of a region that have what is required and that also passes, in the order of their names.
func typesFor(region string, r *types.InstanceRequirementsRequest, also func(*typeInfo) bool) []string {
	catalog := instanceTypes()
	everything := !catalog.knows(region)
	var names []string
	for i, name := range catalog.names {
		if !everything && !catalog.offered(i, region) {
			continue
		}
		if info, _ := catalog.findCached(name); also(info) && has(info, r) {
			names = append(names, name)
		}
	}
	return names
}

// within tells whether a value is in a range, of which either end may be open.
func within[N int32 | int64 | float64](value N, least, most *N) bool {
	return (least == nil || value >= *least) && (most == nil || value <= *most)
}

// wanted tells whether a property passes "included", "required" or "excluded"; the default is given.
func wanted[E ~string](choice E, byDefault string, property bool) bool {
	switch string(choice) {
	case "included":
		return true
	case "required":
		return property
	case "excluded":
		return !property
	}
	return byDefault == "included" || property == (byDefault == "required")
}

// has tells whether a type has what is required.
func has(i *typeInfo, r *types.InstanceRequirementsRequest) bool {
	cpus, memory := aws.ToInt32(i.VCpuInfo.DefaultVCpus), aws.ToInt64(i.MemoryInfo.SizeInMiB)
	if !within(cpus, r.VCpuCount.Min, r.VCpuCount.Max) || !within(int32(memory), r.MemoryMiB.Min, r.MemoryMiB.Max) {
		return false
	}
	if m := r.MemoryGiBPerVCpu; m != nil && (cpus == 0 || !within(float64(memory)/1024/float64(cpus), m.Min, m.Max)) {
		return false
	}
	name := string(i.InstanceType)
	named := func(pattern string) bool { return compilePattern(pattern).matches(name) }
	switch {
	case slices.ContainsFunc(r.ExcludedInstanceTypes, named), len(r.AllowedInstanceTypes) > 0 && !slices.ContainsFunc(r.AllowedInstanceTypes, named),
		!wanted(r.BareMetal, "excluded", aws.ToBool(i.BareMetal)), !wanted(r.BurstablePerformance, "excluded", aws.ToBool(i.BurstablePerformanceSupported)),
		aws.ToBool(r.RequireHibernateSupport) && !aws.ToBool(i.HibernationSupported),
		aws.ToBool(r.RequireEncryptionInTransit) && !aws.ToBool(i.NetworkInfo.EncryptionInTransitSupported),
		len(r.CpuManufacturers) > 0 && !slices.Contains(r.CpuManufacturers, manufacturerOf(i)):
		return false
	}
	if len(r.InstanceGenerations) > 0 {
		generation := types.InstanceGenerationPrevious
		if aws.ToBool(i.CurrentGeneration) {
			generation = types.InstanceGenerationCurrent
		}
		if !slices.Contains(r.InstanceGenerations, generation) {
			return false
		}
	}
	if n := r.NetworkInterfaceCount; n != nil && !within(aws.ToInt32(i.NetworkInfo.MaximumNetworkInterfaces), n.Min, n.Max) {
		return false
	}
	if b := r.BaselineEbsBandwidthMbps; b != nil {
		var baseline int32
		if o := i.EbsInfo.EbsOptimizedInfo; o != nil {
			baseline = aws.ToInt32(o.BaselineBandwidthInMbps)
		}
		if !within(baseline, b.Min, b.Max) {
			return false
		}
	}
	if n := r.NetworkBandwidthGbps; n != nil {
		var gbps float64
		for _, card := range i.NetworkInfo.NetworkCards {
			gbps += aws.ToFloat64(card.PeakBandwidthInGbps)
		}
		if !within(gbps, n.Min, n.Max) {
			return false
		}
	}
	return hasStorage(i, r) && hasAccelerators(i, r)
}

func manufacturerOf(i *typeInfo) types.CpuManufacturer {
	text := strings.ToLower(aws.ToString(i.ProcessorInfo.Manufacturer))
	for _, m := range types.CpuManufacturer("").Values() {
		if text == string(m) || strings.HasPrefix(text, string(m)) || m == types.CpuManufacturerAmazonWebServices && text == "aws" {
			return m
		}
	}
	return ""
}

func hasStorage(i *typeInfo, r *types.InstanceRequirementsRequest) bool {
	storage := i.InstanceStorageInfo
	if !wanted(r.LocalStorage, "included", aws.ToBool(i.InstanceStorageSupported)) {
		return false
	}
	if len(r.LocalStorageTypes) > 0 && storage != nil {
		kinds := []types.LocalStorageType{}
		for _, disk := range storage.Disks {
			kinds = append(kinds, types.LocalStorageType(disk.Type))
		}
		if !overlaps(r.LocalStorageTypes, kinds) {
			return false
		}
	}
	if total := r.TotalLocalStorageGB; total != nil {
		var have float64
		if storage != nil {
			have = float64(aws.ToInt64(storage.TotalSizeInGB))
		}
		return within(have, total.Min, total.Max)
	}
	return true
}

// hasAccelerators compares GPUs, FPGAs and inference chips; a maximum of 0 leaves all types with some out.
func hasAccelerators(i *typeInfo, r *types.InstanceRequirementsRequest) bool {
	var count, memory int32
	var kinds []types.AcceleratorType
	var makers []types.AcceleratorManufacturer
	var names []types.AcceleratorName
	add := func(kind types.AcceleratorType, n *int32, maker, name *string, mib *int32) {
		count += aws.ToInt32(n)
		memory += aws.ToInt32(n) * aws.ToInt32(mib)
		kinds = append(kinds, kind)
		text := strings.ToLower(aws.ToString(maker))
		if text == "aws" || text == "amazon" {
			text = string(types.AcceleratorManufacturerAmazonWebServices)
		}
		makers = append(makers, types.AcceleratorManufacturer(text))
		names = append(names, types.AcceleratorName(strings.ReplaceAll(strings.ToLower(aws.ToString(name)), " ", "-")))
	}
	if g := i.GpuInfo; g != nil {
		for _, d := range g.Gpus {
			var mib *int32
			if d.MemoryInfo != nil {
				mib = d.MemoryInfo.SizeInMiB
			}
			add(types.AcceleratorTypeGpu, d.Count, d.Manufacturer, d.Name, mib)
		}
	}
	if f := i.FpgaInfo; f != nil {
		for _, d := range f.Fpgas {
			var mib *int32
			if d.MemoryInfo != nil {
				mib = d.MemoryInfo.SizeInMiB
			}
			add(types.AcceleratorTypeFpga, d.Count, d.Manufacturer, d.Name, mib)
		}
	}
	if a := i.InferenceAcceleratorInfo; a != nil {
		for _, d := range a.Accelerators {
			add(types.AcceleratorTypeInference, d.Count, d.Manufacturer, d.Name, nil)
		}
	}
	switch {
	case r.AcceleratorCount != nil && !within(count, r.AcceleratorCount.Min, r.AcceleratorCount.Max),
		r.AcceleratorTotalMemoryMiB != nil && !within(memory, r.AcceleratorTotalMemoryMiB.Min, r.AcceleratorTotalMemoryMiB.Max),
		len(r.AcceleratorTypes) > 0 && !overlaps(r.AcceleratorTypes, kinds),
		len(r.AcceleratorManufacturers) > 0 && !overlaps(r.AcceleratorManufacturers, makers),
		len(r.AcceleratorNames) > 0 && !overlaps(r.AcceleratorNames, names):
		return false
	}
	return true
}
