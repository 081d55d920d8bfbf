package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// flowLog says whose packets are recorded, and where the records go.
type flowLog struct {
	resource
	VPC string
	// Resource is the id of the VPC, of a subnet or of an interface.
	Resource    string
	Traffic     types.TrafficType
	Destination string // ARN of a bucket, with a prefix behind it
	Format      string
	Interval    int32 // seconds
	// Hive and Hourly say how objects are named.
	Hive    bool `json:",omitempty"`
	Hourly  bool `json:",omitempty"`
	Created time.Time
	// Failure is why the last delivery failed; "" if it did not.
	Failure string `json:",omitempty"`
}

func (f *flowLog) vpc() string { return f.VPC }

func flowLogBase(f *flowLog) *resource { return &f.resource }

var flowLogs = &kind[flowLog]{
	prefix: "fl-", typ: types.ResourceTypeVpcFlowLog, base: flowLogBase, notFound: errFlowLogNotFound,
	table: tableOf("flow-logs", flowLogBase, map[string]func(*flowLog) []string{
		"vpc":      func(f *flowLog) []string { return one(f.VPC) },
		"resource": func(f *flowLog) []string { return one(f.Resource) },
	}),
	narrow: map[string]string{"resource-id": "resource"},
	pages:  pageBounds{1, 1000},
	filters: filters[flowLog]{
		"deliver-log-status":   func(_ tx, f *flowLog) []string { return one(f.delivery()) },
		"flow-log-id":          func(_ tx, f *flowLog) []string { return one(f.ID) },
		"log-destination-type": func(tx, *flowLog) []string { return one("s3") },
		"log-group-name":       func(tx, *flowLog) []string { return nil },
		"resource-id":          func(_ tx, f *flowLog) []string { return one(f.Resource) },
		"traffic-type":         func(_ tx, f *flowLog) []string { return one(string(f.Traffic)) },
	},
}

// delivery is the outcome of the last delivery.
func (f *flowLog) delivery() string {
	if f.Failure != "" {
		return "FAILED"
	}
	return "SUCCESS"
}

// knownFlowLog remembers in one place in which VPCs of all accounts and regions something is recorded.
type knownFlowLog struct{ ID, Account, Region string }

var knownFlowLogs = store.NewTable(store.Spec[knownFlowLog]{
	Service: "ec2",
	Name:    "known-flow-logs",
	ID:      func(k *knownFlowLog) store.ID { return store.ID{k.ID} },
})

// FlowLogBuckets writes what flow logs deliver.
type FlowLogBuckets interface {
	// PrepareFlowLogs makes sure, as the caller of the request in ctx, that deliveries to the bucket will be allowed.
	// bucket is its name, prefix where in it. An *awsapi.Error is the caller's.
	PrepareFlowLogs(ctx context.Context, bucket, prefix string) error
	// PutFlowLog writes one object, as the service delivery.logs.amazonaws.com.
	PutFlowLog(ctx context.Context, object FlowLogObject) error
}

// FlowLogObject is one file of a flow log.
type FlowLogObject struct {
	// Account and Region are the flow log's.
	Account, Region, Bucket, Key string
	// Body is gzip.
	Body []byte
}

// defaultFlowLogFormat is AWS's version 2.
// AWS: "Flow log records", "Default format".
const defaultFlowLogFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

// flowLogResources are the resources of which there are flow logs here, by the type that a request names.
var flowLogResources = map[types.FlowLogsResourceType]string{
	types.FlowLogsResourceTypeVpc: "vpc-", types.FlowLogsResourceTypeSubnet: "subnet-", types.FlowLogsResourceTypeNetworkInterface: "eni-",
}

// flowLogOf checks the parameters that all flow logs of a request have in common.
func (s *Service) flowLogOf(in *ec2.CreateFlowLogsInput) (*flowLog, error) {
	if err := unsupported("CreateFlowLogs", "DeliverCrossAccountRole", in.DeliverCrossAccountRole, "TagFieldSpecifications", in.TagFieldSpecifications); err != nil {
		return nil, err
	}
	switch in.LogDestinationType {
	case types.LogDestinationTypeS3:
	case "", types.LogDestinationTypeCloudWatchLogs:
		return nil, errNotImplemented("Delivery to CloudWatch Logs")
	default:
		return nil, errNotImplemented("Delivery to " + string(in.LogDestinationType))
	}
	prefix, known := flowLogResources[in.ResourceType]
	if !known {
		return nil, errNotImplemented("A flow log of a " + string(in.ResourceType))
	}
	if len(in.ResourceIds) == 0 {
		return nil, errMissingParameter("ResourceId")
	}
	for _, id := range in.ResourceIds {
		if !strings.HasPrefix(id, prefix) {
			return nil, errInvalidParameterValue("Resource ID %s is not of the type %s", id, in.ResourceType)
		}
	}
	if in.DeliverLogsPermissionArn != nil || in.LogGroupName != nil {
		return nil, errInvalidParameterCombination("DeliverLogsPermissionArn and LogGroupName are not for LogDestinationType s3")
	}
	if in.TrafficType == "" {
		return nil, errMissingParameter("TrafficType")
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeVpcFlowLog)
	if err != nil {
		return nil, err
	}
	f := &flowLog{resource: resource{Tags: tags}, Traffic: in.TrafficType, Destination: aws.ToString(in.LogDestination), Format: aws.ToString(in.LogFormat), Interval: 600}
	if f.Format == "" {
		f.Format = defaultFlowLogFormat
	}
	if _, err := flowLogFields(f.Format); err != nil {
		return nil, err
	}
	if in.MaxAggregationInterval != nil {
		if f.Interval = *in.MaxAggregationInterval; f.Interval != 60 && f.Interval != 600 {
			return nil, errInvalidParameterValue("Invalid Flow Log Max Aggregation Interval")
		}
	}
	if o := in.DestinationOptions; o != nil {
		if o.FileFormat == types.DestinationFileFormatParquet {
			return nil, errNotImplemented("The file format parquet")
		}
		f.Hive, f.Hourly = aws.ToBool(o.HiveCompatiblePartitions), aws.ToBool(o.PerHourPartition)
	}
	if bucket, _ := f.bucket(); bucket == "" {
		return nil, errInvalidParameterValue("LogDestination: %s is not an ARN of an Amazon S3 bucket", f.Destination)
	}
	return f, nil
}

// bucket is the destination's name, and the prefix in it with a slash at its end; "" for no prefix.
func (f *flowLog) bucket() (name, prefix string) {
	path, ok := strings.CutPrefix(f.Destination, "arn:aws:s3:::")
	if !ok {
		return "", ""
	}
	name, prefix, _ = strings.Cut(path, "/")
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return name, prefix
}

// CreateFlowLogs begins to record the packets of resources; each of which that cannot be is answered with its error.
func (s *Service) CreateFlowLogs(ctx context.Context, in *ec2.CreateFlowLogsInput) (*ec2.CreateFlowLogsOutput, error) {
	f, err := s.flowLogOf(in)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateFlowLogsOutput{ClientToken: in.ClientToken, FlowLogIds: []string{}, Unsuccessful: []types.UnsuccessfulItem{}}
	if bucket, prefix := f.bucket(); s.config.FlowLogBuckets != nil {
		err := s.config.FlowLogBuckets.PrepareFlowLogs(ctx, bucket, prefix)
		var known *awsapi.Error
		if errors.As(err, &known) {
			for _, id := range in.ResourceIds {
				out.Unsuccessful = append(out.Unsuccessful, flowLogRefusal(id, bucket, known))
			}
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return out, s.update(ctx, func(t tx) error {
		out.FlowLogIds, out.Unsuccessful = out.FlowLogIds[:0], out.Unsuccessful[:0]
		ids, err := once(t, "CreateFlowLogs", in.ClientToken, in, func() (string, error) {
			var made []string
			for _, id := range in.ResourceIds {
				one := *f
				one.Resource = id
				err := insertFlowLog(t, &one)
				if item, ok := unsuccessful(id, err); ok {
					out.Unsuccessful = append(out.Unsuccessful, item)
				} else if err != nil {
					return "", err
				} else {
					made = append(made, one.ID)
				}
			}
			return strings.Join(made, " "), nil
		})
		out.FlowLogIds = append(out.FlowLogIds, strings.Fields(ids)...)
		return err
	})
}

// flowLogRefusal is how AWS tells that nothing can be delivered to a bucket.
// AWS: "Troubleshoot VPC Flow Logs"; the code is a number there.
func flowLogRefusal(resource, bucket string, why *awsapi.Error) types.UnsuccessfulItem {
	message := "Access Denied for LogDestination: " + bucket + ". Please check LogDestination permission"
	if why.Code == "NoSuchBucket" {
		message = "LogDestination: " + bucket + " does not exist."
	}
	return types.UnsuccessfulItem{ResourceId: aws.String(resource), Error: &types.UnsuccessfulItemError{Code: aws.String("400"), Message: aws.String(message)}}
}

// insertFlowLog makes one flow log of a resource that is there.
func insertFlowLog(t tx, f *flowLog) error {
	var err error
	if f.VPC, err = vpcOfFlowLog(t, f.Resource); err != nil {
		return err
	}
	same, err := flowLogs.by(t, "resource", f.Resource)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(same, func(o *flowLog) bool {
		return o.Destination == f.Destination && o.Traffic == f.Traffic && o.Format == f.Format
	}) {
		return errFlowLogAlreadyExists()
	}
	f.ID, f.Created = t.NewID("fl-"), t.Now().UTC().Truncate(time.Millisecond)
	if err := flowLogs.insert(t, f); err != nil {
		return err
	}
	if err := knownFlowLogs.In(t, store.Scope{}).Put(&knownFlowLog{f.ID, t.scope.Account, t.scope.Region}); err != nil {
		return err
	}
	return wantNetwork(t, f.VPC)
}

func vpcOfFlowLog(t tx, id string) (string, error) {
	switch {
	case strings.HasPrefix(id, "subnet-"):
		n, err := subnets.get(t, id)
		if err != nil {
			return "", err
		}
		return n.VPC, nil
	case strings.HasPrefix(id, "eni-"):
		e, err := interfaces.get(t, id)
		if err != nil {
			return "", err
		}
		return e.VPC, nil
	}
	v, err := vpcs.get(t, id)
	if err != nil {
		return "", err
	}
	return v.ID, nil
}

// DeleteFlowLogs ends recording. What was recorded and not delivered by then is dropped.
func (s *Service) DeleteFlowLogs(ctx context.Context, in *ec2.DeleteFlowLogsInput) (*ec2.DeleteFlowLogsOutput, error) {
	return &ec2.DeleteFlowLogsOutput{Unsuccessful: []types.UnsuccessfulItem{}}, s.update(ctx, func(t tx) error {
		var missing []string
		for _, id := range in.FlowLogIds {
			f, err := flowLogs.find(t, id)
			if err != nil {
				return err
			}
			if f == nil {
				missing = append(missing, id)
			}
		}
		if len(missing) > 0 {
			return errFlowLogsNotFound(missing)
		}
		for _, id := range in.FlowLogIds {
			if err := removeFlowLog(t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func removeFlowLog(t tx, id string) error {
	f, err := flowLogs.find(t, id)
	if f == nil || err != nil {
		return err
	}
	if err := flowLogs.delete(t, id); err != nil {
		return err
	}
	if err := knownFlowLogs.In(t, store.Scope{}).Delete(id); err != nil {
		return err
	}
	return wantNetwork(t, f.VPC)
}

// removeFlowLogsOf ends the flow logs of a resource that goes.
func removeFlowLogsOf(t tx, resource string) error {
	list, err := flowLogs.by(t, "resource", resource)
	for _, f := range list {
		if err := removeFlowLog(t, f.ID); err != nil {
			return err
		}
	}
	return err
}

// DescribeFlowLogs lists flow logs. Unlike elsewhere its filters are called Filter.
func (s *Service) DescribeFlowLogs(ctx context.Context, in *ec2.DescribeFlowLogsInput) (*ec2.DescribeFlowLogsOutput, error) {
	list, next, err := describe(ctx, s, flowLogs, query{in.FlowLogIds, "", in.Filter, in.MaxResults, in.NextToken}, flowLogToAPI)
	return &ec2.DescribeFlowLogsOutput{FlowLogs: list, NextToken: next}, err
}

func flowLogToAPI(t tx, f *flowLog) (types.FlowLog, error) {
	shown := types.FlowLog{
		FlowLogId: aws.String(f.ID), ResourceId: aws.String(f.Resource), TrafficType: f.Traffic, FlowLogStatus: aws.String("ACTIVE"), CreationTime: aws.Time(f.Created),
		LogDestinationType: types.LogDestinationTypeS3, LogDestination: aws.String(f.Destination), LogFormat: aws.String(f.Format),
		MaxAggregationInterval: aws.Int32(f.Interval), DeliverLogsStatus: aws.String(f.delivery()), Tags: tagsToAPI(t, f.Tags),
		DestinationOptions: &types.DestinationOptionsResponse{
			FileFormat: types.DestinationFileFormatPlainText, HiveCompatiblePartitions: aws.Bool(f.Hive), PerHourPartition: aws.Bool(f.Hourly),
		},
	}
	if f.Failure != "" {
		shown.DeliverLogsErrorMessage = aws.String(f.Failure)
	}
	return shown, nil
}
