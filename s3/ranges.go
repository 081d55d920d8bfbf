package s3

import (
	"strconv"
	"strings"
)

// span is a piece of an object.
type span struct{ offset, length int64 }

// rangeOf reads a Range header. Without one, with one that is not a single range of bytes, it is the whole object and
// partial is false. Error: InvalidRange.
//
// AWS: API reference of GetObject: several ranges are not supported; RFC 9110, 14.2: what cannot be read is ignored.
func rangeOf(header *string, size int64) (piece span, partial bool, err error) {
	whole := span{0, size}
	if header == nil {
		return whole, false, nil
	}
	first, last, ok := readRange(*header)
	switch {
	case !ok:
		return whole, false, nil
	case first < 0: // the last bytes
		if last == 0 || size == 0 {
			return whole, false, errInvalidRange(*header, size)
		}
		length := min(last, size)
		return span{size - length, length}, true, nil
	case first >= size:
		return whole, false, errInvalidRange(*header, size)
	}
	if last < 0 || last >= size {
		last = size - 1
	}
	return span{first, last - first + 1}, true, nil
}

// readRange reads bytes=first-last; last is -1 if it is open, first is -1 for the last bytes.
func readRange(header string) (first, last int64, ok bool) {
	unit, text, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(text, ",") {
		return 0, 0, false
	}
	from, to, ok := strings.Cut(strings.TrimSpace(text), "-")
	if !ok || from == "" && to == "" {
		return 0, 0, false
	}
	first, last = -1, -1
	if from != "" {
		if first, ok = digits(from); !ok {
			return 0, 0, false
		}
	}
	if to != "" {
		if last, ok = digits(to); !ok {
			return 0, 0, false
		}
	}
	if first >= 0 && last >= 0 && last < first {
		return 0, 0, false
	}
	return first, last, true
}

func digits(text string) (int64, bool) {
	if strings.Trim(text, "0123456789") != "" || text == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 1<<63 - 1, true // beyond every object
	}
	return n, true
}

func (p span) header(size int64) string {
	return "bytes " + strconv.FormatInt(p.offset, 10) + "-" + strconv.FormatInt(p.offset+p.length-1, 10) + "/" + strconv.FormatInt(size, 10)
}
