package integration

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	tortureBucket   = "torture"
	tortureVersions = "torture-versions"
	// seedName is the metadata in which an object says what its bytes are made of.
	seedName = "made-of"
	tagName  = "label"
)

// content is an object: its bytes follow from a seed and a size, so that whoever reads it knows whether it is whole.
type content struct {
	seed string // "NUMBER.SIZE"
	tag  string
	etag string
}

// newContent draws one. Sizes are those at which the server does things differently: nothing, a row of the store, a file.
func newContent() *content {
	sizes := []int{0, 1, 100, 4 << 10, 32 << 10, 32<<10 + 1, 100 << 10, 700 << 10}
	seed := fmt.Sprintf("%d.%d", rand.Uint64(), sizes[rand.IntN(len(sizes))])
	body := bodyOf(seed)
	sum := md5.Sum(body)
	return &content{seed: seed, etag: `"` + hex.EncodeToString(sum[:]) + `"`}
}

// bodyOf makes the bytes of a seed.
func bodyOf(seed string) []byte {
	number, size, _ := bytes.Cut([]byte(seed), []byte("."))
	length, err := strconv.Atoi(string(size))
	if err != nil {
		return nil
	}
	var key [32]byte
	copy(key[:], number)
	body := make([]byte, length)
	_, _ = rand.NewChaCha8(key).Read(body) // never fails
	return body
}

// read gets an object and compares it with what it says of itself. Nil: there is none.
func read(ctx context.Context, client *s3.Client, bucket, key string, version *string) (*content, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: version})
	if isCode(err, "NoSuchKey", "NoSuchVersion") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, fmt.Errorf("the bytes of %s: %w", key, err)
	}
	found := &content{seed: out.Metadata[seedName], etag: aws.ToString(out.ETag)}
	if !bytes.Equal(body, bodyOf(found.seed)) {
		return nil, fmt.Errorf("%s has not the bytes of %q: %d bytes", key, found.seed, len(body))
	}
	return found, nil
}

// tortureBuckets is what the clients of S3 share.
type tortureBuckets struct {
	*torment
	s3 *s3.Client
}

func newS3(m *torment) *s3.Client {
	return s3.NewFromConfig(m.config, func(o *s3.Options) { o.UsePathStyle = true })
}

func newTortureBuckets(t *testing.T, m *torment) *tortureBuckets {
	t.Helper()
	b := &tortureBuckets{m, newS3(m)}
	for _, name := range []string{tortureBucket, tortureVersions} {
		if _, err := b.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String(tortureVersions),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tortureBuckets) client(name string) *tortureObjects {
	return &tortureObjects{
		tormented: tormented{torment: b.torment}, s3: b.s3, name: name,
		objects: map[string]*content{}, versions: map[string][]version{},
	}
}

// tortureObjects is a client that writes objects below its own prefix, in a bucket without and in one with versions.
type tortureObjects struct {
	tormented
	s3   *s3.Client
	name string
	// objects are those that are there, by key.
	objects map[string]*content
	// versions are those of each key, the newest first.
	versions map[string][]version
	upload   *upload
}

// version is one of an object; content is nil for a delete marker.
type version struct {
	id      string
	content *content
}

func (c *tortureObjects) key() string { return fmt.Sprintf("%s/%d", c.name, rand.IntN(12)) }

// existing draws one of the keys that are there.
func (c *tortureObjects) existing() (string, *content) {
	for key, have := range c.objects {
		return key, have
	}
	return "", nil
}

func (c *tortureObjects) act(ctx context.Context) bool {
	dice := rand.IntN(100)
	switch existing, have := c.existing(); {
	case dice < 35 || have == nil:
		return c.put(ctx)
	case dice < 45:
		return c.remove(ctx, existing)
	case dice < 50:
		return c.removeMany(ctx)
	case dice < 60:
		return c.copy(ctx, existing, have)
	case dice < 70:
		return c.label(ctx, existing, have)
	case dice < 74:
		return c.part(ctx)
	case dice < 90:
		return c.putVersion(ctx)
	case dice < 95:
		return c.mark(ctx)
	default:
		return c.removeVersion(ctx)
	}
}

// put writes an object, sometimes on a condition that holds or does not.
func (c *tortureObjects) put(ctx context.Context) bool {
	key, made := c.key(), newContent()
	made.tag = strconv.Itoa(rand.IntN(1000))
	in := &s3.PutObjectInput{Bucket: aws.String(tortureBucket), Key: &key, Body: bytes.NewReader(bodyOf(made.seed)),
		Metadata: map[string]string{seedName: made.seed}, Tagging: aws.String(tagName + "=" + made.tag)}
	have := c.objects[key]
	must := true
	switch rand.IntN(4) {
	case 0:
		in.IfNoneMatch, must = aws.String("*"), have == nil
	case 1:
		if have != nil {
			in.IfMatch = aws.String(have.etag)
		}
	case 2:
		if have != nil {
			in.IfMatch, must = aws.String(`"00000000000000000000000000000000"`), false
		}
	}
	_, err := c.s3.PutObject(ctx, in)
	done, refused := c.outcome("put", err, "PreconditionFailed")
	if done && !must || isCode(err, "PreconditionFailed") && must {
		c.t.Errorf("a write of %s on a condition: %v, and there was %v", key, err, have)
	}
	return c.becomes(key, made, done, refused)
}

// becomes notes that an object is now what a call made of it, or leaves that open.
func (c *tortureObjects) becomes(key string, made *content, done, refused bool) bool {
	switch {
	case done:
		c.hold(key, made)
	case !refused:
		return c.leave(func(ctx context.Context) error {
			found, err := read(ctx, c.s3, tortureBucket, key, nil)
			if err != nil {
				return err
			}
			if made == nil && found == nil {
				c.hold(key, nil)
			}
			if made == nil || found == nil || found.seed != made.seed {
				return nil // it is still what it was, which check compares
			}
			tag, err := c.tagOf(ctx, key)
			if tag == made.tag { // else the same bytes, of an earlier copy
				c.hold(key, made)
			}
			return err
		})
	}
	return true
}

func (c *tortureObjects) hold(key string, made *content) {
	if made == nil {
		delete(c.objects, key)
		return
	}
	c.objects[key] = made
}

func (c *tortureObjects) remove(ctx context.Context, key string) bool {
	_, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(tortureBucket), Key: &key})
	done, refused := c.outcome("delete", err)
	return c.becomes(key, nil, done, refused)
}

func (c *tortureObjects) removeMany(ctx context.Context) bool {
	keys := slices.Sorted(maps.Keys(c.objects))
	keys = keys[:min(len(keys), 3)]
	list := &types.Delete{}
	for _, key := range keys {
		list.Objects = append(list.Objects, types.ObjectIdentifier{Key: aws.String(key)})
	}
	out, err := c.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String(tortureBucket), Delete: list})
	done, refused := c.outcome("delete many", err)
	if refused {
		return true
	}
	if !done { // each of them by itself
		return c.leave(func(ctx context.Context) error {
			for _, key := range keys {
				found, err := read(ctx, c.s3, tortureBucket, key, nil)
				if err != nil {
					return err
				}
				if found == nil {
					delete(c.objects, key)
				}
			}
			return nil
		})
	}
	for _, gone := range out.Deleted {
		delete(c.objects, *gone.Key)
	}
	for _, failed := range out.Errors {
		if !c.full.Load() || *failed.Code != "ServiceUnavailable" {
			c.t.Errorf("delete many: %s of %s: %s", *failed.Code, *failed.Key, *failed.Message)
		}
	}
	return true
}

func (c *tortureObjects) copy(ctx context.Context, from string, have *content) bool {
	to := c.key()
	if to == from {
		return true
	}
	_, err := c.s3.CopyObject(ctx, &s3.CopyObjectInput{Bucket: aws.String(tortureBucket), Key: &to, CopySource: aws.String(tortureBucket + "/" + url.PathEscape(from))})
	done, refused := c.outcome("copy", err)
	made := *have
	if len(made.etag) > 34 { // an object of parts becomes one of one piece
		sum := md5.Sum(bodyOf(made.seed))
		made.etag = `"` + hex.EncodeToString(sum[:]) + `"`
	}
	return c.becomes(to, &made, done, refused)
}

// label puts another tag on an object.
func (c *tortureObjects) label(ctx context.Context, key string, have *content) bool {
	tag := strconv.Itoa(rand.IntN(1000))
	_, err := c.s3.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: aws.String(tortureBucket), Key: &key,
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String(tagName), Value: &tag}}}})
	done, refused := c.outcome("tag", err)
	if done {
		have.tag = tag
	} else if !refused {
		return c.leave(func(ctx context.Context) error {
			found, err := c.tagOf(ctx, key)
			if found == tag {
				have.tag = tag
			}
			return err
		})
	}
	return true
}

func (c *tortureObjects) tagOf(ctx context.Context, key string) (string, error) {
	out, err := c.s3.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: aws.String(tortureBucket), Key: &key})
	if err != nil || len(out.TagSet) == 0 {
		return "", err
	}
	return aws.ToString(out.TagSet[0].Value), nil
}

// check compares every object and version, and the listings, in which nothing else may be.
func (c *tortureObjects) check(ctx context.Context) error {
	for key, have := range c.objects {
		found, err := read(ctx, c.s3, tortureBucket, key, nil)
		if err != nil {
			return err
		}
		if found == nil || found.seed != have.seed || found.etag != have.etag {
			return fmt.Errorf("%s is %+v, and %+v was acknowledged", key, found, have)
		}
		tag, err := c.tagOf(ctx, key)
		if err != nil || tag != have.tag {
			return fmt.Errorf("%s has the tag %q (%w), and %q was acknowledged", key, tag, err, have.tag)
		}
	}
	out, err := c.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(tortureBucket), Prefix: aws.String(c.name + "/")})
	if err != nil {
		return err
	}
	var listed []string
	for _, o := range out.Contents {
		listed = append(listed, *o.Key)
	}
	if want := slices.Sorted(maps.Keys(c.objects)); !slices.Equal(listed, want) {
		return fmt.Errorf("listed are %q, and %q were acknowledged", listed, want)
	}
	if err := c.checkUpload(ctx); err != nil {
		return err
	}
	for key := range c.versions {
		if err := c.checkVersions(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// tortureReader reads what others write: whatever it finds is whole.
type tortureReader struct {
	*torment
	s3 *s3.Client
}

func (r *tortureReader) act(ctx context.Context) bool {
	out, err := r.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(tortureBucket), Prefix: aws.String("client-")})
	if err != nil {
		return false
	}
	for _, o := range out.Contents {
		found, err := read(ctx, r.s3, tortureBucket, *o.Key, nil)
		if err != nil {
			// Cut off by the kill, or bytes that are not its own: an answer that came to its end must be whole.
			if bytes.Contains([]byte(err.Error()), []byte("has not the bytes")) {
				r.t.Error(err)
			}
			return false
		}
		if found != nil {
			r.reads.Add(1)
		}
	}
	return true
}
