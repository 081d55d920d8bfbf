package awsapi

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"miniaws/awsapi/wire"
)

// Formats of timestamps. AWS keeps milliseconds at most.
const (
	dateTimeFormat = "2006-01-02T15:04:05.999Z"
	httpDateFormat = "Mon, 02 Jan 2006 15:04:05 GMT"
)

// parseScalar reads the text form that forms, XML, headers and URIs share.
func parseScalar(p *plan, s string, v reflect.Value) error {
	switch p.kind {
	case kindString:
		v.SetString(s)
	case kindBool:
		switch {
		case s == "1" || strings.EqualFold(s, "true"):
			v.SetBool(true)
		case s == "0" || strings.EqualFold(s, "false"):
			v.SetBool(false)
		default:
			return malformed("'%s' is not a boolean", shorten(s))
		}
	case kindInt:
		i, err := strconv.ParseInt(strings.TrimSpace(s), 10, p.bits)
		if err != nil {
			return malformed("'%s' is not an integer of %d bits", shorten(s), p.bits)
		}
		v.SetInt(i)
	case kindFloat:
		f, err := strconv.ParseFloat(strings.TrimSpace(s), p.bits)
		if err != nil {
			return malformed("'%s' is not a number", shorten(s))
		}
		v.SetFloat(f)
	case kindTime:
		t, err := parseTime(strings.TrimSpace(s))
		if err != nil {
			return err
		}
		setTime(v, t)
	case kindBlob:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return malformed("the value is not base64")
		}
		v.SetBytes(b)
	default:
		return malformed("a simple value stands where %v is expected", p.typ)
	}
	return nil
}

func shorten(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}

// parseTime takes every format that AWS takes: RFC 3339, date only, HTTP date and epoch seconds.
func parseTime(s string) (time.Time, error) {
	for _, format := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02", "20060102T150405Z", httpDateFormat, "2006-01-02T15:04Z"} {
		if t, err := time.Parse(format, s); err == nil {
			return writable(t.UTC())
		}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return epoch(f)
	}
	return time.Time{}, malformed("'%s' is not a timestamp", shorten(s))
}

// writable refuses years that RFC 3339 has no form for: such a time could be neither stored nor written back.
func writable(t time.Time) (time.Time, error) {
	if y := t.Year(); y < 0 || y > 9999 {
		return time.Time{}, malformed("timestamp out of range")
	}
	return t, nil
}

// epoch keeps milliseconds.
func epoch(f float64) (time.Time, error) {
	if math.IsNaN(f) || math.Abs(f) > 1e12 { // far outside, but not so far that the milliseconds overflow
		return time.Time{}, malformed("timestamp out of range")
	}
	return writable(time.UnixMilli(int64(math.Round(f * 1000))).UTC())
}

func appendTime(b []byte, t time.Time, format wire.Flags) []byte {
	switch {
	case format&wire.HTTPDate != 0:
		return t.UTC().AppendFormat(b, httpDateFormat)
	case format&wire.Epoch != 0:
		ms := t.UnixMilli()
		if ms%1000 == 0 {
			return strconv.AppendInt(b, ms/1000, 10)
		}
		return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
	}
	return appendDateTime(b, t, false)
}

// appendDateTime writes 2006-01-02T15:04:05.678Z, without the thousandths where there are none, unless they are wanted.
func appendDateTime(b []byte, t time.Time, millis bool) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 { // no decoder takes such a time
		return t.AppendFormat(b, dateTimeFormat)
	}
	hour, minute, second := t.Clock()
	b = append(twoDigits(twoDigits(b, year/100), year%100), '-')
	b = append(twoDigits(b, int(month)), '-')
	b = append(twoDigits(b, day), 'T')
	b = append(twoDigits(b, hour), ':')
	b = append(twoDigits(b, minute), ':')
	b = twoDigits(b, second)
	if n := t.Nanosecond() / int(time.Millisecond); n != 0 || millis {
		b = append(b, '.', byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
		for !millis && b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z')
}

func twoDigits(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// appendFloat writes numbers as AWS's Java services do: 1.0, 0.25, 1.0E10.
func appendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	if a := math.Abs(f); a == 0 || (a >= 1e-3 && a < 1e7) {
		start := len(b)
		b = strconv.AppendFloat(b, f, 'f', -1, bits)
		if !strings.Contains(string(b[start:]), ".") {
			b = append(b, ".0"...)
		}
		return b
	}
	s := strconv.FormatFloat(f, 'E', -1, bits)
	mantissa, exponent, _ := strings.Cut(s, "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	sign := ""
	if exponent[0] == '-' {
		sign = "-"
	}
	return append(b, mantissa+"E"+sign+strings.TrimLeft(exponent[1:], "0")...)
}

// appendScalar writes the text form without escaping; only strings can need it.
func appendScalar(b []byte, p *plan, at place, format wire.Flags) ([]byte, bool) {
	switch p.kind {
	case kindString:
		return append(b, stringAt(at)...), true
	case kindBool:
		return strconv.AppendBool(b, boolAt(at)), true
	case kindInt:
		return strconv.AppendInt(b, p.intAt(at), 10), true
	case kindFloat:
		return appendFloat(b, p.floatAt(at), p.bits), true
	case kindTime:
		if p.stamp != 0 {
			format = p.stamp
		}
		if p.millis && format&(wire.HTTPDate|wire.Epoch) == 0 {
			return appendDateTime(b, timeAt(at), true), true // AWS: the examples of the S3 API reference
		}
		return appendTime(b, timeAt(at), format), true
	case kindBlob:
		return base64.StdEncoding.AppendEncode(b, bytesAt(at)), true
	}
	return b, false
}
