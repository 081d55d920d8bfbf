package ec2

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
)

func TestRootVolumes(t *testing.T) {
	const none = -1
	for _, c := range []struct {
		typ                   types.VolumeType
		gib, iops, throughput int32
		code                  string
		// What the volume does then.
		does, moves int32
	}{
		{"", none, none, none, "", 3000, 125},
		{"gp3", 20, 4000, 250, "", 4000, 250},
		{"gp3", 8, none, 750, "", 3000, 750},
		{"gp3", 8, 4000, none, "", 4000, 125},
		{"gp3", 8, 4001, none, "InvalidParameterValue", 0, 0}, // 500 for each GiB
		{"gp3", 160, 80000, 2000, "", 80000, 2000},
		{"gp3", 1000, 80001, none, "InvalidParameterValue", 0, 0},
		{"gp3", 20, 2999, none, "InvalidParameterValue", 0, 0},
		{"gp3", 20, none, 124, "InvalidParameterValue", 0, 0},
		{"gp3", 20, none, 751, "InvalidParameterValue", 0, 0}, // a quarter MiB/s for each operation
		{"gp3", 20, 10000, 2001, "InvalidParameterValue", 0, 0},
		{"gp3", 65537, none, none, "InvalidParameterValue", 0, 0},
		{"gp2", 20, none, none, "", 100, 0},
		{"gp2", 16384, none, none, "", 16000, 0},
		{"gp2", 16385, none, none, "InvalidParameterValue", 0, 0},
		{"gp2", 20, 3000, none, "InvalidParameterCombination", 0, 0},
		{"gp2", 20, none, 125, "InvalidParameterCombination", 0, 0},
		{"io1", 20, 1000, none, "", 1000, 0},
		{"io1", 20, 1001, none, "InvalidParameterValue", 0, 0},
		{"io1", 20, none, none, "InvalidParameterCombination", 0, 0},
		{"io2", 20, 20000, none, "", 20000, 0},
		{"io2", 20, 99, none, "InvalidParameterValue", 0, 0},
		{"io2", 20, 1000, 125, "InvalidParameterCombination", 0, 0},
		{"standard", 1024, none, none, "", 0, 0},
		{"standard", 1025, none, none, "InvalidParameterValue", 0, 0},
		{"st1", 500, none, none, "InvalidParameterCombination", 0, 0},
		{"gp9", 20, none, none, "InvalidParameterValue", 0, 0},
		{"gp3", 7, none, none, "InvalidBlockDeviceMapping", 0, 0},
	} {
		given := func(n int32) *int32 {
			if n == none {
				return nil
			}
			return aws.Int32(n)
		}
		root, err := rootVolumeOf(&image{RootDevice: "/dev/xvda", VolumeGiB: 8}, []types.BlockDeviceMapping{{
			DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{VolumeType: c.typ, VolumeSize: given(c.gib), Iops: given(c.iops), Throughput: given(c.throughput)},
		}})
		var refused *awsapi.Error
		if errors.As(err, &refused); c.code != "" || err != nil {
			if refused == nil || refused.Code != c.code {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if does, moves := performance(root.Type, root.GiB, root.IOPS, root.Throughput); does != c.does || moves != c.moves {
			t.Errorf("%+v: %d operations, %d MiB/s", c, does, moves)
		}
	}
}
