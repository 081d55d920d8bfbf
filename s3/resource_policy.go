package s3

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// What a bucket says about who may do what reaches the authorizer as one document in the policy language: the bucket's
// policy, the ACLs of the bucket and the object as statements of it, and what the public access blocks take away.

// statement is one that is made here.
type statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Principal any
	Action    []string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

// AWS: "Access control list (ACL) overview", mapping of ACL permissions and access policy permissions.
var (
	bucketPermissions = map[types.Permission][]string{
		types.PermissionRead:     {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"},
		types.PermissionReadAcp:  {"s3:GetBucketAcl"},
		types.PermissionWriteAcp: {"s3:PutBucketAcl"},
	}
	// inBucketPermissions are those of a bucket's ACL on what is in it.
	inBucketPermissions = map[types.Permission][]string{
		types.PermissionWrite: {"s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"},
	}
	// uploadPermissions are those while an object is made: who may write it may say what it has.
	uploadPermissions = map[types.Permission][]string{
		types.PermissionWrite: {"s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging"},
	}
	objectPermissions = map[types.Permission][]string{
		types.PermissionRead:     {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTorrent", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"},
		types.PermissionReadAcp:  {"s3:GetObjectAcl", "s3:GetObjectVersionAcl"},
		types.PermissionWriteAcp: {"s3:PutObjectAcl", "s3:PutObjectVersionAcl"},
	}
)

// statementsOf are the grants of an ACL, without those to its owner, who needs none.
func statementsOf(acl []grant, owner, resource string, permissions map[types.Permission][]string, ignorePublic bool) []statement {
	var all []statement
	for _, g := range acl {
		public := g.To == everybody || g.To == authenticated
		if g.To == owner || g.To == logDelivery || public && ignorePublic {
			continue
		}
		actions := permissions[g.Permission]
		if g.Permission == types.PermissionFullControl {
			for _, p := range []types.Permission{types.PermissionRead, types.PermissionWrite, types.PermissionReadAcp, types.PermissionWriteAcp} {
				actions = append(slices.Clip(actions), permissions[p]...)
			}
		}
		if len(actions) == 0 {
			continue
		}
		st := statement{Effect: "Allow", Principal: map[string]string{"AWS": g.To}, Action: actions, Resource: resource}
		if public {
			st.Principal = "*"
		}
		if g.To == authenticated {
			st.Condition = map[string]map[string]string{"Null": {"aws:PrincipalAccount": "false"}}
		}
		all = append(all, st)
	}
	return all
}

// parseARN splits the ARN of a bucket or an object.
func parseARN(arn string) (name, key string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:s3:::")
	if !ok {
		return "", "", false
	}
	name, key, _ = strings.Cut(rest, "/")
	return name, key, true
}

// ResourcePolicy answers what the bucket says about the resource, as a policy document, and the account that owns the
// resource; nothing where there is no such bucket.
func (s *Service) ResourcePolicy(ctx context.Context, arn string) (document, owner string, err error) {
	name, key, ok := parseARN(arn)
	if !ok {
		return s.accessPointPolicy(ctx, arn)
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		b, err := sharedBucket(tx, name)
		if err != nil || b == nil {
			return err
		}
		document, owner, err = s.resourcePolicy(ctx, tx, b, key)
		return err
	})
	return document, owner, err
}

// accessPointPolicy is ResourcePolicy for an access point and what is read through it.
func (s *Service) accessPointPolicy(ctx context.Context, arn string) (document, owner string, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		p, err := findAccessPoint(tx, arn)
		if err != nil || p == nil {
			return err
		}
		owner = p.Account
		document, err = p.policy()
		return err
	})
	return document, owner, err
}

func (s *Service) resourcePolicy(ctx context.Context, tx store.Tx, b *bucket, key string) (document, owner string, err error) {
	owner = b.Account
	policy := ""
	if b.Has[kindPolicy] {
		text, err := findSetting[string](tx, b.Name, kindPolicy, "")
		if err != nil {
			return "", "", err
		}
		if text != nil {
			policy = *text
		}
	}
	if policy == "" && !b.acls() {
		return "", owner, nil // the usual bucket
	}
	block, err := blockOf(tx, b)
	if err != nil {
		return "", "", err
	}
	var extra []statement
	if b.acls() {
		extra = statementsOf(b.ACL, b.Account, b.arn(), bucketPermissions, block.IgnoreACLs)
		if key != "" {
			inside := inBucketPermissions
			if uploads := awsapi.FromContext(ctx).Operation; uploads == "PutObject" || uploads == "CopyObject" || uploads == "CreateMultipartUpload" {
				inside = uploadPermissions
			}
			extra = append(extra, statementsOf(b.ACL, b.Account, b.arn()+"/*", inside, block.IgnoreACLs)...)
			o, reads, err := asked(ctx, tx, b, key)
			if err != nil {
				return "", "", err
			}
			if o != nil {
				extra = append(extra, statementsOf(o.ACL, o.Owner, b.objectARN(key), objectPermissions, block.IgnoreACLs)...)
			}
			if o != nil && reads && o.Owner != b.Account {
				// AWS: "Bucket owner granting permissions to objects it does not own": the bucket's policy gives nothing
				// on objects that belong to others, but may deny.
				owner = o.Owner
				if policy, err = deniesOf(policy); err != nil {
					return "", "", err
				}
			}
		}
	}
	if block.Restrict && policy != "" && isPublicPolicy(policy) {
		// AWS: "Blocking public access", RestrictPublicBuckets.
		extra = append(extra, restrictedTo(b.Account))
	}
	document, err = withStatements(policy, extra)
	return document, owner, err
}

// ownersOperations are those on an object that its own owner decides on; the others are the bucket's owner's.
var ownersOperations = map[string]bool{
	"GetObject": true, "HeadObject": true, "GetObjectAcl": true, "PutObjectAcl": true, "GetObjectTagging": true, "PutObjectTagging": true,
	"DeleteObjectTagging": true, "GetObjectAttributes": true, "RestoreObject": true,
}

// asked finds the object that the request in ctx means by the key, nil if there is none, and tells whether the object's
// owner decides on the request.
func asked(ctx context.Context, tx store.Tx, b *bucket, key string) (o *object, owners bool, err error) {
	r := awsapi.FromContext(ctx)
	owners = ownersOperations[r.Operation]
	if r.Header != nil && (r.Operation == "CopyObject" || r.Operation == "UploadPartCopy") {
		// One of the two objects is read.
		source, err := sourceOf(aws.String(r.Header.Get("X-Amz-Copy-Source")))
		owners = err == nil && source.key == key && source.bucket == b.Name
	}
	version := ""
	if owners && r.HTTP != nil {
		version = r.HTTP.URL.Query().Get("versionId")
	}
	if version == "" {
		o, err = currentOf(tx, b, key)
	} else {
		o, _, err = versionOf(tx, b, key, version)
	}
	return o, owners, err
}

// deniesOf is what a document denies.
func deniesOf(document string) (string, error) {
	if document == "" {
		return "", nil
	}
	var p struct {
		Version   string `json:",omitempty"`
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(document), &p); err != nil {
		return "", err
	}
	var all []json.RawMessage
	if json.Unmarshal(p.Statement, &all) != nil {
		all = []json.RawMessage{p.Statement}
	}
	kept := []json.RawMessage{}
	for _, one := range all {
		var st struct{ Effect string }
		if err := json.Unmarshal(one, &st); err != nil {
			return "", err
		}
		if st.Effect == "Deny" {
			kept = append(kept, one)
		}
	}
	if len(kept) == 0 {
		return "", nil
	}
	list, err := json.Marshal(kept)
	if err != nil {
		return "", err
	}
	p.Statement = list
	text, err := json.Marshal(p)
	return string(text), err
}

// restrictedTo limits a public policy to the owner's account and to AWS's services.
// AWS: "Blocking public access to your Amazon S3 storage", RestrictPublicBuckets.
func restrictedTo(account string) statement {
	return statement{
		Sid: "RestrictPublicBuckets", Effect: "Deny", Principal: "*", Action: []string{"s3:*"}, Resource: "*",
		Condition: map[string]map[string]string{"StringNotEquals": {"aws:PrincipalAccount": account}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}},
	}
}

// withStatements adds statements to a document, which may be empty.
func withStatements(document string, extra []statement) (string, error) {
	if len(extra) == 0 {
		return document, nil
	}
	var all []json.RawMessage
	fields := map[string]json.RawMessage{"Version": json.RawMessage(`"2012-10-17"`)}
	if document != "" {
		fields = map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(document), &fields); err != nil {
			return "", err
		}
		if had := fields["Statement"]; len(had) > 0 && had[0] == '[' {
			if err := json.Unmarshal(had, &all); err != nil {
				return "", err
			}
		} else {
			all = append(all, had)
		}
	}
	for _, st := range extra {
		text, err := json.Marshal(st)
		if err != nil {
			return "", err
		}
		all = append(all, text)
	}
	list, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	fields["Statement"] = list
	text, err := json.Marshal(fields)
	return string(text), err
}

// ResourceTags answers the tags that count as aws:ResourceTag: an access point's, and a bucket's where ABAC is on, also for
// what is in it.
func (s *Service) ResourceTags(ctx context.Context, arn string) (tags map[string]string, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		if strings.Contains(arn, ":accesspoint/") {
			point, _, _ := strings.Cut(arn, "/object/")
			p, err := findAccessPoint(tx, point)
			if p != nil && p.arn() == point {
				tags = p.Tags
			}
			return err
		}
		name, _, ok := parseARN(arn)
		if !ok {
			return nil
		}
		b, err := findBucket(tx, name)
		if err != nil || b == nil || b.ABAC != types.BucketAbacStatusEnabled {
			return err
		}
		tags, err = bucketTags(tx, b)
		return err
	})
	return tags, err
}
