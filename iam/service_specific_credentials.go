package iam

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// specificCredential is a user name and password for one service that does not speak Signature Version 4.
type specificCredential struct {
	User, ID, Service string
	UserName          string
	Created           time.Time
	Expires           time.Time `json:",omitzero"`
	Inactive          bool      `json:",omitempty"`
	// Password is a hash: it is answered once, when it is made.
	Password string
}

var specificTable = store.NewTable(store.Spec[specificCredential]{
	Service: "iam",
	Name:    "service-specific-credentials",
	ID:      func(c *specificCredential) store.ID { return store.ID{c.User, c.ID} },
})

// AWS: "Use IAM with CodeCommit" and "Use IAM with Amazon Keyspaces" in the IAM user guide.
var specificServices = []string{"codecommit.amazonaws.com", "cassandra.amazonaws.com"}

// onSpecific is the user whose credential it is, or is to be, with the service that it is for.
// AWS: "Actions, resources, and condition keys for AWS Identity and Access Management".
func onSpecific[In any](s *Service) func(context.Context, *In) ([]awsapi.Access, error) {
	user := on[In](s, onOwnUser)
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		wanted, err := user(ctx, in)
		if err != nil {
			return nil, err
		}
		conditions, v := wanted[0].Conditions, reflect.ValueOf(in).Elem()
		if wish, ok := any(in).(*iam.CreateServiceSpecificCredentialInput); ok {
			if name := aws.ToString(wish.ServiceName); name != "" {
				conditions["iam:ServiceSpecificCredentialServiceName"] = []string{name}
			}
			if wish.CredentialAgeDays != nil {
				conditions["iam:ServiceSpecificCredentialAgeDays"] = []string{strconv.Itoa(int(*wish.CredentialAgeDays))}
			}
			return wanted, nil
		}
		name := stringMember(v, "UserName")
		if name == "" {
			name = ownName(ctx, nil)
		}
		return wanted, s.view(ctx, func(tx store.Tx, account string) error {
			u, err := userTable.In(tx, store.Scope{Account: account}).Find(folded(name))
			if err != nil || u == nil {
				return err
			}
			held, err := specificRows(tx, account).Find(u.ID, stringMember(v, "ServiceSpecificCredentialId"))
			if held != nil {
				conditions["iam:ServiceSpecificCredentialServiceName"] = []string{held.Service}
			}
			return err
		})
	}
}

const maxSpecificCredentials = 2

func specificRows(tx store.Tx, account string) store.Rows[specificCredential] {
	return specificTable.In(tx, store.Scope{Account: account})
}

func checkSpecificService(name string) error {
	if !slices.Contains(specificServices, name) {
		return awsapi.Errorf("NotSupportedService", "No such service %s is supported for Service Specific Credentials", name)
	}
	return nil
}

// CreateServiceSpecificCredential makes a password, and is, with Reset, the only one who ever answers it.
func (s *Service) CreateServiceSpecificCredential(ctx context.Context, in *iam.CreateServiceSpecificCredentialInput) (*iam.CreateServiceSpecificCredentialOutput, error) {
	out := &iam.CreateServiceSpecificCredentialOutput{}
	if err := checkSpecificService(aws.ToString(in.ServiceName)); err != nil {
		return nil, err
	}
	password := newSecret()
	hash := hashPassword(password)
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		u, err := users.get(tx, account, aws.ToString(in.UserName))
		if err != nil {
			return err
		}
		held, err := userRecords(specificRows(tx, account), u.ID)
		if err != nil {
			return err
		}
		held = slices.DeleteFunc(held, func(c *specificCredential) bool { return c.Service != *in.ServiceName })
		if len(held) >= maxSpecificCredentials {
			return errQuota("ServiceSpecificCredentialsPerUser", maxSpecificCredentials)
		}
		c := &specificCredential{
			User: u.ID, ID: newUniqueID(prefixSpecificCred), Service: *in.ServiceName, UserName: u.Name + "-at-" + account,
			Created: tx.Now().UTC().Truncate(time.Second), Password: hash,
		}
		if len(held) > 0 {
			c.UserName = u.Name + "+1-at-" + account
		}
		if in.CredentialAgeDays != nil {
			c.Expires = c.Created.AddDate(0, 0, int(*in.CredentialAgeDays))
		}
		out.ServiceSpecificCredential = c.toAPI(u.Name, password)
		return specificRows(tx, account).Put(c)
	})
}

// ListServiceSpecificCredentials answers credentials without their passwords.
func (s *Service) ListServiceSpecificCredentials(ctx context.Context, in *iam.ListServiceSpecificCredentialsInput) (*iam.ListServiceSpecificCredentialsOutput, error) {
	out := &iam.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: []types.ServiceSpecificCredentialMetadata{}}
	if in.ServiceName != nil {
		if err := checkSpecificService(*in.ServiceName); err != nil {
			return nil, err
		}
	}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		owner, _, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil {
			return err
		}
		query := store.Query{Parts: store.ID{owner}}
		if aws.ToBool(in.AllUsers) {
			query = store.Query{}
		}
		keep := func(c *specificCredential) bool { return in.ServiceName == nil || c.Service == *in.ServiceName }
		p, err := pageOf(specificRows(tx, account).Scan, query, in.Marker, in.MaxItems, keep, func(c *specificCredential) store.ID { return store.ID{c.User, c.ID} })
		if err != nil {
			return err
		}
		for _, c := range p.list {
			u, err := s.userRows(tx, account).Index("id").Get(c.User)
			if err != nil {
				return err
			}
			full := c.toAPI(u.Name, "")
			out.ServiceSpecificCredentials = append(out.ServiceSpecificCredentials, types.ServiceSpecificCredentialMetadata{
				CreateDate: full.CreateDate, ServiceName: full.ServiceName, ServiceSpecificCredentialId: full.ServiceSpecificCredentialId,
				Status: full.Status, UserName: full.UserName, ExpirationDate: full.ExpirationDate, ServiceUserName: full.ServiceUserName,
			})
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return nil
	})
}

func errNoCredential(id string) error {
	return errNoSuchEntity("No such credential %s exists", id)
}

// ResetServiceSpecificCredential makes a new password.
func (s *Service) ResetServiceSpecificCredential(ctx context.Context, in *iam.ResetServiceSpecificCredentialInput) (*iam.ResetServiceSpecificCredentialOutput, error) {
	out := &iam.ResetServiceSpecificCredentialOutput{}
	password := newSecret()
	hash := hashPassword(password)
	return out, alterOwned(ctx, s, specificTable, in.UserName, in.ServiceSpecificCredentialId, errNoCredential, func(rows store.Rows[specificCredential], name string, c *specificCredential) error {
		c.Password = hash
		out.ServiceSpecificCredential = c.toAPI(name, password)
		return rows.Put(c)
	})
}

// UpdateServiceSpecificCredential makes a credential active or inactive.
func (s *Service) UpdateServiceSpecificCredential(ctx context.Context, in *iam.UpdateServiceSpecificCredentialInput) (*iam.UpdateServiceSpecificCredentialOutput, error) {
	return &iam.UpdateServiceSpecificCredentialOutput{}, alterOwned(ctx, s, specificTable, in.UserName, in.ServiceSpecificCredentialId, errNoCredential, func(rows store.Rows[specificCredential], _ string, c *specificCredential) error {
		c.Inactive = in.Status != types.StatusTypeActive
		return rows.Put(c)
	})
}

// DeleteServiceSpecificCredential removes a credential.
func (s *Service) DeleteServiceSpecificCredential(ctx context.Context, in *iam.DeleteServiceSpecificCredentialInput) (*iam.DeleteServiceSpecificCredentialOutput, error) {
	return &iam.DeleteServiceSpecificCredentialOutput{}, alterOwned(ctx, s, specificTable, in.UserName, in.ServiceSpecificCredentialId, errNoCredential, func(rows store.Rows[specificCredential], _ string, c *specificCredential) error {
		return rows.Delete(c.User, c.ID)
	})
}

func (c *specificCredential) toAPI(userName, password string) *types.ServiceSpecificCredential {
	out := &types.ServiceSpecificCredential{
		CreateDate: aws.Time(c.Created), ServiceName: aws.String(c.Service), ServiceSpecificCredentialId: aws.String(c.ID),
		Status: statusOf(c.Inactive), UserName: aws.String(userName), ServiceUserName: aws.String(c.UserName), ServicePassword: aws.String(password),
	}
	if !c.Expires.IsZero() {
		out.ExpirationDate = aws.Time(c.Expires)
	}
	return out
}
