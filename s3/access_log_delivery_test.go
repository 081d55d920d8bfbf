package s3

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// delivered answers what lies in the bucket "logs" once the lines of the lab have been delivered.
func (l *lab) delivered() string {
	l.t.Helper()
	if _, err := l.deliverLogs(l.t.Context(), reconcile.Item{Kind: kindLogs, ID: l.b.Name}); err != nil {
		l.t.Fatal(err)
	}
	var text strings.Builder
	err := l.db.View(l.t.Context(), func(tx store.Tx) error {
		left, _, err := logLines.In(tx, global).List(store.Query{})
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%d lines wait for ever", len(left))
		}
		logs, err := findBucket(tx, "logs")
		if err != nil || logs == nil {
			return err
		}
		found, _, err := objects.In(tx, global).List(store.Query{Parts: store.ID{logs.ID}})
		for _, o := range found {
			body, err := l.blobs.Open(tx, o.Blob, nil)
			if err != nil {
				return err
			}
			defer body.Close()
			if _, err := io.Copy(&text, body.Range(0, o.Size)); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return text.String()
}

// TestLogLinesStayWithTheirOwner: buckets are known by names, which others may have by the time that lines are delivered; and
// what the bucket says of its logs by then counts for later calls only.
func TestLogLinesStayWithTheirOwner(t *testing.T) {
	const owner, stranger = "123456789012", "210987654321"
	logs := bucket{ID: "b-2", Account: owner, Region: "us-east-1"}
	for name, c := range map[string]struct {
		account string // of the line
		now     string // where the bucket's lines go by now, if they go anywhere
		target  bucket
		want    string
	}{
		"theirs":                    {owner, "logs", logs, "line\n"},
		"logging was turned off":    {owner, "", logs, "line\n"},
		"later ones go elsewhere":   {owner, "elsewhere", logs, "line\n"},
		"of another's bucket":       {stranger, "logs", logs, ""},
		"target of another account": {owner, "logs", bucket{ID: "b-3", Account: stranger, Region: "us-east-1"}, ""},
		"target in another region":  {owner, "logs", bucket{ID: "b-3", Account: owner, Region: "eu-west-1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, "")
			c.target.Name = "logs"
			l.update(func(tx store.Tx) error {
				if err := buckets.In(tx, global).Put(&c.target); err != nil {
					return err
				}
				if c.now != "" {
					if err := putSetting(tx, l.b.Name, kindLogging, "", logsTo(c.now)); err != nil {
						return err
					}
				}
				return logLines.In(tx, global).Put(&logLine{Bucket: l.b.Name, Account: c.account, Region: "us-east-1", To: logsTo("logs"), ID: "1", At: l.now, Text: "line"})
			})
			if got := l.delivered(); got != c.want {
				t.Errorf("delivered %q, want %q", got, c.want)
			}
		})
	}
}

// TestLogObjectsHaveOneTarget: the lines of both targets come, each to its own.
func TestLogObjectsHaveOneTarget(t *testing.T) {
	l := newLab(t, "")
	l.update(func(tx store.Tx) error {
		for _, name := range []string{"before", "logs"} {
			if err := buckets.In(tx, global).Put(&bucket{ID: "b-" + name, Name: name, Account: "123456789012", Region: "us-east-1"}); err != nil {
				return err
			}
		}
		for id, to := range map[string]string{"1": "before", "2": "logs", "3": "logs"} {
			if err := logLines.In(tx, global).Put(&logLine{Bucket: l.b.Name, Account: "123456789012", Region: "us-east-1", To: logsTo(to), ID: id, At: l.now, Text: id}); err != nil {
				return err
			}
		}
		return nil
	})
	again, err := l.deliverLogs(t.Context(), reconcile.Item{Kind: kindLogs, ID: l.b.Name})
	if err != nil || again == 0 {
		t.Fatalf("after the lines of the first target: again %v, %v", again, err)
	}
	if got := l.delivered(); got != "2\n3\n" {
		t.Errorf("delivered to the second target: %q", got)
	}
}

func logsTo(bucket string) *types.LoggingEnabled {
	return &types.LoggingEnabled{TargetBucket: aws.String(bucket), TargetPrefix: aws.String("")}
}
