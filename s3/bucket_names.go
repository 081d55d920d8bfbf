package s3

import (
	"net/netip"
	"strings"
)

// AWS: "General purpose bucket naming rules".

// validBucketName tells whether a bucket may be created with the name.
func validBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case (c == '-' || c == '.') && i > 0 && i < len(name)-1:
		default:
			return false
		}
	}
	if strings.Contains(name, ".-") || strings.Contains(name, "-.") {
		return false
	}
	if address, err := netip.ParseAddr(name); err == nil && address.Is4() {
		return false
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return true
}

// validForLookup tells whether a name may belong to a bucket at all, also one of the days when the rules were looser:
// a request for another answers InvalidBucketName and not NoSuchBucket.
func validForLookup(name string) bool {
	if len(name) < 3 || len(name) > 255 {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}
