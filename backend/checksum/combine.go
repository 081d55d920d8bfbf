package checksum

import "encoding/binary"

// Polynomials in the reflected form, as the tables of these checksums have them.
const (
	polyCRC32     = 0xedb88320
	polyCRC32C    = 0x82f63b78
	polyCRC64NVME = 0x9a6c9329ac4bc9b5
)

// Combine answers the checksum of left's bytes followed by right's, of which there are rightLength. It panics for an
// algorithm that is not [Algorithm.Linear].
//
// A CRC is linear: the left one is carried through as many zero bytes as the right part is long, which is a
// multiplication by x^(8n), and then the right one is added.
func (a Algorithm) Combine(left, right []byte, rightLength int64) []byte {
	var poly uint64
	width := 32
	switch a {
	case CRC32:
		poly = polyCRC32
	case CRC32C:
		poly = polyCRC32C
	case CRC64NVME:
		poly, width = polyCRC64NVME, 64
	default:
		panic("checksum: " + string(a) + " cannot be combined")
	}
	sum := multiply(poly, width, number(left), power(poly, width, rightLength)) ^ number(right)
	if width == 32 {
		return binary.BigEndian.AppendUint32(nil, uint32(sum))
	}
	return binary.BigEndian.AppendUint64(nil, sum)
}

func number(sum []byte) uint64 {
	if len(sum) == 4 {
		return uint64(binary.BigEndian.Uint32(sum))
	}
	return binary.BigEndian.Uint64(sum)
}

// multiply is a*b modulo the polynomial; the highest bit is the coefficient of x^0.
func multiply(poly uint64, width int, a, b uint64) uint64 {
	var product uint64
	for bit := uint64(1) << (width - 1); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ poly
		} else {
			b >>= 1
		}
	}
	return product
}

// power is x^(8n) modulo the polynomial.
func power(poly uint64, width int, n int64) uint64 {
	result := uint64(1) << (width - 1) // x^0
	square := uint64(1) << (width - 9) // x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = multiply(poly, width, result, square)
		}
		square = multiply(poly, width, square, square)
	}
	return result
}
