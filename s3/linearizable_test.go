package s3

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// step is one call on one key: read, write, or a write or delete that expects something.
type step struct {
	kind, body string
	// expects is the ETag for If-Match.
	expects string
}

// result is what was answered: the ETag of what is there, or was written; a refusal; or nothing known.
type result struct {
	etag, body string
	refused    bool
}

// cell is what a key holds; empty for nothing.
type cell struct{ etag, body string }

// oneKey is how a key must behave, as if one call came after the other.
var oneKey = porcupine.Model{
	Init: func() any { return cell{} },
	Step: func(state, input, output any) (bool, any) {
		now, in, out := state.(cell), input.(step), output.(result)
		written := cell{out.etag, in.body}
		switch in.kind {
		case "get":
			return out.etag == now.etag && out.body == now.body, now
		case "put":
			return !out.refused, written
		case "create":
			if out.refused {
				return now.etag != "", now
			}
			return now.etag == "", written
		case "swap":
			if out.refused {
				return now.etag != in.expects, now
			}
			return now.etag == in.expects, written
		case "remove":
			if out.refused {
				return now.etag != in.expects, now
			}
			return now.etag == in.expects, cell{}
		}
		return false, now
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func TestConditionalWritesAreLinearizable(t *testing.T) {
	s := newSite(t)
	for round := range 5 {
		key := aws.String(fmt.Sprintf("key-%d", round))
		bucket := aws.String("bucket")
		var mu sync.Mutex
		var history []porcupine.Operation
		start := time.Now()
		var clients sync.WaitGroup
		for client := range 6 {
			clients.Go(func() {
				random := rand.New(rand.NewPCG(uint64(round), uint64(client)))
				last := "none"
				for n := range 25 {
					in := step{kind: []string{"get", "put", "create", "swap", "swap", "remove"}[random.IntN(6)], body: fmt.Sprintf("%d/%d", client, n)}
					if in.kind == "swap" || in.kind == "remove" {
						in.expects = last
					}
					called := time.Since(start)
					out, err := s.take(t, bucket, key, in)
					returned := time.Since(start)
					if err != nil {
						t.Errorf("%+v: %v", in, err)
						return
					}
					if out.etag != "" {
						last = out.etag
					}
					mu.Lock()
					history = append(history, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(called), Return: int64(returned)})
					mu.Unlock()
				}
			})
		}
		clients.Wait()
		if !porcupine.CheckOperations(oneKey, history) {
			t.Fatalf("round %d: no order of these %d calls explains their answers", round, len(history))
		}
	}
}

// take makes one call.
func (s *site) take(t *testing.T, bucket, key *string, in step) (out result, err error) {
	ctx := t.Context()
	put := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(in.body)}
	switch in.kind {
	case "get":
		got, broke := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
		if err = broke; err == nil {
			content, broke := io.ReadAll(got.Body)
			got.Body.Close()
			return result{etag: *got.ETag, body: string(content)}, broke
		}
	case "create":
		put.IfNoneMatch = aws.String("*")
	case "swap":
		put.IfMatch = &in.expects
	case "remove":
		_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key, IfMatch: &in.expects})
	}
	if in.kind != "get" && in.kind != "remove" {
		made, broke := s.client.PutObject(ctx, put)
		if err = broke; err == nil {
			return result{etag: *made.ETag}, nil
		}
	}
	var known smithy.APIError
	if errors.As(err, &known) {
		switch known.ErrorCode() {
		case "NoSuchKey":
			return result{refused: in.kind != "get"}, nil
		case "PreconditionFailed":
			return result{refused: true}, nil
		}
	}
	return out, err
}
