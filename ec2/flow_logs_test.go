package ec2

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend"
	"miniaws/backend/sim"
)

// talking is a network of which somebody says what passed.
type talking struct {
	*sim.Network
	records []backend.FlowRecord
}

func (n *talking) Flows(context.Context) ([]backend.FlowRecord, error) {
	all := n.records
	n.records = nil
	return all, nil
}

// keeping keeps what is delivered.
type keeping struct {
	objects []FlowLogObject
	refuse  error
}

func (k *keeping) PrepareFlowLogs(context.Context, string, string) error { return k.refuse }

func (k *keeping) PutFlowLog(_ context.Context, o FlowLogObject) error {
	if k.refuse == nil {
		k.objects = append(k.objects, o)
	}
	return k.refuse
}

func (k *keeping) last(t *testing.T) (key string, lines []string) {
	t.Helper()
	if len(k.objects) == 0 {
		t.Fatal("nothing was delivered")
	}
	o := k.objects[len(k.objects)-1]
	zipped, err := gzip.NewReader(bytes.NewReader(o.Body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zipped)
	if err != nil {
		t.Fatal(err)
	}
	return o.Key, strings.Split(strings.TrimSpace(string(text)), "\n")
}

func TestFlowLogDelivery(t *testing.T) {
	s, client, network := newCloud(t)
	loud, buckets := &talking{Network: network}, &keeping{}
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s.config.Network, s.config.FlowLogBuckets, s.config.Simulated, s.config.Now = loud, buckets, false, func() time.Time { return now }
	ctx := t.Context()
	listed := must[*ec2.DescribeSubnetsOutput](t)(client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}))
	subnet := listed.Subnets[0]
	made := must[*ec2.CreateNetworkInterfaceOutput](t)(client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet.SubnetId}))
	eni := *made.NetworkInterface.NetworkInterfaceId

	create := func(resource string, kind types.FlowLogsResourceType, traffic types.TrafficType, format string) string {
		t.Helper()
		in := &ec2.CreateFlowLogsInput{
			ResourceIds: []string{resource}, ResourceType: kind, TrafficType: traffic, LogDestinationType: types.LogDestinationTypeS3,
			LogDestination: aws.String("arn:aws:s3:::logs/of/mine/"), MaxAggregationInterval: aws.Int32(60),
		}
		if format != "" {
			in.LogFormat = aws.String(format)
		}
		out := must[*ec2.CreateFlowLogsOutput](t)(client.CreateFlowLogs(ctx, in))
		if len(out.FlowLogIds) != 1 || len(out.Unsuccessful) != 0 {
			t.Fatalf("%+v", out)
		}
		return out.FlowLogIds[0]
	}
	collect := func(after time.Duration) {
		t.Helper()
		now = now.Add(after)
		if err := s.collectFlows(ctx); err != nil {
			t.Fatal(err)
		}
	}
	say := func(accepted bool, packets uint64) backend.FlowRecord {
		return backend.FlowRecord{
			VPC: *subnet.VpcId, Subnet: *subnet.SubnetId, ENI: eni, Source: netip.MustParseAddr("172.31.0.9"), Destination: netip.MustParseAddr("172.31.0.4"),
			SourcePort: 40000, DestPort: 22, Protocol: 6, Packets: packets, Bytes: packets * 60, Start: now, End: now.Add(time.Second), Accepted: accepted, Ingress: true, TCPFlags: 2,
		}
	}

	t.Log("the default format; flows are summed up until the interval is over")
	all := create(*subnet.VpcId, types.FlowLogsResourceTypeVpc, types.TrafficTypeAll, "")
	collect(0)
	loud.records = []backend.FlowRecord{say(true, 2), say(false, 1)}
	collect(10 * time.Second)
	loud.records = []backend.FlowRecord{say(true, 3)}
	collect(10 * time.Second)
	if len(buckets.objects) != 0 {
		t.Fatal("delivered before its time")
	}
	collect(50 * time.Second)
	key, lines := buckets.last(t)
	if !regexp.MustCompile(`^of/mine/AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/03/04/123456789012_vpcflowlogs_us-east-1_` + all + `_20260304T0507Z_[0-9a-f]{8}\.log\.gz$`).MatchString(key) {
		t.Errorf("key %q", key)
	}
	if lines[0] != "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status" || len(lines) != 3 {
		t.Errorf("%q", lines)
	}
	for _, want := range []string{
		"2 123456789012 " + eni + " 172.31.0.9 172.31.0.4 40000 22 6 5 300 1772600767 1772600778 ACCEPT OK",
		"2 123456789012 " + eni + " 172.31.0.9 172.31.0.4 40000 22 6 1 60 1772600767 1772600768 REJECT OK",
	} {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("no %q in %q", want, lines)
		}
	}

	t.Log("one of a subnet's rejections, in a format of its own; one of another interface has nothing to say")
	must[*ec2.DeleteFlowLogsOutput](t)(client.DeleteFlowLogs(ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{all}}))
	create(*subnet.SubnetId, types.FlowLogsResourceTypeSubnet, types.TrafficTypeReject, "${tcp-flags} ${action} ${flow-direction} ${version} ${az-id} ${subnet-id} ${traffic-path}")
	create(*listed.Subnets[1].SubnetId, types.FlowLogsResourceTypeSubnet, types.TrafficTypeAll, "")
	buckets.objects = nil
	collect(0)
	loud.records = []backend.FlowRecord{say(true, 2), say(false, 1)}
	collect(time.Minute)
	if _, lines := buckets.last(t); len(buckets.objects) != 1 || len(lines) != 2 || lines[1] != "2 REJECT ingress 5 "+*subnet.AvailabilityZoneId+" "+*subnet.SubnetId+" -" {
		t.Errorf("%d objects, %q", len(buckets.objects), lines)
	}

	t.Log("a bucket that takes nothing any more is told, and once it takes again that is told too")
	status := func() string {
		shown := must[*ec2.DescribeFlowLogsOutput](t)(client.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: []types.Filter{{Name: aws.String("resource-id"), Values: []string{*subnet.SubnetId}}}}))
		return *shown.FlowLogs[0].DeliverLogsStatus + " " + aws.ToString(shown.FlowLogs[0].DeliverLogsErrorMessage)
	}
	for _, c := range []struct {
		refuse error
		want   string
	}{
		{&awsapi.Error{Code: "AccessDenied"}, "FAILED Access error"}, {errors.New("no"), "FAILED Unknown error"}, {nil, "SUCCESS "},
	} {
		buckets.refuse = c.refuse
		collect(0)
		loud.records = []backend.FlowRecord{say(false, 1)}
		collect(time.Minute)
		if got := status(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}

	t.Log("what was collected is delivered at the end, and what is skipped is said")
	buckets.refuse, buckets.objects = nil, nil
	collect(0)
	loud.records = []backend.FlowRecord{say(false, 7)}
	collect(time.Second)
	if err := s.FlushFlowLogs(ctx); err != nil {
		t.Fatal(err)
	}
	if _, lines := buckets.last(t); len(lines) != 2 {
		t.Errorf("%q", lines)
	}
}
