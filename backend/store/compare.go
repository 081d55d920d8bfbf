package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Comparison is what [Compare] found.
type Comparison struct {
	// Rows are those of dump and log, of which the index should be a copy.
	Rows int64
	// Differences are keys with what is wrong about them, the first maxDifferences of them.
	Differences []string
}

const maxDifferences = 100

// Compare reads dump and log from the disk and compares every row with the index. It holds all rows in memory, and
// nobody may write meanwhile. A store that keeps nothing on the disk has nothing to compare.
func Compare(ctx context.Context, db DB) (Comparison, error) {
	d, ok := db.(*durable)
	if !ok {
		return Comparison{}, errors.New("this store keeps nothing on the disk")
	}
	d.mu.Lock()
	x := d.badger
	d.mu.Unlock()
	if x == nil {
		return Comparison{}, fmt.Errorf("%w: the index is closed while the disk is full", ErrFull)
	}
	truth, err := d.openEmergency()
	if err != nil {
		return Comparison{}, err
	}
	want, _ := truth.snapshot()
	defer want.release()
	have, _ := x.snapshot()
	defer have.release()
	result := Comparison{Rows: truth.rows()}
	differ := func(k Key, what string) {
		if len(result.Differences) < maxDifferences {
			result.Differences = append(result.Differences, readable(k)+": "+what)
		}
	}
	nextWant, stopWant := iter.Pull2(allRows(ctx, want))
	defer stopWant()
	nextHave, stopHave := iter.Pull2(allRows(ctx, have))
	defer stopHave()
	wanted, wantErr, inTruth := nextWant()
	found, haveErr, inIndex := nextHave()
	for inTruth || inIndex {
		if err := errors.Join(wantErr, haveErr); err != nil {
			return result, err
		}
		switch {
		case !inIndex || inTruth && wanted.Key < found.Key:
			differ(wanted.Key, "the index lacks it")
			wanted, wantErr, inTruth = nextWant()
			continue
		case !inTruth || found.Key < wanted.Key:
			differ(found.Key, "the index has it, dump and log do not")
			found, haveErr, inIndex = nextHave()
			continue
		case !bytes.Equal(wanted.Value, found.Value):
			differ(wanted.Key, "the index has another value")
		}
		wanted, wantErr, inTruth = nextWant()
		found, haveErr, inIndex = nextHave()
	}
	return result, nil
}

func allRows(ctx context.Context, s snapshot) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := s.scan(tree, func(r Row) bool { return ctx.Err() == nil && yield(r, nil) })
		if err = errors.Join(err, ctx.Err()); err != nil {
			yield(Row{}, err)
		}
	}
}

// readable is a key as people write it.
func readable(k Key) string {
	return strings.ReplaceAll(string(k), partSeparator, ",")
}

// Record is a row of any table, for people who look behind a resource.
type Record struct {
	// Place is the key as people write it: /<fork>/<account>/<region>/<service>/<table>/<id>.
	Place string
	// JSON is the record.
	JSON []byte
}

// Records answers the records of all tables whose id is, or ends with, the given one. It walks through all keys.
func Records(ctx context.Context, db DB, id string) (found []Record, err error) {
	err = db.View(ctx, func(tx Tx) error {
		found = nil
		for row, err := range tx.Scan(Range{Start: tree.Start, End: tree.End, KeysOnly: true}) {
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			parts := strings.SplitN(string(row.Key), "/", 7)
			if len(parts) < 7 || strings.Contains(parts[5], "@") || parts[6] != escapePart(id) && !strings.HasSuffix(parts[6], partSeparator+escapePart(id)) {
				continue
			}
			value, err := tx.Get(row.Key)
			if err != nil {
				return err
			}
			_, body, err := splitVersioned(value)
			if err != nil {
				continue // not a table's
			}
			found = append(found, Record{Place: readable(row.Key), JSON: body})
		}
		return nil
	})
	return found, err
}
