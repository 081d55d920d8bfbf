package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A record is one group of transactions:
//
//	u32 magic | u32 length of body | u32 CRC32C | u32 transactions | u64 first revision | body
//
// The body is a list of transactions: uvarint number of writes, then for each: one byte (0 put, 1 delete),
// uvarint length of key, key and, for a put, uvarint length of value, value. Transaction i has revision first+i.
// The checksum also covers salt and place (see segment), so what a reused segment held before, or what a user put
// into a value, can never pass for a record.
const (
	recordMagic  = 0x9c47a1d3
	recordHeader = 24

	// maxGroup bounds the transactions merged into one record; one of the largest size always fits.
	maxGroup       = MaxTransaction
	maxGroupWrites = 2 * MaxWrites

	// maxRecord: encoding a write needs less than writeOverhead on top of key and value.
	maxRecord = recordHeader + maxGroup + maxGroupWrites
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errNoGroup = errors.New("no valid record")
)

// group is a decoded record.
type group struct {
	first        uint64
	transactions [][]write
}

func (g group) last() uint64 { return g.first + uint64(len(g.transactions)) - 1 }

// appendRecord encodes g for a place in a segment.
func appendRecord(b []byte, salt, offset uint64, g group) []byte {
	start := len(b)
	b = append(b, make([]byte, recordHeader)...)
	for _, ws := range g.transactions {
		b = binary.AppendUvarint(b, uint64(len(ws)))
		for _, w := range ws {
			if w.deleted {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
			b = binary.AppendUvarint(b, uint64(len(w.key)))
			b = append(b, w.key...)
			if !w.deleted {
				b = binary.AppendUvarint(b, uint64(len(w.value)))
				b = append(b, w.value...)
			}
		}
	}
	h := b[start:]
	binary.LittleEndian.PutUint32(h, recordMagic)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(h)-recordHeader))
	binary.LittleEndian.PutUint32(h[12:], uint32(len(g.transactions)))
	binary.LittleEndian.PutUint64(h[16:], g.first)
	binary.LittleEndian.PutUint32(h[8:], recordSum(salt, offset, h))
	return b
}

func recordSum(salt, offset uint64, record []byte) uint32 {
	var place [16]byte
	binary.LittleEndian.PutUint64(place[:], salt)
	binary.LittleEndian.PutUint64(place[8:], offset)
	sum := crc32.Update(0, castagnoli, place[:])
	sum = crc32.Update(sum, castagnoli, record[4:8])
	return crc32.Update(sum, castagnoli, record[12:])
}

// recordLength reads a header: the length of the whole record, or errNoGroup.
func recordLength(header []byte) (int, error) {
	if len(header) < recordHeader || binary.LittleEndian.Uint32(header) != recordMagic {
		return 0, errNoGroup
	}
	n := binary.LittleEndian.Uint32(header[4:])
	if n > maxRecord-recordHeader {
		return 0, errNoGroup
	}
	return recordHeader + int(n), nil
}

// decodeRecord returns the record at the beginning of b and its length, or errNoGroup. Values alias b.
func decodeRecord(b []byte, salt, offset uint64) (group, int, error) {
	n, err := recordLength(b)
	if err != nil || n > len(b) {
		return group{}, 0, errNoGroup
	}
	b = b[:n]
	if recordSum(salt, offset, b) != binary.LittleEndian.Uint32(b[8:]) {
		return group{}, 0, errNoGroup
	}
	g := group{first: binary.LittleEndian.Uint64(b[16:])}
	count := binary.LittleEndian.Uint32(b[12:])
	body := reader{b: b[recordHeader:]}
	for range count {
		ws, err := body.transaction()
		if err != nil {
			return group{}, 0, fmt.Errorf("%w: record of revision %d: %w", ErrDamaged, g.first, err)
		}
		g.transactions = append(g.transactions, ws)
	}
	if len(body.b) > 0 || count == 0 {
		return group{}, 0, fmt.Errorf("%w: record of revision %d has a wrong length", ErrDamaged, g.first)
	}
	return g, n, nil
}

type reader struct{ b []byte }

var errShort = errors.New("ends too early")

func (r *reader) uvarint() (uint64, error) {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		return 0, errShort
	}
	r.b = r.b[n:]
	return v, nil
}

func (r *reader) bytes() ([]byte, error) {
	n, err := r.uvarint()
	if err != nil || n > uint64(len(r.b)) {
		return nil, errShort
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v, nil
}

func (r *reader) transaction() ([]write, error) {
	n, err := r.uvarint()
	if err != nil || n > uint64(len(r.b)) {
		return nil, errShort
	}
	ws := make([]write, 0, n)
	for range n {
		if len(r.b) == 0 || r.b[0] > 1 {
			return nil, errShort
		}
		w := write{deleted: r.b[0] == 1}
		r.b = r.b[1:]
		k, err := r.bytes()
		if err != nil {
			return nil, err
		}
		w.key = Key(k)
		if !w.deleted {
			if w.value, err = r.bytes(); err != nil {
				return nil, err
			}
		}
		ws = append(ws, w)
	}
	return ws, nil
}
