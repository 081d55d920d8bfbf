package iam

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"

	"miniaws/backend/lazyregexp"
)

// AWS: "IAM identifiers" in the user guide: what unique ids begin with.
const (
	prefixGroup           = "AGPA"
	prefixInstanceProfile = "AIPA"
	prefixPolicy          = "ANPA"
	prefixRole            = "AROA"
	prefixServerCert      = "ASCA"
	prefixSSHKey          = "APKA"
	prefixSpecificCred    = "ACCA"
	prefixUser            = "AIDA"
)

// newUniqueID answers an id of 21 characters, as AWS makes them. The randomness is far beyond chance collisions.
func newUniqueID(prefix string) string { return prefix + randomBase32(17) }

// randomBase32 answers n (at most 64) random characters of A to Z and 2 to 7.
func randomBase32(n int) string {
	var raw [40]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base32.StdEncoding.EncodeToString(raw[:])[:n]
}

var (
	namePattern = lazyregexp.New(`^[\w+=,.@-]+$`)
	// AWS: "path" in the IAM API reference: begins and ends with a slash, printable ASCII.
	pathPattern = lazyregexp.New(`^(/|/[!-\x7f]+/)$`)
)

// checkName refuses names with characters that AWS does not take; lengths are the model's.
func checkName(member, name string) error {
	if !namePattern.MatchString(name) {
		return errInvalidName(member)
	}
	return nil
}

// pathOr answers the path, "/" where none is given.
func pathOr(path *string) (string, error) {
	if path == nil {
		return "/", nil
	}
	if !pathPattern.MatchString(*path) || strings.Contains(*path, "//") {
		return "", errValidation("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return *path, nil
}

// arn is the name of a resource of IAM, which has no region; resource is such as "user/division/alice".
func arn(account, resource string) string { return "arn:aws:iam::" + account + ":" + resource }

// arnParts splits the ARN of a resource of IAM: its account and, for example, "user" and "/division/alice".
func arnParts(text string) (account, kind, rest string, ok bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" {
		return "", "", "", false
	}
	kind, rest, ok = strings.Cut(parts[5], "/")
	return parts[4], kind, "/" + rest, ok
}

// lastName is the name in "/division/alice".
func lastName(pathAndName string) string {
	return pathAndName[strings.LastIndexByte(pathAndName, '/')+1:]
}

// folded is the form of a name in which two that AWS takes for the same are equal.
// AWS: "IAM and STS quotas": names are not distinguished by case.
func folded(name string) string { return strings.ToLower(name) }

// sameText compares in a time that does not tell where they differ.
func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// newTaskID answers a random UUID (version 4).
func newTaskID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}
