package ec2

import (
	"fmt"
	"strconv"
	"strings"

	"miniaws/backend"
	"miniaws/backend/lazyregexp"
)

// flowLine is what a line of a flow log is made of: a record, and what is known of its interface. Record is nil in a line
// that says that nothing passed.
type flowLine struct {
	record           *backend.FlowRecord
	account, region  string
	vpc, subnet, eni string
	instance, zoneID string
	start, end       int64
	// status is OK, NODATA or SKIPDATA.
	status string
}

// none stands for a value that there is not.
const none = "-"

// flowLogValues are the fields of a line; those about containers and AWS's edges are never there.
// AWS: "Flow log records", "Available fields", versions 2 to 8.
var flowLogValues = map[string]func(*flowLine) string{
	"version":    nil, // of the whole format
	"account-id": func(l *flowLine) string { return l.account }, "interface-id": func(l *flowLine) string { return l.eni },
	"srcaddr": ofRecord(func(r *backend.FlowRecord) string { return r.Source.String() }), "dstaddr": ofRecord(func(r *backend.FlowRecord) string { return r.Destination.String() }),
	"srcport": ofRecord(func(r *backend.FlowRecord) string { return strconv.Itoa(int(r.SourcePort)) }), "dstport": ofRecord(func(r *backend.FlowRecord) string { return strconv.Itoa(int(r.DestPort)) }),
	"protocol": ofRecord(func(r *backend.FlowRecord) string { return strconv.Itoa(r.Protocol) }),
	"packets":  ofRecord(func(r *backend.FlowRecord) string { return strconv.FormatUint(r.Packets, 10) }),
	"bytes":    ofRecord(func(r *backend.FlowRecord) string { return strconv.FormatUint(r.Bytes, 10) }),
	"start":    func(l *flowLine) string { return strconv.FormatInt(l.start, 10) }, "end": func(l *flowLine) string { return strconv.FormatInt(l.end, 10) },
	"action": ofRecord(func(r *backend.FlowRecord) string {
		if r.Accepted {
			return "ACCEPT"
		}
		return "REJECT"
	}),
	"log-status": func(l *flowLine) string { return l.status },

	"vpc-id": func(l *flowLine) string { return l.vpc }, "subnet-id": func(l *flowLine) string { return l.subnet },
	"instance-id": func(l *flowLine) string { return l.instance },
	"tcp-flags":   ofRecord(func(r *backend.FlowRecord) string { return strconv.Itoa(r.TCPFlags) }),
	"type": ofRecord(func(r *backend.FlowRecord) string {
		if r.Source.Is4() {
			return "IPv4"
		}
		return "IPv6"
	}),
	"pkt-srcaddr": ofRecord(func(r *backend.FlowRecord) string { return r.Source.String() }), "pkt-dstaddr": ofRecord(func(r *backend.FlowRecord) string { return r.Destination.String() }),

	"region": func(l *flowLine) string { return l.region }, "az-id": func(l *flowLine) string { return l.zoneID },
	"sublocation-type": nothing, "sublocation-id": nothing,

	"pkt-src-aws-service": ofRecord(func(r *backend.FlowRecord) string { return serviceAt(r.Source == backend.APIAddress) }),
	"pkt-dst-aws-service": ofRecord(func(r *backend.FlowRecord) string { return serviceAt(r.Destination == backend.APIAddress) }),
	"flow-direction": ofRecord(func(r *backend.FlowRecord) string {
		if r.Ingress {
			return "ingress"
		}
		return "egress"
	}),
	"traffic-path": nothing,

	"ecs-cluster-arn": nothing, "ecs-cluster-name": nothing, "ecs-container-instance-arn": nothing, "ecs-container-instance-id": nothing,
	"ecs-container-id": nothing, "ecs-second-container-id": nothing, "ecs-service-name": nothing, "ecs-task-definition-arn": nothing,
	"ecs-task-arn": nothing, "ecs-task-id": nothing,

	"reject-reason": ofRecord(func(r *backend.FlowRecord) string { return r.Reason }),
}

// flowLogVersions are the versions that brought the fields, beyond 2.
var flowLogVersions = map[string]int{
	"vpc-id": 3, "subnet-id": 3, "instance-id": 3, "tcp-flags": 3, "type": 3, "pkt-srcaddr": 3, "pkt-dstaddr": 3,
	"region": 4, "az-id": 4, "sublocation-type": 4, "sublocation-id": 4,
	"pkt-src-aws-service": 5, "pkt-dst-aws-service": 5, "flow-direction": 5, "traffic-path": 5,
	"ecs-cluster-arn": 7, "ecs-cluster-name": 7, "ecs-container-instance-arn": 7, "ecs-container-instance-id": 7, "ecs-container-id": 7,
	"ecs-second-container-id": 7, "ecs-service-name": 7, "ecs-task-definition-arn": 7, "ecs-task-arn": 7, "ecs-task-id": 7, "reject-reason": 8,
}

func nothing(*flowLine) string { return none }

func ofRecord(value func(*backend.FlowRecord) string) func(*flowLine) string {
	return func(l *flowLine) string {
		if l.record == nil {
			return none
		}
		return value(l.record)
	}
}

func serviceAt(api bool) string {
	if api {
		return "AMAZON"
	}
	return none
}

var flowLogField = lazyregexp.New(`^\$\{([a-z0-9-]+)\}$`)

// flowLogFields are the names of a format's fields.
func flowLogFields(format string) ([]string, error) {
	var names []string
	for _, word := range strings.Fields(format) {
		found := flowLogField.FindStringSubmatch(word)
		if found == nil {
			return nil, errInvalidParameterValue("Invalid LogFormat: %s", word)
		}
		if _, known := flowLogValues[found[1]]; !known {
			return nil, errInvalidParameterValue("Unknown fields provided: %s", found[1])
		}
		names = append(names, found[1])
	}
	return names, nil
}

// flowLogVersion is what ${version} says: that of the newest field.
func flowLogVersion(fields []string) int {
	version := 2
	for _, name := range fields {
		version = max(version, flowLogVersions[name])
	}
	return version
}

// flowLogText is a whole file: the names of the fields, and the lines.
func flowLogText(fields []string, lines []*flowLine) string {
	version := strconv.Itoa(flowLogVersion(fields))
	var b strings.Builder
	fmt.Fprintln(&b, strings.Join(fields, " "))
	values := make([]string, len(fields))
	for _, line := range lines {
		for i, name := range fields {
			values[i] = version
			if name == "version" {
				continue
			}
			if values[i] = flowLogValues[name](line); values[i] == "" {
				values[i] = none
			}
		}
		fmt.Fprintln(&b, strings.Join(values, " "))
	}
	return b.String()
}
