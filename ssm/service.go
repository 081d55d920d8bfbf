package ssm

import (
	"context"
	"time"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	_ "miniaws/awsapi/meta/unions/ssm" // its unions
	"miniaws/backend/seal"
	"miniaws/backend/store"
)

// PublicParameter is one that AWS publishes below /aws/service/, for everybody to read.
type PublicParameter struct {
	Name, Value, DataType string
	Version               int64
	Modified              time.Time
}

// Config of the service.
type Config struct {
	DB store.DB
	// Seal is what SecureString values are sealed with.
	Seal *seal.Sealer
	// Public answers the public parameters of a region in the order of their names; nil is none.
	Public func(region string) []PublicParameter
	// HasImage tells whether the caller can use an AMI, for parameters of the type aws:ec2:image; nil knows none.
	HasImage func(ctx context.Context, account, region, id string) (bool, error)
}

// Service is Systems Manager.
type Service struct{ config Config }

// New makes the service.
func New(c Config) *Service {
	if c.Public == nil {
		c.Public = func(string) []PublicParameter { return nil }
	}
	return &Service{config: c}
}

// Tables are the tables of this package, for [store.Migrate].
func Tables() []store.Schema { return []store.Schema{parameters, versions} }

// Register adds the operations.
func (s *Service) Register(server *awsapi.Server) {
	server.Register(meta.SSM,
		awsapi.Op(s.PutParameter, putAccess),
		awsapi.Op(s.GetParameter, getAccess),
		awsapi.Op(s.GetParameters, getManyAccess),
		awsapi.Op(s.GetParametersByPath, byPathAccess),
		awsapi.Op(s.GetParameterHistory, historyAccess),
		awsapi.Op(s.DescribeParameters, describeAccess),
		awsapi.Op(s.LabelParameterVersion, labelAccess),
		awsapi.Op(s.UnlabelParameterVersion, unlabelAccess),
		awsapi.Op(s.DeleteParameter, deleteAccess),
		awsapi.Op(s.DeleteParameters, deleteManyAccess),

		awsapi.Op(s.AddTagsToResource, addTagsAccess),
		awsapi.Op(s.RemoveTagsFromResource, removeTagsAccess),
		awsapi.Op(s.ListTagsForResource, listTagsAccess),
	)
}

// call is what a handler knows of its caller.
type call struct {
	scope  store.Scope
	caller string // ARN
	now    time.Time
}

func callOf(ctx context.Context) call {
	r := awsapi.FromContext(ctx)
	return call{store.Scope{Account: r.Principal.Account, Region: r.Region}, r.Principal.ARN, r.Time}
}
