package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// volume is the record of an instance's root volume: its bytes are the container's own layer. Volumes of their own come
// with EBS.
type volume struct {
	resource
	GiB              int32
	Type             types.VolumeType
	Zone, ZoneID     string
	Created          time.Time
	Instance, Device string
	DeleteOnEnd      bool
	// IOPS and Throughput, in MiB/s, are as asked; 0 is what the type does without.
	IOPS, Throughput int32 `json:",omitempty"`
}

func volumeBase(v *volume) *resource { return &v.resource }

var volumes = &kind[volume]{
	prefix: "vol-", typ: types.ResourceTypeVolume, base: volumeBase, notFound: errVolumeNotFound, malformed: errVolumeMalformed,
	table: tableOf("volumes", volumeBase, map[string]func(*volume) []string{
		"instance": func(v *volume) []string { return one(v.Instance) },
	}),
	narrow: map[string]string{"attachment.instance-id": "instance"},
	pages:  pageBounds{5, 1000},
	filters: filters[volume]{
		"attachment.attach-time":           func(_ tx, v *volume) []string { return one(filterTime(v.Created)) },
		"attachment.delete-on-termination": func(_ tx, v *volume) []string { return yesNo(v.DeleteOnEnd) },
		"attachment.device":                func(_ tx, v *volume) []string { return one(v.Device) },
		"attachment.instance-id":           func(_ tx, v *volume) []string { return one(v.Instance) },
		"attachment.status":                func(tx, *volume) []string { return one("attached") },
		"availability-zone":                func(_ tx, v *volume) []string { return one(v.Zone) },
		"availability-zone-id":             func(_ tx, v *volume) []string { return one(v.ZoneID) },
		"create-time":                      func(_ tx, v *volume) []string { return one(filterTime(v.Created)) },
		"encrypted":                        func(tx, *volume) []string { return yesNo(false) },
		"fast-restored":                    func(tx, *volume) []string { return yesNo(false) },
		"multi-attach-enabled":             func(tx, *volume) []string { return yesNo(false) },
		"operator.managed":                 func(tx, *volume) []string { return yesNo(false) },
		"operator.principal":               func(tx, *volume) []string { return nil },
		"size":                             func(_ tx, v *volume) []string { return number(v.GiB) },
		"snapshot-id":                      func(tx, *volume) []string { return nil },
		"status":                           func(tx, *volume) []string { return one("in-use") },
		"volume-id":                        func(_ tx, v *volume) []string { return one(v.ID) },
		"volume-type":                      func(_ tx, v *volume) []string { return one(string(v.Type)) },
	},
}

func (v *volume) vpc() string { return "" }

// insertRootVolume writes the record of an instance's root volume.
func insertRootVolume(t tx, i *instance, tags map[string]string) error {
	return volumes.insert(t, &volume{
		resource: resource{ID: i.RootVolume.ID, Tags: tags}, GiB: i.RootVolume.GiB, Type: i.RootVolume.Type, Zone: i.Zone, ZoneID: i.ZoneID,
		Created: i.RootVolume.At, Instance: i.ID, Device: i.RootDevice, DeleteOnEnd: i.RootVolume.DeleteOnEnd,
		IOPS: i.RootVolume.IOPS, Throughput: i.RootVolume.Throughput,
	})
}

func removeRootVolume(t tx, i *instance) error { return volumes.delete(t, i.RootVolume.ID) }

// DescribeVolumes lists the root volumes of instances.
func (s *Service) DescribeVolumes(ctx context.Context, in *ec2.DescribeVolumesInput) (*ec2.DescribeVolumesOutput, error) {
	list, next, err := describe(ctx, s, volumes, query{in.VolumeIds, "volumeIds", in.Filters, in.MaxResults, in.NextToken}, func(_ tx, v *volume) (types.Volume, error) {
		out := types.Volume{
			VolumeId: aws.String(v.ID), Size: aws.Int32(v.GiB), VolumeType: v.Type, AvailabilityZone: aws.String(v.Zone), AvailabilityZoneId: aws.String(v.ZoneID),
			CreateTime: aws.Time(v.Created), State: types.VolumeStateInUse, Encrypted: aws.Bool(false), MultiAttachEnabled: aws.Bool(false),
			SnapshotId: aws.String(""), Tags: tagsToAPI(s.onEngine(), v.Tags), Operator: &types.OperatorResponse{Managed: aws.Bool(false)},
			Attachments: []types.VolumeAttachment{{
				VolumeId: aws.String(v.ID), InstanceId: aws.String(v.Instance), Device: aws.String(v.Device), State: types.VolumeAttachmentStateAttached,
				AttachTime: aws.Time(v.Created), DeleteOnTermination: aws.Bool(v.DeleteOnEnd),
			}},
		}
		if iops, throughput := performance(v.Type, v.GiB, v.IOPS, v.Throughput); iops > 0 {
			out.Iops = aws.Int32(iops)
			if throughput > 0 {
				out.Throughput = aws.Int32(throughput)
			}
		}
		return out, nil
	})
	return &ec2.DescribeVolumesOutput{Volumes: list, NextToken: next}, err
}
