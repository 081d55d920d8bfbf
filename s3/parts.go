package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"miniaws/backend/blob"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// AWS: "Amazon S3 multipart upload limits".
const (
	maxParts = 10_000
	minPart  = 5 << 20
)

// part is a part of an upload, and later of the object that it became: completing an upload moves nothing.
type part struct {
	Upload   string    `json:"u"`
	Number   int32     `json:"n"`
	Size     int64     `json:"s"`
	MD5      string    `json:"e"` // hex
	ETag     string    `json:"t,omitempty"`
	Sum      string    `json:"c,omitempty"` // base64, of the upload's algorithm
	Modified time.Time `json:"m"`
	Blob     blob.Ref  `json:"r"`
}

// etag is what users see.
func (p *part) etag() string {
	if p.ETag != "" {
		return p.ETag
	}
	return p.MD5
}

func partID(upload string, number int32) store.ID {
	return store.ID{upload, fmt.Sprintf("%05d", number)}
}

// parts are the parts of uploads and manifests; manifests counts the objects that share the parts of one.
var (
	parts = store.NewTable(store.Spec[part]{
		Service: "s3", Name: "parts",
		ID: func(p *part) store.ID { return partID(p.Upload, p.Number) },
	})
	manifests = store.NewTable(store.Spec[shares]{
		Service: "s3", Name: "manifests",
		ID: func(m *shares) store.ID { return store.ID{m.ID} },
	})
)

type shares struct {
	ID      string
	Objects int64
}

// partsOf yields parts in the order of their numbers.
func partsOf(tx store.Tx, upload string) iter.Seq2[*part, error] {
	return parts.In(tx, global).Scan(store.Query{Parts: store.ID{upload}})
}

func shareManifest(tx store.Tx, m *manifest) error {
	rows := manifests.In(tx, global)
	row, err := rows.Get(m.ID)
	if err != nil {
		return err
	}
	row.Objects++
	return rows.Put(row)
}

// kindParts is the reconcile loop's kind of parts that nothing refers to any more: there may be more of them than a
// transaction holds.
const kindParts = "s3.parts"

// dropManifest gives the parts of an object back.
func dropManifest(tx store.Tx, m *manifest) error {
	rows := manifests.In(tx, global)
	row, err := rows.Find(m.ID)
	if err != nil || row == nil {
		return err
	}
	if row.Objects--; row.Objects > 0 {
		return rows.Put(row)
	}
	if err := rows.Delete(m.ID); err != nil {
		return err
	}
	return reconcile.Want(tx, reconcile.Item{Kind: kindParts, ID: m.ID})
}

// partsTogether is how many parts are removed in one commit.
const partsTogether = 200

// removeParts removes the parts of an upload that was aborted, or of an object that is gone.
func (s *Service) removeParts(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	if s.readers.busy(item.ID) {
		return time.Second, nil
	}
	for {
		removed := 0
		err := s.db.Update(ctx, func(tx store.Tx) error {
			removed = 0
			for p, err := range partsOf(tx, item.ID) {
				if err != nil {
					return err
				}
				if removed++; removed > partsTogether {
					break
				}
				if err := s.removePart(tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || removed <= partsTogether {
			return 0, err
		}
	}
}

func (s *Service) removePart(tx store.Tx, p *part) error {
	if err := s.blobs.Drop(tx, p.Blob); err != nil {
		return err
	}
	return parts.In(tx, global).Delete(partID(p.Upload, p.Number)...)
}

// opened is an object of many parts that is read. Small parts are opened when they are reached; one that is gone by
// then ends the reading, and the client's with it.
type opened struct {
	s        *Service
	parts    []openPart
	customer []byte
}

type openPart struct {
	ref    blob.Ref
	offset int64
}

func (s *Service) openParts(tx store.Tx, o *object, customer []byte) (content, error) {
	id := o.Parts.ID
	s.readers.enter(id)
	leave := func() { s.readers.leave(id) }
	// Whoever removes the parts takes the manifest's row away first, and then waits for those who read.
	err := s.db.View(context.Background(), func(now store.Tx) error {
		row, err := manifests.In(now, global).Find(id)
		if err == nil && row == nil {
			err = blob.ErrGone
		}
		return err
	})
	all := &opened{s: s, customer: customer, parts: make([]openPart, 0, o.Parts.Count)}
	var offset int64
	for p, broke := range partsOf(tx, id) {
		if err = errors.Join(err, broke); err != nil {
			break
		}
		all.parts = append(all.parts, openPart{p.Blob, offset})
		offset += p.Size
	}
	if err == nil && (offset != o.Size || int32(len(all.parts)) != o.Parts.Count) {
		err = fmt.Errorf("%w: the parts of %s", blob.ErrDamaged, id)
	}
	if err != nil {
		leave()
		return nil, err
	}
	return &pinned{content: all, leave: leave}, nil
}

// Range reads across parts.
func (a *opened) Range(offset, length int64) io.ReadCloser {
	return &acrossParts{all: a, offset: offset, left: length}
}

func (a *opened) Close() error { return nil }

// acrossParts is a range over several parts.
type acrossParts struct {
	all     *opened
	next    int
	offset  int64
	left    int64
	current io.ReadCloser
	rest    int64 // of current
}

// advance opens the part that the next byte is in.
func (r *acrossParts) advance() error {
	if err := r.Close(); err != nil {
		return err
	}
	for r.next+1 < len(r.all.parts) && r.all.parts[r.next+1].offset <= r.offset {
		r.next++
	}
	p := r.all.parts[r.next]
	var body *blob.Body
	err := r.all.s.db.View(context.Background(), func(tx store.Tx) (err error) {
		body, err = r.all.s.blobs.Open(tx, p.ref, r.all.customer)
		return err
	})
	if err != nil {
		return err
	}
	inside := r.offset - p.offset
	r.rest = min(p.ref.Size-inside, r.left)
	r.current = body.Range(inside, r.rest)
	return nil
}

func (r *acrossParts) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.rest == 0 {
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n, err := r.current.Read(b[:min(int64(len(b)), r.rest)])
	r.took(int64(n))
	if err == io.EOF {
		err = nil
		if r.rest > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

func (r *acrossParts) took(n int64) {
	r.offset += n
	r.left -= n
	r.rest -= n
}

// WriteTo lets each part take its own shortest way.
func (r *acrossParts) WriteTo(w io.Writer) (total int64, err error) {
	for r.left > 0 {
		if r.rest == 0 {
			if err := r.advance(); err != nil {
				return total, err
			}
		}
		n, err := io.Copy(w, r.current)
		total += n
		r.took(n)
		if err != nil {
			return total, err
		}
		if r.rest > 0 {
			return total, io.ErrUnexpectedEOF
		}
	}
	return total, nil
}

func (r *acrossParts) Close() error {
	if r.current == nil {
		return nil
	}
	err := r.current.Close()
	r.current, r.rest = nil, 0
	return err
}
