package sha

import (
	"hash"

	simd "github.com/minio/sha256-simd"
)

// Size is the length of a SHA-256 sum in bytes.
const Size = simd.Size

// BlockSize is the length of SHA-256's input block in bytes, which HMAC pads its key to.
const BlockSize = simd.BlockSize

// New returns a running SHA-256; it is not safe for use by several goroutines.
func New() hash.Hash { return simd.New() }

// Sum256 hashes data in one call and allocates nothing.
func Sum256(data []byte) [Size]byte { return simd.Sum256(data) }
