package s3

import (
	"encoding/base64"
)

// Continuation tokens name the place where a listing goes on. They are opaque to clients, and authenticate nothing:
// what a listing shows is decided by who asks.

func sealToken(place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte("1" + place))
}

func openToken(token string) (place string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 2 || raw[0] != '1' {
		return "", false
	}
	return string(raw[1:]), true
}
