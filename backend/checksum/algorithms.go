package checksum

import (
	"crypto/md5"  //nolint:gosec // a checksum of S3, not a signature
	"crypto/sha1" //nolint:gosec // a checksum of S3, not a signature
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"

	"miniaws/backend/sha"
)

// Algorithm is the name that the API has for one.
type Algorithm string

// The algorithms.
// AWS: "Checking object integrity for data uploads in Amazon S3"; xxHashes are in their canonical
// form: the most significant byte first.
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
	SHA512    Algorithm = "SHA512"
	MD5       Algorithm = "MD5"
	XXHASH64  Algorithm = "XXHASH64"
	XXHASH3   Algorithm = "XXHASH3"
	XXHASH128 Algorithm = "XXHASH128"
)

// All lists the algorithms.
var All = []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// New starts a checksum; nil if the algorithm is not one of ours.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC64NVME:
		return crc64nvme.New()
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha.New()
	case SHA512:
		return sha512.New()
	case MD5:
		return md5.New()
	case XXHASH64:
		return xxhash.New()
	case XXHASH3:
		return xxh3.New()
	case XXHASH128:
		return wide{xxh3.New()}
	}
	return nil
}

// Size is the length of a checksum in bytes; 0 if the algorithm is not one of ours.
func (a Algorithm) Size() int {
	switch a {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME, XXHASH64, XXHASH3:
		return 8
	case XXHASH128:
		return 16
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha.Size
	case SHA512:
		return sha512.Size
	case MD5:
		return md5.Size
	}
	return 0
}

// Header is the request and response header of the algorithm, in canonical form.
func (a Algorithm) Header() string {
	switch a {
	case CRC32:
		return "X-Amz-Checksum-Crc32"
	case CRC32C:
		return "X-Amz-Checksum-Crc32c"
	case CRC64NVME:
		return "X-Amz-Checksum-Crc64nvme"
	case SHA1:
		return "X-Amz-Checksum-Sha1"
	case SHA256:
		return "X-Amz-Checksum-Sha256"
	case SHA512:
		return "X-Amz-Checksum-Sha512"
	case MD5:
		return "X-Amz-Checksum-Md5"
	case XXHASH64:
		return "X-Amz-Checksum-Xxhash64"
	case XXHASH3:
		return "X-Amz-Checksum-Xxhash3"
	case XXHASH128:
		return "X-Amz-Checksum-Xxhash128"
	}
	return ""
}

// wide is XXH3 with 128 bits.
type wide struct{ *xxh3.Hasher }

// Size is in bytes.
func (w wide) Size() int { return 16 }

// Sum appends the 128 bits.
func (w wide) Sum(to []byte) []byte {
	sum := w.Sum128().Bytes()
	return append(to, sum[:]...)
}

// Linear tells whether the checksum of a whole follows from those of its parts.
func (a Algorithm) Linear() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// Decode reads the base64 form on the wire; ok is false if it is not a checksum of this algorithm.
func (a Algorithm) Decode(text string) (sum []byte, ok bool) {
	sum, err := base64.StdEncoding.DecodeString(text)
	return sum, err == nil && len(sum) == a.Size() && len(sum) > 0
}

// Encode is the base64 form on the wire.
func Encode(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }
