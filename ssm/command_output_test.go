package ssm

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
	"miniaws/backend/guestlink"
	"miniaws/backend/store"
)

// TestOutputKeys: where the output of a step goes, and how answers name it.
func TestOutputKeys(t *testing.T) {
	for _, c := range []struct {
		output     *commandOutput
		step, want string
	}{
		{nil, "one", ""},
		{&commandOutput{"b", "", "eu-west-1"}, "one", "https://s3.eu-west-1.amazonaws.com/b/c-1/i-1/awsrunShellScript/one/stdout"},
		{&commandOutput{"b", "/a/b/", "eu-west-1"}, scriptPlugin, "https://s3.eu-west-1.amazonaws.com/b/a/b/c-1/i-1/awsrunShellScript/0.awsrunShellScript/stdout"},
	} {
		if got := c.output.url("c-1", "i-1", c.step, "stdout"); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestOutputRegion: the region of an output is that of its bucket, whatever the call says.
func TestOutputRegion(t *testing.T) {
	db := store.OpenMemory(store.Options{})
	t.Cleanup(func() { _ = db.Close() })
	s := New(Config{DB: db, BucketRegion: func(_ context.Context, bucket string) (string, error) {
		return map[string]string{"far": "eu-west-1"}[bucket], nil
	}})
	ctx := awsapi.InContext(t.Context(), &awsapi.Request{Region: "us-east-1", Principal: awsapi.Principal{Account: "111122223333"}})
	for bucket, want := range map[string]string{"far": "eu-west-1", "not-there-yet": "us-east-1"} {
		out, err := s.SendCommand(ctx, &api.SendCommandInput{
			DocumentName: aws.String(shellScript), Parameters: map[string][]string{"commands": {"true"}}, Targets: []types.Target{{Key: aws.String("tag:none"), Values: []string{"none"}}},
			OutputS3BucketName: aws.String(bucket), OutputS3Region: aws.String("ap-south-1"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := aws.ToString(out.Command.OutputS3Region); got != want {
			t.Errorf("the output for %s goes to %s, want %s", bucket, got, want)
		}
	}
}

// TestSlowBucket: the result of a step is written down, however long its output is on its way.
func TestSlowBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := store.OpenMemory(store.Options{})
		defer func() { _ = db.Close() }()
		s, scope := New(Config{DB: db, PutOutput: func(ctx context.Context, _ Output) error {
			<-ctx.Done()
			return ctx.Err()
		}}), store.Scope{Account: "111122223333", Region: "us-east-1"}
		sent := &command{ID: "c", Steps: []string{"one"}, Instances: []string{"i-1"}, Output: &commandOutput{Bucket: "slow"}}
		err := db.Update(t.Context(), func(tx store.Tx) error {
			return invocations.In(tx, scope).Put(&invocation{Command: sent.ID, Instance: "i-1", Status: types.CommandInvocationStatusInProgress, Steps: []stepResult{{Status: types.CommandPluginStatusInProgress}}})
		})
		if err != nil {
			t.Fatal(err)
		}
		s.noteResult(scope, sent, "i-1", 0, step{name: "one"}, guestlink.Result{Output: []byte("done")})
		var after *invocation
		if err := db.View(t.Context(), func(tx store.Tx) (err error) {
			after, err = invocations.In(tx, scope).Find(sent.ID, "i-1")
			return err
		}); err != nil || after.Status != types.CommandInvocationStatusSuccess || after.Steps[0].Output != "done" {
			t.Errorf("%+v, %v", after, err)
		}
	})
}
