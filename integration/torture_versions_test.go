package integration

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The part of a client that writes versions.

func (c *tortureObjects) versionKey() string { return fmt.Sprintf("%s/%d", c.name, rand.IntN(3)) }

func (c *tortureObjects) putVersion(ctx context.Context) bool {
	key, made := c.versionKey(), newContent()
	out, err := c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(tortureVersions), Key: &key, Body: bytes.NewReader(bodyOf(made.seed)),
		Metadata: map[string]string{seedName: made.seed}})
	done, refused := c.outcome("put a version", err)
	if done {
		c.add(key, version{aws.ToString(out.VersionId), made})
	} else if !refused {
		return c.leave(func(ctx context.Context) error { return c.findVersion(ctx, key, made) })
	}
	return true
}

// mark deletes without a version: a marker becomes the newest one.
func (c *tortureObjects) mark(ctx context.Context) bool {
	key := c.versionKey()
	out, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(tortureVersions), Key: &key})
	done, refused := c.outcome("mark", err)
	if done {
		if !aws.ToBool(out.DeleteMarker) {
			c.t.Errorf("no marker: %+v", out)
		}
		c.add(key, version{id: aws.ToString(out.VersionId)})
	} else if !refused {
		return c.leave(func(ctx context.Context) error { return c.findVersion(ctx, key, nil) })
	}
	return true
}

func (c *tortureObjects) add(key string, v version) {
	c.versions[key] = append([]version{v}, c.versions[key]...)
}

// findVersion adds the version that a call without an answer made, if it did.
func (c *tortureObjects) findVersion(ctx context.Context, key string, made *content) error {
	listed, err := c.list(ctx, key)
	if err != nil || len(listed) != len(c.versions[key])+1 {
		return err
	}
	c.add(key, version{listed[0], made})
	return nil // check compares the bytes
}

// list answers the ids of a key's versions, the newest first.
func (c *tortureObjects) list(ctx context.Context, key string) ([]string, error) {
	out, err := c.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: aws.String(tortureVersions), Prefix: &key})
	if err != nil {
		return nil, err
	}
	type one struct {
		id     string
		latest bool
	}
	var all []one
	for _, v := range out.Versions {
		all = append(all, one{*v.VersionId, aws.ToBool(v.IsLatest)})
	}
	for _, m := range out.DeleteMarkers {
		all = append(all, one{*m.VersionId, aws.ToBool(m.IsLatest)})
	}
	// The two lists come apart. Ids sort as their versions do, the newest first.
	slices.SortFunc(all, func(a, b one) int { return strings.Compare(a.id, b.id) })
	var ids []string
	for i, v := range all {
		if v.latest != (i == 0) {
			return nil, fmt.Errorf("version %d of %s: latest is %v", i, key, v.latest)
		}
		ids = append(ids, v.id)
	}
	return ids, nil
}

// removeVersion deletes one for good: the oldest, or any.
func (c *tortureObjects) removeVersion(ctx context.Context) bool {
	key := c.versionKey()
	have := c.versions[key]
	if len(have) == 0 {
		return true
	}
	at := len(have) - 1
	if len(have) < 8 {
		at = rand.IntN(len(have))
	}
	id := have[at].id
	_, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(tortureVersions), Key: &key, VersionId: &id})
	done, refused := c.outcome("delete a version", err)
	if done {
		c.versions[key] = slices.Delete(have, at, at+1)
	} else if !refused {
		return c.leave(func(ctx context.Context) error {
			listed, err := c.list(ctx, key)
			if err == nil && !slices.Contains(listed, id) {
				c.versions[key] = slices.Delete(have, at, at+1)
			}
			return err
		})
	}
	return true
}

func (c *tortureObjects) checkVersions(ctx context.Context, key string) error {
	listed, err := c.list(ctx, key)
	if err != nil {
		return err
	}
	var want []string
	for _, v := range c.versions[key] {
		want = append(want, v.id)
	}
	if !slices.Equal(listed, want) {
		return fmt.Errorf("versions of %s are %q, and %q were acknowledged", key, listed, want)
	}
	for _, v := range c.versions[key] {
		if v.content == nil {
			continue
		}
		found, err := read(ctx, c.s3, tortureVersions, key, &v.id)
		if err != nil {
			return err
		}
		if found == nil || found.seed != v.content.seed || found.etag != v.content.etag {
			return fmt.Errorf("version %s of %s is %+v, and %+v was acknowledged", v.id, key, found, v.content)
		}
	}
	return nil
}

// upload is an object that comes in parts. A step may get no answer; the next ones go on from what is there.
type upload struct {
	key, id string
	made    *content
	parts   []types.CompletedPart
}

// part does the next step of an upload: begin it, send a part, complete it or give it up.
func (c *tortureObjects) part(ctx context.Context) bool {
	const first, second = 5 << 20, 70_000
	u := c.upload
	switch {
	case u == nil:
		u = &upload{key: c.key(), made: &content{seed: fmt.Sprintf("%d.%d", rand.Uint64(), first+second)}}
		u.made.tag = "parts"
		out, err := c.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String(tortureBucket), Key: &u.key,
			Metadata: map[string]string{seedName: u.made.seed}, Tagging: aws.String(tagName + "=" + u.made.tag), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
		done, refused := c.outcome("begin an upload", err)
		if done {
			u.id = aws.ToString(out.UploadId)
			c.upload = u
		} else if !refused {
			return c.leave(func(ctx context.Context) error { return c.findUpload(ctx, u) })
		}
		return true
	case len(u.parts) < 2:
		number := int32(len(u.parts) + 1)
		body := bodyOf(u.made.seed)[:first]
		if number == 2 {
			body = bodyOf(u.made.seed)[first:]
		}
		out, err := c.s3.UploadPart(ctx, &s3.UploadPartInput{Bucket: aws.String(tortureBucket), Key: &u.key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(body),
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
		done, refused := c.outcome("send a part", err)
		if done {
			u.parts = append(u.parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
		}
		if !done && !refused { // sent again, whether it is there or not
			return c.leave(func(context.Context) error { return nil })
		}
		return true
	case rand.IntN(5) == 0:
		_, err := c.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: aws.String(tortureBucket), Key: &u.key, UploadId: &u.id})
		done, refused := c.outcome("give an upload up", err)
		if done {
			c.upload = nil
		} else if !refused {
			return c.leave(func(ctx context.Context) error { return c.stillThere(ctx, u) })
		}
		return true
	default:
		out, err := c.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: aws.String(tortureBucket), Key: &u.key, UploadId: &u.id,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts}})
		done, refused := c.outcome("complete an upload", err)
		u.made.etag = etagOf(bodyOf(u.made.seed), first)
		if done {
			if aws.ToString(out.ETag) != u.made.etag {
				c.t.Errorf("an upload's ETag is %s instead of %s", aws.ToString(out.ETag), u.made.etag)
			}
			c.upload = nil
			c.hold(u.key, u.made)
		} else if !refused {
			return c.leave(func(ctx context.Context) error {
				found, err := read(ctx, c.s3, tortureBucket, u.key, nil)
				if err != nil {
					return err
				}
				if found != nil && found.seed == u.made.seed {
					c.hold(u.key, u.made)
				}
				return c.stillThere(ctx, u)
			})
		}
		return true
	}
}

// etagOf is the ETag of an object of two parts.
func etagOf(body []byte, first int) string {
	one, two := md5.Sum(body[:first]), md5.Sum(body[first:])
	both := md5.Sum(append(one[:], two[:]...))
	return `"` + hex.EncodeToString(both[:]) + `-2"`
}

// findUpload takes up an upload that was begun without an answer.
func (c *tortureObjects) findUpload(ctx context.Context, u *upload) error {
	out, err := c.s3.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: aws.String(tortureBucket), Prefix: &u.key})
	if err != nil {
		return err
	}
	for _, found := range out.Uploads {
		if *found.Key == u.key {
			u.id = *found.UploadId
			c.upload = u
		}
	}
	return nil
}

// stillThere finds out whether an upload is gone.
func (c *tortureObjects) stillThere(ctx context.Context, u *upload) error {
	_, err := c.s3.ListParts(ctx, &s3.ListPartsInput{Bucket: aws.String(tortureBucket), Key: &u.key, UploadId: &u.id})
	if isCode(err, "NoSuchUpload") {
		c.upload = nil
		return nil
	}
	if found := c.objects[u.key]; err == nil && found != nil && found == u.made {
		return errors.New("an upload was completed and is still open: " + u.key)
	}
	return err
}

// checkUpload looks for the open upload and its parts; no other may be there.
func (c *tortureObjects) checkUpload(ctx context.Context) error {
	out, err := c.s3.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: aws.String(tortureBucket), Prefix: aws.String(c.name + "/")})
	if err != nil {
		return err
	}
	if c.upload == nil {
		if len(out.Uploads) > 0 {
			return fmt.Errorf("uploads that ended are there: %+v", out.Uploads)
		}
		return nil
	}
	if len(out.Uploads) != 1 || *out.Uploads[0].UploadId != c.upload.id {
		return fmt.Errorf("an upload is open, and listed are %+v", out.Uploads)
	}
	sent, err := c.s3.ListParts(ctx, &s3.ListPartsInput{Bucket: aws.String(tortureBucket), Key: &c.upload.key, UploadId: &c.upload.id})
	if err != nil {
		return err
	}
	for i, part := range c.upload.parts {
		if i >= len(sent.Parts) || aws.ToString(sent.Parts[i].ETag) != aws.ToString(part.ETag) {
			return fmt.Errorf("part %d of an upload was acknowledged, and there are %+v", i+1, sent.Parts)
		}
	}
	return nil
}

// tortureJournal is an object to which several clients append, each on the condition that nobody else did since it looked.
type tortureJournal struct {
	s3     *s3.Client
	bucket string

	mu     sync.Mutex
	number int
	// lines are those of each object; false for one whose write got no answer yet.
	lines map[string]map[string]bool
}

// tortureWriter is one client that appends.
type tortureWriter struct {
	tormented
	journal *tortureJournal
	name    string
	count   int
}

func (w *tortureWriter) act(ctx context.Context) bool {
	j := w.journal
	j.mu.Lock()
	key := fmt.Sprintf("journal/%d", j.number)
	j.mu.Unlock()
	text, etag, err := j.read(ctx, key)
	if err != nil {
		return false
	}
	if strings.Count(text, "\n") >= 200 {
		j.mu.Lock()
		if key == fmt.Sprintf("journal/%d", j.number) {
			j.number++
		}
		j.mu.Unlock()
		return true
	}
	w.count++
	line := w.name + "-" + strconv.Itoa(w.count)
	in := &s3.PutObjectInput{Bucket: &j.bucket, Key: &key, Body: strings.NewReader(text + line + "\n"), IfMatch: etag}
	if etag == nil {
		in.IfNoneMatch = aws.String("*")
	}
	_, err = j.s3.PutObject(ctx, in)
	done, refused := w.outcome("append", err, "PreconditionFailed", "ConditionalRequestConflict")
	if !refused {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.lines == nil {
			j.lines = map[string]map[string]bool{}
		}
		if j.lines[key] == nil {
			j.lines[key] = map[string]bool{}
		}
		j.lines[key][line] = done
	}
	return done || refused
}

func (j *tortureJournal) read(ctx context.Context, key string) (text string, etag *string, err error) {
	out, err := j.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &j.bucket, Key: &key})
	if isCode(err, "NoSuchKey") {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer out.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(out.Body)
	return b.String(), out.ETag, err
}

// check looks for every acknowledged line, exactly once; a line without an answer is there once or not at all, and no
// other is.
func (w *tortureWriter) check(ctx context.Context) error {
	j := w.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, lines := range j.lines {
		text, _, err := j.read(ctx, key)
		if err != nil {
			return err
		}
		seen := map[string]int{}
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if seen[line]++; seen[line] > 1 {
				return fmt.Errorf("%s has %s twice", key, line)
			}
			if _, ok := lines[line]; !ok {
				return fmt.Errorf("%s has %s, which was refused", key, line)
			}
		}
		for line, acked := range lines {
			if acked && seen[line] == 0 {
				return fmt.Errorf("%s was acknowledged and is not in %s", line, key)
			}
			lines[line] = seen[line] == 1 // what was seen once stays
			if seen[line] == 0 {
				delete(lines, line)
			}
		}
	}
	return nil
}
