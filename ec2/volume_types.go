package ec2

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// volumeType is what a type of volume may be asked for, and what it does without asking.
// AWS: "EbsBlockDevice"; "Amazon EBS volume types" for the ratios.
type volumeType struct {
	minGiB, maxGiB int32
	// Operations a second: those without asking, what may be asked for, and at most how many for each GiB; maxIOPS 0 takes none.
	iops, minIOPS, maxIOPS, iopsPerGiB int32
	// Throughput in MiB/s; maxThroughput 0 takes none.
	throughput, minThroughput, maxThroughput int32
}

var volumeTypes = map[types.VolumeType]volumeType{
	types.VolumeTypeGp3:      {minGiB: 1, maxGiB: 65536, iops: 3000, minIOPS: 3000, maxIOPS: 80000, iopsPerGiB: 500, throughput: 125, minThroughput: 125, maxThroughput: 2000},
	types.VolumeTypeGp2:      {minGiB: 1, maxGiB: 16384, iops: 100},
	types.VolumeTypeIo1:      {minGiB: 4, maxGiB: 16384, iops: 100, minIOPS: 100, maxIOPS: 64000, iopsPerGiB: 50},
	types.VolumeTypeIo2:      {minGiB: 4, maxGiB: 65536, iops: 100, minIOPS: 100, maxIOPS: 256000, iopsPerGiB: 1000},
	types.VolumeTypeStandard: {minGiB: 1, maxGiB: 1024},
}

// provisioned tells whether whoever asks for such a volume has to say how many operations a second.
func (v volumeType) provisioned() bool { return v.maxIOPS > 0 && v.throughput == 0 }

// performance answers the operations a second and MiB/s of a volume, with what was asked for, or 0; 0 where the type does not say.
func performance(typ types.VolumeType, gib, askedIOPS, askedThroughput int32) (iops, throughput int32) {
	does := volumeTypes[typ]
	iops, throughput = max(does.iops, askedIOPS), max(does.throughput, askedThroughput)
	if typ == types.VolumeTypeGp2 {
		const perGiB, most = 3, 16000
		iops = min(max(iops, perGiB*gib), most)
	}
	return iops, throughput
}

// check refuses what the type of the volume cannot do.
func (r rootVolume) check() error {
	may, bootable := volumeTypes[r.Type]
	switch {
	case !bootable:
		// AWS: "Amazon EBS volume types": st1 and sc1 cannot be boot volumes. The words are ours.
		return errInvalidParameterCombination("A volume of type %s cannot be a root volume.", r.Type)
	case r.GiB < may.minGiB:
		return errInvalidParameterValue("Volume of %dGiB is too small; minimum is %dGiB.", r.GiB, may.minGiB)
	case r.GiB > may.maxGiB:
		return errInvalidParameterValue("Volume of %dGiB is too large for volume type %s; maximum is %dGiB.", r.GiB, r.Type, may.maxGiB)
	case r.IOPS != 0 && may.maxIOPS == 0:
		return errInvalidParameterCombination("The parameter iops is not supported for %s volumes.", r.Type)
	case r.IOPS == 0 && may.provisioned():
		return errInvalidParameterCombination("The parameter iops must be specified for %s volumes.", r.Type)
	case r.Throughput != 0 && may.maxThroughput == 0:
		return errInvalidParameterCombination("throughput can only be specified for volumeType gp3.")
	case r.IOPS == 0:
	case r.IOPS < may.minIOPS:
		return errInvalidParameterValue("Volume iops of %d is too low; minimum is %d.", r.IOPS, may.minIOPS)
	case r.IOPS > may.maxIOPS:
		return errInvalidParameterValue("Volume iops of %d is too high; maximum is %d.", r.IOPS, may.maxIOPS)
	case r.IOPS > max(may.iops, r.GiB*may.iopsPerGiB):
		return errInvalidParameterValue("Iops to volume size ratio of %f is too high; maximum is %d", float64(r.IOPS)/float64(r.GiB), may.iopsPerGiB)
	}
	const perOperation = 0.25 // MiB/s
	iops, _ := performance(r.Type, r.GiB, r.IOPS, 0)
	switch ratio := float64(r.Throughput) / float64(max(iops, 1)); {
	case r.Throughput == 0:
	case r.Throughput < may.minThroughput:
		return errInvalidParameterValue("Volume throughput of %d is too low; minimum is %d.", r.Throughput, may.minThroughput)
	case r.Throughput > may.maxThroughput:
		return errInvalidParameterValue("Volume throughput of %d is too high; maximum is %d.", r.Throughput, may.maxThroughput)
	case ratio > perOperation:
		return errInvalidParameterValue("Throughput (MiBps) to iops ratio of %f is too high; maximum is %f MiBps per iops.", ratio, perOperation)
	}
	return nil
}

// rootVolumeOf answers the root volume that a launch asks for. Others come with EBS.
func rootVolumeOf(im *image, mappings []types.BlockDeviceMapping) (rootVolume, error) {
	root := rootVolume{GiB: im.VolumeGiB, Type: types.VolumeTypeGp3, DeleteOnEnd: true}
	for _, m := range mappings {
		if m.VirtualName != nil || m.NoDevice != nil {
			continue // instance store volumes and devices that the image does not have: as in AWS nothing happens
		}
		if aws.ToString(m.DeviceName) != im.RootDevice {
			return root, errNotImplemented("A volume other than the root volume")
		}
		e := m.Ebs
		if e == nil {
			continue
		}
		if e.DeleteOnTermination != nil && !*e.DeleteOnTermination {
			return root, errNotImplemented("A root volume that outlives its instance")
		}
		if err := unsupported("EbsBlockDevice", "Encrypted", e.Encrypted, "KmsKeyId", e.KmsKeyId, "SnapshotId", e.SnapshotId, "OutpostArn", e.OutpostArn,
			"VolumeInitializationRate", e.VolumeInitializationRate); err != nil {
			return root, err
		}
		if e.VolumeSize != nil {
			if *e.VolumeSize < im.VolumeGiB {
				return root, errBlockDevice("Volume of size %dGB is smaller than snapshot, expect size >= %dGB", *e.VolumeSize, im.VolumeGiB)
			}
			root.GiB = *e.VolumeSize
		}
		if e.VolumeType != "" {
			if !slices.Contains(e.VolumeType.Values(), e.VolumeType) {
				return root, errInvalidParameterValue("Value (%s) for parameter volumeType is invalid.", e.VolumeType)
			}
			root.Type = e.VolumeType
		}
		root.IOPS, root.Throughput = aws.ToInt32(e.Iops), aws.ToInt32(e.Throughput)
	}
	return root, root.check()
}
