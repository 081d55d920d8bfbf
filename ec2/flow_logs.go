package ec2

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// flowLog says whose packets are recorded, and where the records go.
type flowLog struct {
	resource
	VPC string
	// Resource is the id of the VPC, of a subnet or of an interface.
	Resource    string
	Traffic     types.TrafficType
	Destination string // ARN of a bucket or of a log group
	Format      string
	Interval    int32 // seconds
	Created     time.Time
	// Failure is why the last delivery failed; "" if it did not.
	Failure string `json:",omitempty"`
}

func (f *flowLog) vpc() string { return f.VPC }

func flowLogBase(f *flowLog) *resource { return &f.resource }

var flowLogs = &kind[flowLog]{
	prefix: "fl-", typ: types.ResourceTypeVpcFlowLog, base: flowLogBase, notFound: errFlowLogNotFound,
	table: tableOf("flow-logs", flowLogBase, map[string]func(*flowLog) []string{
		"vpc": func(f *flowLog) []string { return one(f.VPC) },
	}),
	filters: filters[flowLog]{
		"deliver-log-status":   func(_ tx, f *flowLog) []string { return one(f.delivery()) },
		"flow-log-id":          func(_ tx, f *flowLog) []string { return one(f.ID) },
		"log-destination-type": func(tx, *flowLog) []string { return one("s3") },
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
