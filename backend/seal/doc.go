// Package seal keeps secrets at rest unreadable: authenticated encryption under keys that derive from one key file of
// the installation.
//
//	key := seal.Load(data/secrets.key)   made at first start, 0600
//	box := key.Sealer("iam/secrets")     one key for each purpose: a box never opens what another one sealed
//	box.Seal(plain, "AKIA…")             AES-256-GCM; the context must be the same to open it
//
// It does not protect against somebody who can read the key file, and does not rotate keys.
package seal
