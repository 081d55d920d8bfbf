package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/blob"
	"miniaws/backend/checksum"
	"miniaws/backend/store"
)

// object is one version of an object, or a delete marker. Names are short because there may be millions.
type object struct {
	// Bucket is the bucket's ID, not its name.
	Bucket string `json:"b"`
	Key    string `json:"k"`
	// Order is the version id; a newer version's sorts before an older one's.
	Order string `json:"o"`
	// Null tells that it was made while the bucket kept no versions: its version id is "null".
	Null bool `json:"n,omitempty"`
	// Marker tells that it is a delete marker: nothing below counts but Modified and Owner.
	Marker   bool      `json:"m,omitempty"`
	Modified time.Time `json:"t"` // whole seconds
	Owner    string    `json:"w"` // account
	Size     int64     `json:"s"`
	// ETag is without its quotation marks.
	ETag string `json:"e,omitempty"`
	// Blob holds the bytes, unless Parts does.
	Blob  blob.Ref  `json:"r"`
	Parts *manifest `json:"p,omitempty"`
	Sum   sum       `json:"c,omitzero"`

	Attributes
	// NullOrder, of the current version only, finds the null version among the older ones; empty if there is none.
	NullOrder string `json:"no,omitempty"`
}

// Attributes are what an upload states and its object has.
type Attributes struct {
	Type      string            `json:"ct,omitempty"`
	Headers   map[string]string `json:"h,omitempty"` // Cache-Control and such, by canonical name
	Meta      map[string]string `json:"u,omitempty"` // user metadata, by lower-case name
	Tags      []tag             `json:"g,omitempty"`
	ACL       []grant           `json:"a,omitzero"` // nil for the usual one
	Class     string            `json:"sc,omitempty"`
	Sealing   *sealing          `json:"x,omitempty"` // nil for SSE-S3, and for what is plain
	Retention *retention        `json:"l,omitempty"`
	Hold      bool              `json:"lh,omitempty"`
	// HoldOff: a legal hold was stated or taken off, so it is answered as OFF and not as missing.
	HoldOff     bool       `json:"lo,omitempty"`
	Redirect    string     `json:"wr,omitempty"`
	Restored    *time.Time `json:"rs,omitempty"` // until when an archived object can be read
	Replication string     `json:"rp,omitempty"`
	Changed     changes    `json:"ch,omitempty"` // what its replicas do not know yet
}

type tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// manifest is the parts of an object that was uploaded in parts: rows of the table parts, under the upload's id.
type manifest struct {
	ID    string `json:"i"`
	Count int32  `json:"n"`
}

// sum is an object's additional checksum.
type sum struct {
	Algorithm checksum.Algorithm `json:"a"`
	// Value as on the wire: base64, with the number of parts behind a composite one.
	Value     string `json:"v"`
	Composite bool   `json:"c,omitempty"`
}

func (s sum) kind() types.ChecksumType {
	if s.Composite {
		return types.ChecksumTypeComposite
	}
	return types.ChecksumTypeFullObject
}

// objects holds the current version of every key, which may be a delete marker; versions holds the older ones. Buckets
// without versioning have no rows in versions.
var (
	objects = store.NewTable(store.Spec[object]{
		Service: "s3", Name: "objects",
		ID: func(o *object) store.ID { return store.ID{o.Bucket, o.Key} },
	})
	versions = store.NewTable(store.Spec[object]{
		Service: "s3", Name: "versions",
		ID: func(o *object) store.ID { return store.ID{o.Bucket, o.Key, o.Order} },
	})
)

var global = store.Scope{}

// maxKey is how many bytes a key has at most.
// AWS: "Naming Amazon S3 objects".
const maxKey = 1024

// versionID is what users see.
func (o *object) versionID() string {
	if o.Null {
		return "null"
	}
	return o.Order
}

// shownVersion is the version id in answers about an object of the bucket; nil where the bucket never had versions.
func (b *bucket) shownVersion(o *object) *string {
	if !b.versioned() {
		return nil
	}
	return aws.String(o.versionID())
}

// quoted is the ETag as answers have it.
func (o *object) quoted() *string { return aws.String(`"` + o.ETag + `"`) }

// class is the storage class as listings have it.
func (o *object) class() string {
	if o.Class == "" {
		return string(types.StorageClassStandard)
	}
	return o.Class
}

const orderDigits = "0123456789abcdefghijklmnopqrstuv"

// newOrder makes a version id that sorts before previous, the newest so far, or "".
func newOrder(now time.Time, previous string) string {
	at := ^uint64(now.UnixNano())
	if len(previous) >= 13 {
		if before, ok := orderTime(previous); ok && at >= before {
			at = before - 1
		}
	}
	var raw [19]byte
	_, _ = rand.Read(raw[:]) // never fails
	var id [32]byte
	for i := 12; i >= 0; i-- {
		id[i] = orderDigits[at&31]
		at >>= 5
	}
	for i := 13; i < 32; i++ {
		id[i] = orderDigits[raw[i-13]&31]
	}
	return string(id[:])
}

func orderTime(order string) (uint64, bool) {
	var at uint64
	for i := range 13 {
		digit := strings.IndexByte(orderDigits, order[i])
		if digit < 0 {
			return 0, false
		}
		at = at<<5 | uint64(digit)
	}
	return at, true
}

// currentOf finds the current version of a key, which may be a delete marker; nil if there is none.
func currentOf(tx store.Tx, b *bucket, key string) (*object, error) {
	return objects.In(tx, global).Find(b.ID, key)
}

// sharedCurrentOf is currentOf for those who only read: the record is shared with other readers.
func sharedCurrentOf(tx store.Tx, b *bucket, key string) (*object, error) {
	o, err := objects.In(tx, global).GetShared(b.ID, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return o, err
}

// versionOf finds a version by its id; nil if there is none. Any text may be asked for.
func versionOf(tx store.Tx, b *bucket, key, id string) (version, current *object, err error) {
	if current, err = currentOf(tx, b, key); err != nil || current == nil {
		return nil, nil, err
	}
	if current.versionID() == id {
		return current, current, nil
	}
	if id == "null" {
		id = current.NullOrder
	}
	if id == "" || len(id) > 64 {
		return nil, current, nil
	}
	version, err = versions.In(tx, global).Find(b.ID, key, id)
	if version != nil && version.Null && id != current.NullOrder {
		return nil, current, nil // the null version has one id, and it is null
	}
	return version, current, err
}

// insert makes o the current version of its key, as the bucket's versioning has it: what was current becomes an older
// version, or is gone for good.
func (s *Service) insert(tx store.Tx, b *bucket, o *object) error {
	old, err := currentOf(tx, b, o.Key)
	if err != nil {
		return err
	}
	previous := ""
	if old != nil {
		previous = old.Order
	}
	o.Bucket, o.Order = b.ID, newOrder(tx.Now(), previous)
	o.Modified = tx.Now().UTC().Truncate(time.Second)
	o.Null = b.Versioning != types.BucketVersioningStatusEnabled
	if old != nil {
		if !o.Null && old.Null {
			o.NullOrder = old.Order
		} else if !o.Null {
			o.NullOrder = old.NullOrder
		}
		if err := s.replace(tx, old, o.Null); err != nil {
			return err
		}
	}
	if err := objects.In(tx, global).Put(o); err != nil {
		return err
	}
	return s.observe(tx, b, o)
}

// replace takes the current version away for a new one, which is null or not.
func (s *Service) replace(tx store.Tx, old *object, byNull bool) error {
	if byNull && old.Null {
		return s.dropBytes(tx, old)
	}
	if byNull && old.NullOrder != "" {
		null, err := versions.In(tx, global).Find(old.Bucket, old.Key, old.NullOrder)
		if err != nil {
			return err
		}
		if null != nil {
			if err := s.forget(tx, null); err != nil {
				return err
			}
		}
	}
	kept := *old
	kept.NullOrder = ""
	return versions.In(tx, global).Put(&kept)
}

// forget removes an older version and its bytes.
func (s *Service) forget(tx store.Tx, o *object) error {
	if err := s.dropBytes(tx, o); err != nil {
		return err
	}
	return versions.In(tx, global).Delete(o.Bucket, o.Key, o.Order)
}

// remove removes a version for good. Where it was the current one, the newest of the older ones is current again.
func (s *Service) remove(tx store.Tx, version, current *object) error {
	if version.Order != current.Order {
		if version.Null {
			changed := *current
			changed.NullOrder = ""
			if err := objects.In(tx, global).Put(&changed); err != nil {
				return err
			}
		}
		return s.forget(tx, version)
	}
	if err := s.dropBytes(tx, current); err != nil {
		return err
	}
	for next, err := range versions.In(tx, global).Scan(store.Query{Parts: store.ID{current.Bucket, current.Key}}) {
		if err != nil {
			return err
		}
		if err := versions.In(tx, global).Delete(next.Bucket, next.Key, next.Order); err != nil {
			return err
		}
		if !next.Null {
			next.NullOrder = current.NullOrder
		}
		return objects.In(tx, global).Put(next)
	}
	return objects.In(tx, global).Delete(current.Bucket, current.Key)
}

// dropBytes gives an object's bytes back.
func (s *Service) dropBytes(tx store.Tx, o *object) error {
	if o.Parts != nil {
		return dropManifest(tx, o.Parts)
	}
	return s.blobs.Drop(tx, o.Blob)
}

// update writes a changed version back where it is.
func (o *object) update(tx store.Tx, current *object) error {
	if o.Order == current.Order {
		return objects.In(tx, global).Put(o)
	}
	return versions.In(tx, global).Put(o)
}

// find answers the version that a request names, or the current one.
// Errors: NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker that is named.
func find(tx store.Tx, b *bucket, key, version *string) (found, current *object, err error) {
	return findBy(currentOf, tx, b, key, version)
}

// sharedOf is find for those who only read: the record may be shared with other readers.
func sharedOf(tx store.Tx, b *bucket, key, version *string) (*object, error) {
	found, _, err := findBy(sharedCurrentOf, tx, b, key, version)
	return found, err
}

func findBy(currentOf func(store.Tx, *bucket, string) (*object, error), tx store.Tx, b *bucket, key, version *string) (found, current *object, err error) {
	if err := checkKey(aws.ToString(key)); err != nil {
		return nil, nil, err
	}
	if version == nil {
		found, err = currentOf(tx, b, *key)
		switch {
		case err != nil:
			return nil, nil, err
		case found == nil:
			return nil, nil, errNoSuchKey(*key)
		case found.Marker:
			return nil, nil, errDeleted(*key, found.versionID())
		}
		return found, found, nil
	}
	if *version == "" {
		return nil, nil, errInvalidArgument("Version id cannot be the empty string", "versionId", "")
	}
	found, current, err = versionOf(tx, b, *key, *version)
	switch {
	case err != nil:
		return nil, nil, err
	case found == nil && *version != "null" && !plausibleVersion(*version):
		return nil, nil, errInvalidArgument("Invalid version id specified", "versionId", *version)
	case found == nil:
		return nil, nil, errNoSuchVersion(*key, *version)
	case found.Marker:
		return nil, nil, errMarkerNamed(found.versionID(), found.Modified)
	}
	return found, current, nil
}

// plausibleVersion tells whether the text may have been a version id of ours, or of AWS.
func plausibleVersion(id string) bool {
	if len(id) < 32 || len(id) > 64 {
		return false
	}
	return strings.IndexFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-'
	}) < 0
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return errKeyTooLong(len(key))
	}
	if !utf8.ValidString(key) {
		return errInvalidURI()
	}
	return nil
}

// open opens an object's bytes in the transaction that read its record, and answers how to read them.
func (s *Service) open(tx store.Tx, o *object, customer []byte) (content, error) {
	if o.Parts != nil {
		return s.openParts(tx, o, customer)
	}
	body, err := s.blobs.Open(tx, o.Blob, customer)
	if err != nil {
		return nil, err
	}
	return body, nil
}

// content is an object's bytes, opened.
type content interface {
	Range(offset, length int64) io.ReadCloser
	Close() error
}

// observe tells who wants to know that an object is new.
func (s *Service) observe(tx store.Tx, b *bucket, o *object) error {
	for _, tell := range s.observers {
		if err := tell(tx, b, o); err != nil {
			return err
		}
	}
	return nil
}

// readOpened reads records and opens bytes in one transaction, again if the bytes were removed in between.
func (s *Service) readOpened(ctx context.Context, read func(store.Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := s.db.View(ctx, read)
		if !errors.Is(err, blob.ErrGone) || attempt == 3 {
			return err
		}
	}
}

// holdsObjects is what DeleteBucket asks: whether there is anything in the bucket.
func holdsObjects(tx store.Tx, b *bucket) (bool, error) {
	for _, err := range objects.In(tx, global).Scan(store.Query{Parts: store.ID{b.ID}}) {
		return true, err
	}
	return false, nil
}
