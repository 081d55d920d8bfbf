package ssm

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/store"
)

// maxSharers is how many accounts may use a private document. AWS: "AWS Systems Manager endpoints and quotas".
const maxSharers = 1000

// sharedActions are what those may do with whom a document is shared. AWS: "Sharing SSM documents".
var sharedActions = []string{"ssm:DescribeDocument", "ssm:GetDocument", "ssm:ListDocumentVersions", "ssm:SendCommand"}

// ResourcePolicy answers as a policy who may use a document beside its account, and the account; "" where nobody may.
func (s *Service) ResourcePolicy(ctx context.Context, arn string) (text, owner string, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "ssm" || parts[4] == "" {
		return "", "", nil
	}
	name, ok := strings.CutPrefix(parts[5], "document/")
	if !ok {
		return "", parts[4], nil
	}
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		text = ""
		d, err := documents.In(t, store.Scope{Account: parts[4], Region: parts[3]}).Find(name)
		if d == nil || err != nil || len(d.Shared) == 0 {
			return err
		}
		var principal any = map[string]any{"AWS": slices.Sorted(maps.Keys(d.Shared))}
		if d.Shared["all"] != "" {
			principal = "*"
		}
		made, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
			map[string]any{"Effect": "Allow", "Principal": principal, "Action": sharedActions, "Resource": arn},
		}})
		text = string(made)
		return err
	})
	return text, parts[4], err
}

// DescribeDocumentPermission lists the accounts that may use a document.
func (s *Service) DescribeDocumentPermission(ctx context.Context, in *api.DescribeDocumentPermissionInput) (*api.DescribeDocumentPermissionOutput, error) {
	c := callOf(ctx)
	if in.PermissionType != types.DocumentPermissionTypeShare {
		return nil, errInvalidPermissionType()
	}
	after, limit, err := page(in.NextToken, in.MaxResults, 200)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeDocumentPermissionOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		d, err := ownDocument(t, c.scope, *in.Name)
		if err != nil {
			return err
		}
		out.AccountIds, out.AccountSharingInfoList, out.NextToken = []string{}, []types.AccountSharingInfo{}, nil
		for _, account := range slices.Sorted(maps.Keys(d.Shared)) {
			if account <= after {
				continue
			}
			if n := len(out.AccountIds); n == limit {
				out.NextToken = token(out.AccountIds[n-1])
				break
			}
			out.AccountIds = append(out.AccountIds, account)
			out.AccountSharingInfoList = append(out.AccountSharingInfoList, types.AccountSharingInfo{AccountId: aws.String(account), SharedDocumentVersion: aws.String(d.Shared[account])})
		}
		return nil
	})
}

// ModifyDocumentPermission shares a document with accounts, or with "all", and takes that back.
func (s *Service) ModifyDocumentPermission(ctx context.Context, in *api.ModifyDocumentPermissionInput) (*api.ModifyDocumentPermissionOutput, error) {
	c := callOf(ctx)
	if in.PermissionType != types.DocumentPermissionTypeShare {
		return nil, errInvalidPermissionType()
	}
	version := aws.ToString(in.SharedDocumentVersion)
	if version == "" {
		version = "$DEFAULT"
	}
	return &api.ModifyDocumentPermissionOutput{}, s.config.DB.Update(ctx, func(t store.Tx) error {
		d, err := ownDocument(t, c.scope, *in.Name)
		if err != nil {
			return err
		}
		if d.Shared == nil {
			d.Shared = map[string]string{}
		}
		for _, account := range in.AccountIdsToAdd {
			d.Shared[strings.ToLower(account)] = version
		}
		for _, account := range in.AccountIdsToRemove {
			delete(d.Shared, strings.ToLower(account))
		}
		if len(d.Shared) > maxSharers {
			return errTooManySharers()
		}
		return documents.In(t, c.scope).Put(d)
	})
}
