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

// TestLogLinesStayWithTheirOwner: buckets are known by names, which others may have by the time that lines are delivered.
func TestLogLinesStayWithTheirOwner(t *testing.T) {
	const owner, stranger = "123456789012", "210987654321"
	for name, c := range map[string]struct {
		source string // of the line
		target bucket
		want   string
	}{
		"theirs":                    {"b-1", bucket{ID: "b-2", Account: owner, Region: "us-east-1"}, "line\n"},
		"of a bucket that was":      {"b-0", bucket{ID: "b-2", Account: owner, Region: "us-east-1"}, ""},
		"target of another account": {"b-1", bucket{ID: "b-3", Account: stranger, Region: "us-east-1"}, ""},
		"target in another region":  {"b-1", bucket{ID: "b-3", Account: owner, Region: "eu-west-1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, "")
			c.target.Name = "logs"
			l.update(func(tx store.Tx) error {
				if err := buckets.In(tx, global).Put(&c.target); err != nil {
					return err
				}
				if err := putSetting(tx, l.b.Name, kindLogging, "", types.LoggingEnabled{TargetBucket: aws.String("logs"), TargetPrefix: aws.String("")}); err != nil {
					return err
				}
				return logLines.In(tx, global).Put(&logLine{Bucket: l.b.Name, Source: c.source, ID: "1", At: l.now, Text: "line"})
			})
			if got := l.delivered(); got != c.want {
				t.Errorf("delivered %q, want %q", got, c.want)
			}
		})
	}
}
