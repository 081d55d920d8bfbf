package ec2

import (
	"encoding/hex"
	"hash/fnv"
)

// hashOf spreads texts over numbers; it is no secret.
func hashOf(text string) uint32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(text))
	return hash.Sum32()
}

// serviceID is the part of an id that follows from a name: 17 hex digits.
func serviceID(name string) string {
	hash := fnv.New128a()
	_, _ = hash.Write([]byte(name))
	return hex.EncodeToString(hash.Sum(nil))[:17]
}
