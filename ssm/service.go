package ssm

import (
	"context"
	"log/slog"
	"time"

	api "github.com/aws/aws-sdk-go-v2/service/ssm"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	_ "miniaws/awsapi/meta/unions/ssm" // its unions
	"miniaws/backend/guestlink"
	"miniaws/backend/reconcile"
	"miniaws/backend/seal"
	"miniaws/backend/session"
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
	// Machines answers the instances of an account in a region that did not end, in the order of their ids; nil knows none.
	Machines func(ctx context.Context, account, region string) ([]Machine, error)
	// Machine answers one of them by its id; ok is false for one that is not the account's in this region. nil knows none.
	Machine func(ctx context.Context, account, region, id string) (m Machine, ok bool, err error)
	// Links lead into instances, Sessions are those that go on; nil where nothing real runs.
	Links    *guestlink.Links
	Sessions *session.Sessions
	// Home answers whose an instance is; nil knows none.
	Home func(ctx context.Context, instance string) (account, region string, ok bool, err error)
	// PutOutput writes what a command printed into a bucket, as the instance's role; nil writes nothing.
	PutOutput func(ctx context.Context, output Output) error
	// BucketRegion answers in which region a bucket is, "" where there is none; nil knows none.
	BucketRegion func(ctx context.Context, bucket string) (string, error)
	// HasImage tells whether the caller can use an AMI, for parameters of the type aws:ec2:image; nil knows none.
	HasImage func(ctx context.Context, account, region, id string) (bool, error)
}

// Service is Systems Manager.
type Service struct {
	config Config
	runs   guestlink.Runs
}

// New makes the service.
func New(c Config) *Service {
	if c.Public == nil {
		c.Public = func(string) []PublicParameter { return nil }
	}
	s := &Service{config: c}
	if c.Sessions != nil {
		c.Sessions.OnEnd(s.noteSessionEnd)
	}
	return s
}

// Tables are the tables of this package, for [store.Migrate].
func Tables() []store.Schema {
	return []store.Schema{parameters, versions, sessionRecords, sessionHomes, commands, invocations, documents, documentVersions, inventoryItems, customSchemas, inventoryDeletions, associations, associationVersions, associationExecutions}
}

// Reconcile registers what delivers commands, ends sessions and deletes parameters that expired.
func (s *Service) Reconcile(loop *reconcile.Loop) {
	loop.Handle(parameterKind, s.expireParameter)
	if s.config.Links == nil {
		return
	}
	loop.Handle(invocationKind, s.reconcileInvocation)
	loop.Handle(gatheringKind, s.reconcileInventory)
	loop.Handle(associationKind, s.reconcileAssociation)
	if s.config.Home != nil {
		s.config.Links.OnLink(func(instance string) {
			if err := s.gatherLater(context.Background(), instance); err != nil {
				slog.Warn("the packages of an instance are not looked at", "instance", instance, "error", err)
			}
			if err := s.associateLater(context.Background(), instance); err != nil {
				slog.Warn("the associations of an instance are not looked at", "instance", instance, "error", err)
			}
		})
	}
	loop.Sweep("sessions", 5*time.Minute, s.sweepSessions)
}

// Register adds the operations.
func (s *Service) Register(server *awsapi.Server) {
	server.Check(meta.SSM, awsapi.CheckAll)
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

		awsapi.Op(s.StartSession, startSessionAccess),
		awsapi.Op(s.ResumeSession, onSession(s, "ssm:ResumeSession", func(in *api.ResumeSessionInput) *string { return in.SessionId })),
		awsapi.Op(s.TerminateSession, onSession(s, "ssm:TerminateSession", func(in *api.TerminateSessionInput) *string { return in.SessionId })),
		awsapi.Op(s.DescribeSessions, awsapi.Action[api.DescribeSessionsInput]("ssm:DescribeSessions")),
		awsapi.Op(s.GetConnectionStatus, connectionStatusAccess),
		awsapi.Op(s.DescribeInstanceInformation, awsapi.Action[api.DescribeInstanceInformationInput]("ssm:DescribeInstanceInformation")),

		awsapi.Op(s.SendCommand, s.sendCommandAccess),
		awsapi.Op(s.CancelCommand, awsapi.Action[api.CancelCommandInput]("ssm:CancelCommand")),
		awsapi.Op(s.GetCommandInvocation, awsapi.Action[api.GetCommandInvocationInput]("ssm:GetCommandInvocation")),
		awsapi.Op(s.ListCommands, awsapi.Action[api.ListCommandsInput]("ssm:ListCommands")),
		awsapi.Op(s.CreateDocument, createDocumentAccess),
		awsapi.Op(s.UpdateDocument, onDocument(s, "ssm:UpdateDocument", func(in *api.UpdateDocumentInput) *string { return in.Name })),
		awsapi.Op(s.UpdateDocumentDefaultVersion, onDocument(s, "ssm:UpdateDocumentDefaultVersion", func(in *api.UpdateDocumentDefaultVersionInput) *string { return in.Name })),
		awsapi.Op(s.DeleteDocument, onDocument(s, "ssm:DeleteDocument", func(in *api.DeleteDocumentInput) *string { return in.Name })),
		awsapi.Op(s.DescribeDocument, onDocument(s, "ssm:DescribeDocument", func(in *api.DescribeDocumentInput) *string { return in.Name })),
		awsapi.Op(s.GetDocument, onDocument(s, "ssm:GetDocument", func(in *api.GetDocumentInput) *string { return in.Name })),
		awsapi.Op(s.ListDocuments, awsapi.Action[api.ListDocumentsInput]("ssm:ListDocuments")),
		awsapi.Op(s.ListDocumentVersions, onDocument(s, "ssm:ListDocumentVersions", func(in *api.ListDocumentVersionsInput) *string { return in.Name })),
		awsapi.Op(s.DescribeDocumentPermission, onDocument(s, "ssm:DescribeDocumentPermission", func(in *api.DescribeDocumentPermissionInput) *string { return in.Name })),
		awsapi.Op(s.ModifyDocumentPermission, onDocument(s, "ssm:ModifyDocumentPermission", func(in *api.ModifyDocumentPermissionInput) *string { return in.Name })),

		awsapi.Op(s.PutInventory, putInventoryAccess),
		awsapi.Op(s.GetInventory, awsapi.Action[api.GetInventoryInput]("ssm:GetInventory")),
		awsapi.Op(s.GetInventorySchema, awsapi.Action[api.GetInventorySchemaInput]("ssm:GetInventorySchema")),
		awsapi.Op(s.ListInventoryEntries, awsapi.Action[api.ListInventoryEntriesInput]("ssm:ListInventoryEntries")),
		awsapi.Op(s.DeleteInventory, awsapi.Action[api.DeleteInventoryInput]("ssm:DeleteInventory")),
		awsapi.Op(s.DescribeInventoryDeletions, awsapi.Action[api.DescribeInventoryDeletionsInput]("ssm:DescribeInventoryDeletions")),
		awsapi.Op(s.DescribeInstanceProperties, awsapi.Action[api.DescribeInstancePropertiesInput]("ssm:DescribeInstanceProperties")),

		awsapi.Op(s.CreateAssociation, createAssociationAccess),
		awsapi.Op(s.UpdateAssociation, updateAssociationAccess),
		awsapi.Op(s.DeleteAssociation, onAssociation("ssm:DeleteAssociation", func(in *api.DeleteAssociationInput) (id, document, instance *string) {
			return in.AssociationId, in.Name, in.InstanceId
		})),
		awsapi.Op(s.DescribeAssociation, onAssociation("ssm:DescribeAssociation", func(in *api.DescribeAssociationInput) (id, document, instance *string) {
			return in.AssociationId, in.Name, in.InstanceId
		})),
		awsapi.Op(s.ListAssociations, awsapi.Action[api.ListAssociationsInput]("ssm:ListAssociations")),
		awsapi.Op(s.ListAssociationVersions, onAssociation("ssm:ListAssociationVersions", func(in *api.ListAssociationVersionsInput) (id, document, instance *string) {
			return in.AssociationId, nil, nil
		})),
		awsapi.Op(s.StartAssociationsOnce, startAssociationsAccess),
		awsapi.Op(s.DescribeAssociationExecutions, onAssociation("ssm:DescribeAssociationExecutions", func(in *api.DescribeAssociationExecutionsInput) (id, document, instance *string) {
			return in.AssociationId, nil, nil
		})),
		awsapi.Op(s.DescribeAssociationExecutionTargets, onAssociation("ssm:DescribeAssociationExecutionTargets", func(in *api.DescribeAssociationExecutionTargetsInput) (id, document, instance *string) {
			return in.AssociationId, nil, nil
		})),
		awsapi.Op(s.DescribeInstanceAssociationsStatus, onManaged("ssm:DescribeInstanceAssociationsStatus", func(in *api.DescribeInstanceAssociationsStatusInput) *string { return in.InstanceId })),
		awsapi.Op(s.DescribeEffectiveInstanceAssociations, onManaged("ssm:DescribeEffectiveInstanceAssociations", func(in *api.DescribeEffectiveInstanceAssociationsInput) *string { return in.InstanceId })),

		awsapi.Op(s.ListCommandInvocations, awsapi.Action[api.ListCommandInvocationsInput]("ssm:ListCommandInvocations")),
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
