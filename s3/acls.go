package s3

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// grant is one permission of an ACL.
type grant struct {
	// To is an account's number, or one of the groups below.
	To         string
	Permission types.Permission
}

// The groups that ACLs know, under the last part of their URIs.
const (
	everybody     = "AllUsers"
	authenticated = "AuthenticatedUsers"
	logDelivery   = "LogDelivery"
)

// AWS: "Access control list (ACL) overview": Amazon S3 predefined groups.
var groupURIs = map[string]string{
	everybody:     "http://acs.amazonaws.com/groups/global/AllUsers",
	authenticated: "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
	logDelivery:   "http://acs.amazonaws.com/groups/s3/LogDelivery",
}

func groupOf(uri string) (string, bool) {
	for name, known := range groupURIs {
		if known == uri {
			return name, true
		}
	}
	return "", false
}

// aclTarget is what an ACL is for: canned ACLs and permissions differ.
type aclTarget int

const (
	forBucket aclTarget = iota
	forObject
)

// aclWish is an ACL as a request states it: in headers, one of them or a canned one, or in the body.
type aclWish struct {
	canned                               string
	full, read, readACP, write, writeACP *string
	body                                 *types.AccessControlPolicy
}

func (w aclWish) headers() bool {
	return w.full != nil || w.read != nil || w.readACP != nil || w.write != nil || w.writeACP != nil
}

// check refuses what is no ACL of any bucket: a canned one that there is not, or two ways at once.
func (w aclWish) check(target aclTarget) error {
	if w.canned == "" {
		return nil
	}
	if w.headers() {
		return errInvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
	}
	_, err := cannedACL(w.canned, "", "", target)
	return err
}

// maxGrants is how many grants an ACL holds.
// AWS: "Access control list (ACL) overview".
const maxGrants = 100

// ownerOnly is the usual ACL.
func ownerOnly(account string) []grant { return []grant{{account, types.PermissionFullControl}} }

// onlyOwner tells whether the ACL gives nobody but the owner anything.
func onlyOwner(acl []grant, owner string) bool {
	return !slices.ContainsFunc(acl, func(g grant) bool { return g.To != owner })
}

// isPublicACL tells whether the ACL gives something to everybody or to everybody with an AWS account.
// AWS: "Blocking public access to your Amazon S3 storage", the meaning of "public".
func isPublicACL(acl []grant) bool {
	return slices.ContainsFunc(acl, func(g grant) bool { return g.To == everybody || g.To == authenticated })
}

// aclOf makes the ACL that a request wishes; nil, the usual one, if it wishes nothing. The owner is that of the bucket
// or object, bucketOwner that of the bucket.
func (s *Service) aclOf(ctx context.Context, w aclWish, owner, bucketOwner string, target aclTarget) ([]grant, error) {
	switch {
	case w.canned != "" && w.headers():
		return nil, errInvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
	case w.body != nil && (w.canned != "" || w.headers()):
		return nil, errUnexpectedContent()
	case w.canned != "":
		return cannedACL(w.canned, owner, bucketOwner, target)
	case w.body != nil:
		return s.aclOfBody(ctx, w.body, owner)
	case !w.headers():
		return nil, nil
	}
	var acl []grant
	for _, header := range []struct {
		name       string
		value      *string
		permission types.Permission
	}{
		{"x-amz-grant-full-control", w.full, types.PermissionFullControl},
		{"x-amz-grant-read", w.read, types.PermissionRead},
		{"x-amz-grant-read-acp", w.readACP, types.PermissionReadAcp},
		{"x-amz-grant-write", w.write, types.PermissionWrite},
		{"x-amz-grant-write-acp", w.writeACP, types.PermissionWriteAcp},
	} {
		if header.value == nil {
			continue
		}
		for grantee := range strings.SplitSeq(*header.value, ",") {
			kind, value, ok := strings.Cut(strings.TrimSpace(grantee), "=")
			if !ok {
				return nil, errInvalidArgument("Argument format not recognized", header.name, *header.value)
			}
			to, err := s.granteeOf(ctx, strings.TrimSpace(kind), strings.Trim(strings.TrimSpace(value), `"'`))
			if err != nil {
				return nil, err
			}
			acl = append(acl, grant{to, header.permission})
		}
	}
	if len(acl) > maxGrants {
		return nil, errMalformedACL()
	}
	return acl, nil
}

// granteeOf finds who is meant by one of the three ways to name a grantee.
func (s *Service) granteeOf(ctx context.Context, kind, value string) (string, error) {
	switch strings.ToLower(kind) {
	case "id":
		account, ok := accountOf(value)
		if ok && s.accounts != nil {
			known, err := s.accounts.AccountExists(ctx, account)
			if err != nil {
				return "", err
			}
			ok = known
		}
		if !ok {
			return "", errInvalidArgument("Invalid id", "CanonicalUser/ID", value)
		}
		return account, nil
	case "uri":
		group, ok := groupOf(value)
		if !ok {
			return "", errInvalidArgument("Invalid group uri", "Group/URI", value)
		}
		return group, nil
	case "emailaddress":
		// AWS: API reference of Grantee: since October 2025 email grantees answer 405.
		return "", errMethodNotAllowed()
	}
	return "", errInvalidArgument("Argument format not recognized", "x-amz-grant", kind)
}

func (s *Service) aclOfBody(ctx context.Context, body *types.AccessControlPolicy, owner string) ([]grant, error) {
	if body.Owner == nil || aws.ToString(body.Owner.ID) == "" {
		return nil, errMalformedACL()
	}
	if !strings.EqualFold(*body.Owner.ID, canonicalID(owner)) {
		if _, ok := accountOf(*body.Owner.ID); !ok {
			return nil, errInvalidArgument("Invalid id", "CanonicalUser/ID", *body.Owner.ID)
		}
		return nil, errAccessDenied()
	}
	if len(body.Grants) > maxGrants {
		return nil, errMalformedACL()
	}
	acl := []grant{}
	for _, g := range body.Grants {
		if g.Grantee == nil || !slices.Contains(g.Permission.Values(), g.Permission) {
			return nil, errMalformedACL()
		}
		var kind, value string
		switch g.Grantee.Type {
		case types.TypeCanonicalUser:
			kind, value = "id", aws.ToString(g.Grantee.ID)
		case types.TypeGroup:
			kind, value = "uri", aws.ToString(g.Grantee.URI)
		case types.TypeAmazonCustomerByEmail:
			kind = "emailAddress"
		default:
			return nil, errMalformedACL()
		}
		to, err := s.granteeOf(ctx, kind, value)
		if err != nil {
			return nil, err
		}
		acl = append(acl, grant{to, g.Permission})
	}
	return acl, nil
}

// cannedACL is the meaning of a canned ACL.
// AWS: "Access control list (ACL) overview", canned ACL.
func cannedACL(name, owner, bucketOwner string, target aclTarget) ([]grant, error) {
	acl := ownerOnly(owner)
	switch name {
	case "private":
	case "public-read":
		acl = append(acl, grant{everybody, types.PermissionRead})
	case "public-read-write":
		acl = append(acl, grant{everybody, types.PermissionRead}, grant{everybody, types.PermissionWrite})
	case "authenticated-read":
		acl = append(acl, grant{authenticated, types.PermissionRead})
	case "aws-exec-read":
		// The grant to Amazon EC2 has no effect here: nothing of it reads objects.
	case "bucket-owner-read", "bucket-owner-full-control":
		if target == forObject && owner != bucketOwner {
			permission := types.PermissionRead
			if name == "bucket-owner-full-control" {
				permission = types.PermissionFullControl
			}
			acl = append(acl, grant{bucketOwner, permission})
		}
	case "log-delivery-write":
		if target == forBucket {
			acl = append(acl, grant{logDelivery, types.PermissionWrite}, grant{logDelivery, types.PermissionReadAcp})
		}
	default:
		return nil, errInvalidArgument("", "x-amz-acl", name)
	}
	return acl, nil
}

// shownACL is an ACL as GetBucketAcl and GetObjectAcl answer it; nil is the usual one.
func shownACL(acl []grant, owner string) []types.Grant {
	if acl == nil {
		acl = ownerOnly(owner)
	}
	shown := []types.Grant{}
	for _, g := range acl {
		grantee := &types.Grantee{Type: types.TypeGroup, URI: aws.String(groupURIs[g.To])}
		if groupURIs[g.To] == "" {
			account := ownerOf(g.To)
			grantee = &types.Grantee{Type: types.TypeCanonicalUser, ID: account.ID, DisplayName: account.DisplayName}
		}
		shown = append(shown, types.Grant{Grantee: grantee, Permission: g.Permission})
	}
	return shown
}

// acl sets the condition keys of the headers that state an ACL.
func (c conditions) acl(canned string, full, read, readACP, write, writeACP *string) {
	c.set("s3:x-amz-acl", &canned)
	c.set("s3:x-amz-grant-full-control", full)
	c.set("s3:x-amz-grant-read", read)
	c.set("s3:x-amz-grant-read-acp", readACP)
	c.set("s3:x-amz-grant-write", write)
	c.set("s3:x-amz-grant-write-acp", writeACP)
}

// checkACL refuses an ACL that the bucket's settings do not allow: for the bucket itself or for an object in it.
//
// AWS: "Controlling ownership of objects and disabling ACLs": with ACLs disabled only those that give the bucket's
// owner full control are taken. "Blocking public access": BlockPublicAcls answers 403.
func checkACL(b *bucket, block publicAccess, acl []grant) error {
	if acl == nil {
		return nil
	}
	switch {
	case !b.acls() && !onlyOwner(acl, b.Account):
		return errACLNotSupported()
	case block.BlockACLs && isPublicACL(acl):
		return errAccessDenied()
	}
	return nil
}

func (g grant) String() string { return fmt.Sprintf("%s to %s", g.Permission, g.To) }
