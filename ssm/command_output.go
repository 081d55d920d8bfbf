package ssm

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"miniaws/backend/guestlink"
	"miniaws/backend/store"
)

// commandOutput is where in S3 a command's output goes, whole, where a record keeps the beginning of it.
type commandOutput struct {
	Bucket string
	Prefix string `json:",omitempty"`
	Region string
}

// outputTo is where a command's output goes: to the region of the bucket, or that of the call where there is no bucket yet.
// AWS: "SendCommand", OutputS3Region: it is ignored, and Systems Manager determines the region of the bucket.
func (s *Service) outputTo(ctx context.Context, scope store.Scope, bucket, prefix string) (*commandOutput, error) {
	region := ""
	if s.config.BucketRegion != nil {
		var err error
		if region, err = s.config.BucketRegion(ctx, bucket); err != nil {
			return nil, err
		}
	}
	return &commandOutput{bucket, prefix, cmp.Or(region, scope.Region)}, nil
}

// Output is what a step printed, for an object of S3. The instance's role has to be allowed to write it.
// AWS: "Run commands from the console", "Write command output to an S3 bucket": s3:PutObject of the instance profile.
type Output struct {
	Account, Instance   string
	Region, Bucket, Key string
	Body                []byte
}

// maxStoredOutput bounds what is kept of each output for S3, in bytes: a run's output is in memory until it ends.
const maxStoredOutput = 2 << 20

// putTimeout is how long the output of a step may take on its way: the command does not end before.
const putTimeout = time.Minute

// key is the object of a stream of a step.
// AWS: "Command document plugin reference": the folders are the command's, the instance's, the plugin's and the step's.
func (o *commandOutput) key(command, instance, step, stream string) string {
	if step == scriptPlugin { // of AWS-RunShellScript, whose schema knows no names
		step = "0.awsrunShellScript"
	}
	parts := []string{command, instance, "awsrunShellScript", step, stream}
	if prefix := strings.Trim(o.Prefix, "/"); prefix != "" {
		parts = append([]string{prefix}, parts...)
	}
	return strings.Join(parts, "/")
}

// url is how answers name the object; "" where the output goes nowhere.
func (o *commandOutput) url(command, instance, step, stream string) string {
	if o == nil {
		return ""
	}
	return "https://s3." + o.Region + ".amazonaws.com/" + o.Bucket + "/" + o.key(command, instance, step, stream)
}

// most is how much of each output is kept while a step runs.
func (o *commandOutput) most() int {
	if o == nil {
		return maxCommandOutput
	}
	return maxStoredOutput
}

// deliver writes what a step printed into the bucket. As in AWS the command does not fail where that fails: the log says why.
func (s *Service) deliver(scope store.Scope, sent *command, instance, step string, r guestlink.Result) {
	if sent.Output == nil || s.config.PutOutput == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), putTimeout)
	defer cancel()
	for stream, body := range map[string][]byte{"stdout": r.Output, "stderr": r.Errors} {
		if len(body) == 0 {
			continue
		}
		err := s.config.PutOutput(ctx, Output{
			Account: scope.Account, Instance: instance, Region: cmp.Or(sent.Output.Region, scope.Region), Bucket: sent.Output.Bucket,
			Key: sent.Output.key(sent.ID, instance, step, stream), Body: body,
		})
		if err != nil && !errors.Is(err, store.ErrClosed) {
			slog.Warn("ssm: the output of a command is not in its bucket", "command", sent.ID, "instance", instance, "bucket", sent.Output.Bucket, "error", err)
		}
	}
}
