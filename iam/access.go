package iam

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// resource says how an input names one thing that an operation is about.
//
// AWS: "Actions, resources, and condition keys for AWS Identity and Access Management" in the service authorization
// reference has the resources and context keys of every action.
type resource struct {
	// member of the input holds a name or an ARN.
	member string
	// arnOf makes the ARN of a name; nil where the member holds the ARN.
	arnOf func(tx store.Tx, account, name, path string) (string, error)
	// boundary answers the ARN of the boundary of what is there already; nil where it can have none.
	boundary func(tx store.Tx, account, name string) (string, error)
	// own falls back on the caller where the member is absent.
	own bool
	// renamed is the member with a new name, "" for none: then the call is about what has that name from now on, too.
	renamed string
}

var (
	onUser        = resource{member: "UserName", arnOf: identityARN(users), boundary: boundaryOf(users)}
	onRenamedUser = resource{member: "UserName", arnOf: identityARN(users), renamed: "NewUserName"}
	onOwnUser     = resource{member: "UserName", arnOf: identityARN(users), boundary: boundaryOf(users), own: true}
	onGroup       = resource{member: "GroupName", arnOf: identityARN(groups)}
	onRenamed     = resource{member: "GroupName", arnOf: identityARN(groups), renamed: "NewGroupName"}
	onRole        = resource{member: "RoleName", arnOf: identityARN(roles), boundary: boundaryOf(roles)}
	onProfile     = resource{member: "InstanceProfileName", arnOf: identityARN(profiles)}
	onPolicy      = resource{member: "PolicyArn"}
	onDevice      = resource{member: "SerialNumber"}
	onOIDC        = resource{member: "OpenIDConnectProviderArn"}
	onSAML        = resource{member: "SAMLProviderArn"}
	onSource      = resource{member: "PolicySourceArn"}
	onEntity      = resource{member: "Arn"}
	onCertificate = resource{member: "ServerCertificateName", arnOf: identityARN(certificates)}
	onRenewed     = resource{member: "ServerCertificateName", arnOf: identityARN(certificates), renamed: "NewServerCertificateName"}
	// onKeyOwner is the user whose access key it is. Of a key that is nobody's here, policies about single users say nothing.
	onKeyOwner = resource{member: "AccessKeyId", arnOf: func(tx store.Tx, account, id, _ string) (string, error) {
		key, err := accessKeyTable.In(tx, store.Scope{}).Find(id)
		if err != nil || key == nil || key.Account != account || key.User == "" {
			return arn(account, "user/*"), err
		}
		u, err := userTable.In(tx, store.Scope{Account: account}).Index("id").Find(key.User)
		if err != nil || u == nil {
			return arn(account, "user/*"), err
		}
		return users.arn(account, u), nil
	}}
	// onDeletedRole is the service-linked role that a deletion task is about: its name is in the task's id.
	onDeletedRole = resource{member: "DeletionTaskId", arnOf: func(_ store.Tx, account, id, _ string) (string, error) {
		path, _ := strings.CutPrefix(id, "task/")
		return arn(account, "role/"+path[:max(0, strings.LastIndexByte(path, '/'))]), nil
	}}
	newLinkedRole = resource{member: "AWSServiceName", arnOf: func(_ store.Tx, account, name, _ string) (string, error) {
		return arn(account, "role"+serviceRolePath+name+"/AWSServiceRoleFor"+linkedServices[name].role), nil
	}}
	newDevice = resource{member: "VirtualMFADeviceName", arnOf: newARN("mfa")}
	newSAML   = resource{member: "Name", arnOf: newARN("saml-provider")}
	newOIDC   = resource{member: "Url", arnOf: func(_ store.Tx, account, name, _ string) (string, error) {
		return arn(account, "oidc-provider/"+issuerHost(name)), nil
	}}
	// newPolicy names a policy that is to be made.
	newPolicy = resource{member: "PolicyName", arnOf: newARN("policy")}
)

// newARN makes the ARN of what is to be made.
func newARN(word string) func(tx store.Tx, account, name, path string) (string, error) {
	return func(_ store.Tx, account, name, path string) (string, error) { return arn(account, word+path+name), nil }
}

// identityARN answers the ARN of what has the name, or that which it would have.
func identityARN[T any](k *kind[T]) func(tx store.Tx, account, name, path string) (string, error) {
	word := strings.ReplaceAll(k.word, " ", "-")
	return func(tx store.Tx, account, name, path string) (string, error) {
		if name == "" {
			return "*", nil
		}
		record, err := k.table.In(tx, store.Scope{Account: account}).Find(folded(name))
		if err != nil {
			return "", err
		}
		if record != nil {
			path, name = k.of(record).Path, k.of(record).Name
		}
		return arn(account, word+path+name), nil
	}
}

func boundaryOf[T any](k *kind[T]) func(tx store.Tx, account, name string) (string, error) {
	return func(tx store.Tx, account, name string) (string, error) {
		record, err := k.table.In(tx, store.Scope{Account: account}).Find(folded(name))
		if record == nil {
			return "", err
		}
		return k.of(record).Boundary, err
	}
}

// on is the access function of an operation of IAM: the action of the operation's name on what the input names. It
// panics, when the program starts, where the input has no such member.
func on[In any](s *Service, resources ...resource) func(context.Context, *In) ([]awsapi.Access, error) {
	input := reflect.TypeFor[In]()
	action := "iam:" + strings.TrimSuffix(input.Name(), "Input")
	for _, r := range resources {
		if _, ok := input.FieldByName(r.member); !ok {
			panic("iam: " + input.Name() + " has no " + r.member)
		}
	}
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		access := awsapi.Access{Action: action, Conditions: map[string][]string{}}
		v := reflect.ValueOf(in).Elem()
		requestConditions(action, v, access.Conditions)
		if len(resources) == 0 {
			return []awsapi.Access{access}, nil
		}
		err := s.view(ctx, func(tx store.Tx, account string) error {
			access.Resources = nil
			for _, r := range resources {
				name := stringMember(v, r.member)
				if name == "" && r.own {
					name = ownName(ctx, nil)
				}
				if r.arnOf == nil {
					if name != "" {
						access.Resources = append(access.Resources, name)
					}
					continue
				}
				path := "/"
				if given := stringMember(v, "Path"); given != "" {
					path = given
				}
				text, err := r.arnOf(tx, account, name, path)
				if err != nil {
					return err
				}
				access.Resources = append(access.Resources, text)
				if r.renamed != "" {
					if text, err = r.renamedARN(tx, account, name, v); err != nil {
						return err
					}
					if !slices.Contains(access.Resources, text) {
						access.Resources = append(access.Resources, text)
					}
				}
				if r.boundary != nil && name != "" && access.Conditions["iam:PermissionsBoundary"] == nil {
					boundary, err := r.boundary(tx, account, name)
					if err != nil {
						return err
					}
					if boundary != "" {
						access.Conditions["iam:PermissionsBoundary"] = []string{boundary}
					}
				}
			}
			return nil
		})
		return append([]awsapi.Access{access}, tagOnCreate(access)...), err
	}
}

// tagsCreated are the actions that tags of what is to be made need, by the action that makes it.
// AWS: "Tags for AWS Identity and Access Management resources" in the IAM user guide; CreateRole with tags is denied in the
// words of iam:TagRole (openshift/installer issue 1073).
var tagsCreated = map[string]string{
	"iam:CreateUser": "iam:TagUser", "iam:CreateRole": "iam:TagRole", "iam:CreatePolicy": "iam:TagPolicy", "iam:CreateInstanceProfile": "iam:TagInstanceProfile",
	"iam:CreateVirtualMFADevice": "iam:TagMFADevice", "iam:CreateOpenIDConnectProvider": "iam:TagOpenIDConnectProvider",
	"iam:CreateSAMLProvider": "iam:TagSAMLProvider", "iam:UploadServerCertificate": "iam:TagServerCertificate",
}

// tagOnCreate is what the tags of something that is to be made need besides.
func tagOnCreate(made awsapi.Access) []awsapi.Access {
	action := tagsCreated[made.Action]
	if action == "" || len(made.Conditions["aws:TagKeys"]) == 0 {
		return nil
	}
	conditions := maps.Clone(made.Conditions)
	delete(conditions, "iam:PermissionsBoundary") // AWS: tagging does not have it
	return []awsapi.Access{{Action: action, Resources: made.Resources, Conditions: conditions}}
}

// renamedARN is the ARN that something has after it is renamed or moved.
// AWS: "UpdateUser", "UpdateGroup" in the IAM API reference: who renames needs the permission on both.
func (r resource) renamedARN(tx store.Tx, account, name string, in reflect.Value) (string, error) {
	now, err := r.arnOf(tx, account, name, "/")
	if err != nil {
		return "", err
	}
	word, rest, found := strings.Cut(strings.TrimPrefix(now, arn(account, "")), "/")
	if !found {
		return now, nil // no name was given: it is refused later
	}
	slash := strings.LastIndexByte(rest, '/')
	path, last := "/"+rest[:slash+1], rest[slash+1:]
	if given := stringMember(in, "NewPath"); given != "" {
		path = given
	}
	if given := stringMember(in, r.renamed); given != "" {
		last = given
	}
	return arn(account, word+path+last), nil
}

// requestConditions are the context keys that follow from the input alone.
func requestConditions(action string, in reflect.Value, conditions map[string][]string) {
	if boundary := stringMember(in, "PermissionsBoundary"); boundary != "" {
		conditions["iam:PermissionsBoundary"] = []string{boundary}
	}
	attaches := strings.HasPrefix(action, "iam:Attach") || strings.HasPrefix(action, "iam:Detach")
	if policyARN := stringMember(in, "PolicyArn"); attaches && policyARN != "" {
		conditions["iam:PolicyARN"] = []string{policyARN}
	}
	if service := stringMember(in, "AWSServiceName"); service != "" {
		conditions["iam:AWSServiceName"] = []string{service}
	}
	if field := in.FieldByName("Tags"); field.IsValid() {
		if tags, ok := field.Interface().([]types.Tag); ok {
			for _, t := range tags {
				key := aws.ToString(t.Key)
				conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], key)
				conditions["aws:RequestTag/"+key] = []string{aws.ToString(t.Value)}
			}
		}
	}
	if field := in.FieldByName("TagKeys"); field.IsValid() {
		if keys, ok := field.Interface().([]string); ok && len(keys) > 0 {
			conditions["aws:TagKeys"] = keys
		}
	}
}

// stringMember answers "" for an absent member.
func stringMember(in reflect.Value, name string) string {
	if field := in.FieldByName(name); field.IsValid() {
		if text, ok := field.Interface().(*string); ok {
			return aws.ToString(text)
		}
	}
	return ""
}

// passing adds iam:PassRole for the role that an operation puts into an instance profile, and so hands to EC2.
func passing[In any](s *Service, access func(context.Context, *In) ([]awsapi.Access, error)) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		wanted, err := access(ctx, in)
		if err != nil {
			return nil, err
		}
		err = s.view(ctx, func(tx store.Tx, account string) error {
			text, err := onRole.arnOf(tx, account, stringMember(reflect.ValueOf(in).Elem(), onRole.member), "/")
			wanted = append(wanted, awsapi.PassRole(text, "ec2.amazonaws.com"))
			return err
		})
		return wanted, err
	}
}
