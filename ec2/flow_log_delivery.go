package ec2

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend"
	"miniaws/backend/store"
)

// flowWindows are what flow logs recorded and did not deliver yet. They are in memory: flow logs are best effort, as AWS's.
type flowWindows struct {
	mu  sync.Mutex
	all map[string]*flowWindow
}

// flowWindow is one flow log's interval.
type flowWindow struct {
	scope   store.Scope
	from    time.Time
	records map[flowRecordKey]*backend.FlowRecord
	skipped bool
}

type flowRecordKey struct {
	eni                  string
	source, destination  netip.Addr
	sourcePort, destPort uint16
	protocol             int
	accepted, ingress    bool
	reason               string
}

// maxWindowRecords bounds one flow log's records of one interval.
const maxWindowRecords = 100_000

// flowLogPause is the time between two looks at what was recorded.
func (s *Service) flowLogPause() time.Duration {
	const pause = 5 * time.Second
	if s.config.FlowLogsEvery > 0 {
		return min(pause, s.config.FlowLogsEvery)
	}
	return pause
}

// add sums a record up with those of the same flow.
func (w *flowWindow) add(r *backend.FlowRecord) {
	key := flowRecordKey{r.ENI, r.Source, r.Destination, r.SourcePort, r.DestPort, r.Protocol, r.Accepted, r.Ingress, r.Reason}
	if had := w.records[key]; had != nil {
		had.Packets, had.Bytes, had.TCPFlags, had.End = had.Packets+r.Packets, had.Bytes+r.Bytes, had.TCPFlags|r.TCPFlags, r.End
		return
	}
	if len(w.records) >= maxWindowRecords {
		w.skipped = true
		return
	}
	copied := *r
	w.records[key] = &copied
}

// records tells whether a flow log is about a record.
func (f *flowLog) records(r *backend.FlowRecord) bool {
	if f.Traffic == types.TrafficTypeAccept && !r.Accepted || f.Traffic == types.TrafficTypeReject && r.Accepted {
		return false
	}
	return f.Resource == r.VPC || f.Resource == r.Subnet || f.Resource == r.ENI
}

// collectFlows takes what was recorded, and delivers the intervals that are over.
func (s *Service) collectFlows(ctx context.Context) error {
	if s.config.Network == nil || s.config.FlowLogBuckets == nil || s.config.Simulated {
		return nil
	}
	s.flows.mu.Lock()
	defer s.flows.mu.Unlock()
	logs, err := s.everyFlowLog(ctx)
	if err != nil || len(logs) == 0 && len(s.flows.all) == 0 {
		return err
	}
	records, err := s.config.Network.Flows(ctx)
	if err != nil {
		return err
	}
	s.flows.take(logs, records, s.now())
	return s.deliverFlows(ctx, logs, false)
}

// FlushFlowLogs delivers what was recorded so far.
func (s *Service) FlushFlowLogs(ctx context.Context) error {
	s.flows.mu.Lock()
	defer s.flows.mu.Unlock()
	if len(s.flows.all) == 0 {
		return nil
	}
	logs, err := s.everyFlowLog(ctx)
	if err != nil {
		return err
	}
	return s.deliverFlows(ctx, logs, true)
}

func (s *Service) now() time.Time {
	if s.config.Now != nil {
		return s.config.Now()
	}
	return time.Now()
}

// placedFlowLog is a flow log with where it is.
type placedFlowLog struct {
	*flowLog
	scope store.Scope
}

func (s *Service) everyFlowLog(ctx context.Context) (logs []placedFlowLog, err error) {
	err = s.config.DB.View(ctx, func(raw store.Tx) error {
		logs = nil
		for row, err := range knownFlowLogs.In(raw, store.Scope{}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			scope := store.Scope{Account: row.Account, Region: row.Region}
			f, err := flowLogs.find(s.tx(raw, scope), row.ID)
			if err != nil {
				return err
			}
			if f != nil {
				logs = append(logs, placedFlowLog{f, scope})
			}
		}
		return nil
	})
	return logs, err
}

// take puts records where they belong.
func (w *flowWindows) take(logs []placedFlowLog, records []backend.FlowRecord, now time.Time) {
	if w.all == nil {
		w.all = map[string]*flowWindow{}
	}
	for _, f := range logs {
		if w.all[f.ID] == nil {
			w.all[f.ID] = &flowWindow{scope: f.scope, from: now, records: map[flowRecordKey]*backend.FlowRecord{}}
		}
		for i := range records {
			r := &records[i]
			switch {
			case r.Skipped > 0:
				w.all[f.ID].skipped = w.all[f.ID].skipped || r.VPC == f.VPC
			case f.records(r):
				w.all[f.ID].add(r)
			}
		}
	}
}

// deliverFlows delivers the windows that are over, or all of them. One whose flow log is gone is dropped: AWS delivers
// for a while more, and there is no bucket to deliver it to any more here.
func (s *Service) deliverFlows(ctx context.Context, logs []placedFlowLog, all bool) error {
	var errs []error
	now := s.now()
	for id, window := range s.flows.all {
		i := slices.IndexFunc(logs, func(f placedFlowLog) bool { return f.ID == id })
		if i < 0 {
			delete(s.flows.all, id)
			continue
		}
		interval := time.Duration(logs[i].Interval) * time.Second
		if s.config.FlowLogsEvery > 0 {
			interval = s.config.FlowLogsEvery
		}
		if !all && now.Sub(window.from) < interval {
			continue
		}
		delete(s.flows.all, id)
		if err := s.deliverWindow(ctx, logs[i], window, now); err != nil {
			slog.Warn("a flow log was not delivered", "flow log", id, "error", err)
			errs = append(errs, s.noteDelivery(ctx, logs[i], deliveryFailure(err)))
		} else {
			errs = append(errs, s.noteDelivery(ctx, logs[i], ""))
		}
	}
	return errors.Join(errs...)
}

// deliveryFailure is what DescribeFlowLogs says of a failed delivery.
// AWS: "FlowLog", deliverLogsErrorMessage: Rate limited, Access error, Unknown error.
func deliveryFailure(err error) string {
	var known *awsapi.Error
	if errors.As(err, &known) && (known.Code == "AccessDenied" || known.Code == "NoSuchBucket") {
		return "Access error"
	}
	return "Unknown error"
}

// noteDelivery tells how a delivery ended.
func (s *Service) noteDelivery(ctx context.Context, f placedFlowLog, failure string) error {
	if f.Failure == failure {
		return nil
	}
	return s.updateIn(ctx, f.scope, func(t tx) error {
		now, err := flowLogs.find(t, f.ID)
		if err != nil || now == nil {
			return err
		}
		now.Failure = failure
		return flowLogs.put(t, now)
	})
}

// deliverWindow writes one object. Without an interface there is nothing to say, and no object.
func (s *Service) deliverWindow(ctx context.Context, f placedFlowLog, window *flowWindow, now time.Time) error {
	var lines []*flowLine
	err := s.viewIn(ctx, f.scope, func(t tx) (err error) {
		lines, err = flowLines(t, f.flowLog, window, now)
		return err
	})
	if err != nil || len(lines) == 0 {
		return err
	}
	fields, err := flowLogFields(f.Format)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	zipped := gzip.NewWriter(&body)
	_, err = zipped.Write([]byte(flowLogText(fields, lines)))
	if err = errors.Join(err, zipped.Close()); err != nil {
		return err
	}
	bucket, prefix := f.bucket()
	return s.config.FlowLogBuckets.PutFlowLog(ctx, FlowLogObject{
		Account: f.scope.Account, Region: f.scope.Region, Bucket: bucket, Key: prefix + flowLogKey(f, now), Body: body.Bytes(),
	})
}

// flowLogKey is where an object lies behind the prefix.
// AWS: "Publish flow logs to Amazon S3", "Flow log files".
func flowLogKey(f placedFlowLog, now time.Time) string {
	now = now.UTC()
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	name := fmt.Sprintf("%s_vpcflowlogs_%s_%s_%s_%s.log.gz", f.scope.Account, f.scope.Region, f.ID, now.Format("20060102T1504Z"), hex.EncodeToString(random[:]))
	hour := ""
	if !f.Hive {
		if f.Hourly {
			hour = now.Format("15/")
		}
		return fmt.Sprintf("AWSLogs/%s/vpcflowlogs/%s/%s/%s%s", f.scope.Account, f.scope.Region, now.Format("2006/01/02"), hour, name)
	}
	if f.Hourly {
		hour = now.Format("hour=15/")
	}
	return fmt.Sprintf("AWSLogs/aws-account-id=%s/aws-service=vpcflowlogs/aws-region=%s/%s/%s%s", f.scope.Account, f.scope.Region, now.Format("year=2006/month=01/day=02"), hour, name)
}

// flowLines are the lines of a window: one for each flow, and one for each interface in use without any.
func flowLines(t tx, f *flowLog, window *flowWindow, now time.Time) (lines []*flowLine, err error) {
	all, err := interfaces.by(t, "vpc", f.VPC)
	if err != nil {
		return nil, err
	}
	place := map[string]*flowLine{}
	for _, e := range all {
		line := &flowLine{account: t.scope.Account, region: t.scope.Region, vpc: e.VPC, subnet: e.Subnet, eni: e.ID, start: window.from.Unix(), end: now.Unix(), status: "NODATA"}
		if e.Attachment != nil {
			line.instance = e.Attachment.Instance
		}
		if n, err := subnets.find(t, e.Subnet); err != nil {
			return nil, err
		} else if n != nil {
			z, err := findZone(t.scope.Region, n.Zone)
			if err != nil {
				return nil, err
			}
			line.zoneID = z.id
		}
		place[e.ID] = line
	}
	spoken := map[string]bool{}
	for _, r := range window.records {
		line := flowLine{account: t.scope.Account, region: t.scope.Region, vpc: r.VPC, subnet: r.Subnet, eni: r.ENI}
		if known := place[r.ENI]; known != nil {
			line = *known
		}
		line.record, line.start, line.end, line.status = r, r.Start.Unix(), r.End.Unix(), "OK"
		lines = append(lines, &line)
		spoken[r.ENI] = true
	}
	for _, e := range all {
		covered := f.Resource == f.VPC || f.Resource == e.Subnet || f.Resource == e.ID
		if !covered || e.Attachment == nil || e.ofGateway() {
			continue
		}
		line := place[e.ID]
		switch {
		case window.skipped:
			line.status = "SKIPDATA"
			lines = append(lines, line)
		case !spoken[e.ID]:
			lines = append(lines, line)
		}
	}
	slices.SortFunc(lines, func(a, b *flowLine) int {
		if a.start != b.start {
			return int(a.start - b.start)
		}
		return strings.Compare(a.eni, b.eni)
	})
	return lines, nil
}
