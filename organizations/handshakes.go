package organizations

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// A handshake is a question of an organization to an account: whether it joins, or agrees to all features.
//
//	INVITE                            OPEN ──► ACCEPTED (the account is a member)
//	APPROVE_ALL_FEATURES              OPEN ──► ACCEPTED
//	ENABLE_ALL_FEATURES  REQUESTED ─► OPEN ──► ACCEPTED (when all have approved, the management account accepts)
//	                                   └─────► DECLINED by the account, CANCELED by the organization, EXPIRED by the clock
type handshake struct {
	ID, Organization, Management string
	Action                       types.ActionType
	State                        types.HandshakeState
	Requested, Expires           time.Time
	// Kind and Target say who is asked: an account's number, or the address of one.
	Kind   types.HandshakePartyType `json:",omitempty"`
	Target string                   `json:",omitempty"`
	Notes  string                   `json:",omitempty"`
	Tags   map[string]string        `json:",omitempty"`
	// Parent is the ENABLE_ALL_FEATURES that an approval belongs to.
	Parent string `json:",omitempty"`
	// Email, Name and Features are the organization's at that time.
	Email, Name string
	Features    types.OrganizationFeatureSet
}

var handshakeTable = store.NewTable(store.Spec[handshake]{
	Service: "organizations",
	Name:    "handshakes",
	ID:      func(h *handshake) store.ID { return store.ID{h.ID} },
	Indexes: []store.Index[handshake]{
		{Name: "organization", Values: func(h *handshake) []store.ID { return []store.ID{{h.Organization}} }},
		{Name: "target", Values: func(h *handshake) []store.ID {
			if h.Target == "" {
				return nil
			}
			return []store.ID{{strings.ToLower(h.Target)}}
		}},
	},
})

// AWS: "InviteAccountToOrganization" and "EnableAllFeatures": they end after 15 and 90 days.
const (
	inviteLasts   = 15 * 24 * time.Hour
	featuresLasts = 90 * 24 * time.Hour
)

var (
	accountNumber = lazyregexp.New(`^\d{12}$`)
	emailAddress  = lazyregexp.New(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)
)

func newHandshake(ctx context.Context, o *organization, name string, action types.ActionType, lasts time.Duration) *handshake {
	at := now(ctx)
	return &handshake{
		ID: "h-" + random(16), Organization: o.ID, Management: o.Management, Action: action, State: types.HandshakeStateOpen,
		Requested: at, Expires: at.Add(lasts), Email: o.Nodes[o.Management].Email, Name: name, Features: o.Features,
	}
}

func (h *handshake) arn() string {
	return "arn:aws:organizations::" + h.Management + ":handshake/" + h.Organization + "/" + strings.ToLower(string(h.Action)) + "/" + h.ID
}

// at is the state at a time.
func (h *handshake) at(t time.Time) types.HandshakeState {
	if h.pending() && !t.Before(h.Expires) {
		return types.HandshakeStateExpired
	}
	return h.State
}

func (h *handshake) pending() bool {
	return h.State == types.HandshakeStateOpen || h.State == types.HandshakeStateRequested
}

func (h *handshake) toAPI(t time.Time) *types.Handshake {
	made := &types.Handshake{
		Id: aws.String(h.ID), Arn: aws.String(h.arn()), Action: h.Action, State: h.at(t), RequestedTimestamp: aws.Time(h.Requested), ExpirationTimestamp: aws.Time(h.Expires),
		Parties: []types.HandshakeParty{{Id: aws.String(strings.TrimPrefix(h.Organization, "o-")), Type: types.HandshakePartyTypeOrganization}},
	}
	about := types.HandshakeResource{Type: types.HandshakeResourceTypeOrganization, Value: aws.String(h.Organization)}
	if h.Target == "" {
		made.Resources = []types.HandshakeResource{about}
		return made
	}
	about.Resources = []types.HandshakeResource{
		{Type: types.HandshakeResourceTypeMasterEmail, Value: aws.String(h.Email)},
		{Type: types.HandshakeResourceTypeMasterName, Value: aws.String(h.Name)},
		{Type: types.HandshakeResourceTypeOrganizationFeatureSet, Value: aws.String(string(h.Features))},
	}
	made.Parties = append(made.Parties, types.HandshakeParty{Id: aws.String(h.Target), Type: h.Kind})
	made.Resources = []types.HandshakeResource{about, {Type: types.HandshakeResourceType(h.Kind), Value: aws.String(h.Target)}}
	if h.Notes != "" {
		made.Resources = append(made.Resources, types.HandshakeResource{Type: types.HandshakeResourceTypeNotes, Value: aws.String(h.Notes)})
	}
	if h.Parent != "" {
		made.Resources = append(made.Resources, types.HandshakeResource{Type: types.HandshakeResourceTypeParentHandshake, Value: aws.String(h.Parent)})
	}
	return made
}

// handshakesWith lists those of an index' value, in no particular order.
func handshakesWith(tx store.Tx, index, value string) (list []*handshake, err error) {
	for h, err := range handshakeTable.In(tx, store.Scope{}).Index(index).Scan(store.Query{Parts: store.ID{value}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, nil
}

func (o *organization) forgetHandshakes(tx store.Tx) error {
	all, err := handshakesWith(tx, "organization", o.ID)
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := handshakeTable.In(tx, store.Scope{}).Delete(h.ID); err != nil {
			return err
		}
	}
	return nil
}

// pendingOf answers the organization's handshakes of an action that are not over.
func (o *organization) pendingOf(ctx context.Context, tx store.Tx, action types.ActionType) (list []*handshake, err error) {
	all, err := handshakesWith(tx, "organization", o.ID)
	for _, h := range all {
		if h.Action == action && h.pending() && h.at(now(ctx)) == h.State {
			list = append(list, h)
		}
	}
	return list, err
}

// InviteAccountToOrganization asks an account, by its number or its root user's address, to become a member.
func (s *Service) InviteAccountToOrganization(ctx context.Context, in *organizations.InviteAccountToOrganizationInput) (*organizations.InviteAccountToOrganizationOutput, error) {
	out := &organizations.InviteAccountToOrganizationOutput{}
	target := aws.ToString(in.Target.Id)
	switch {
	case in.Target.Type != types.HandshakePartyTypeAccount && in.Target.Type != types.HandshakePartyTypeEmail:
		return nil, errInvalidInput(types.InvalidInputExceptionReasonInvalidPartyTypeTarget, "You specified the wrong type of entity as a party.")
	case in.Target.Type == types.HandshakePartyTypeAccount && !accountNumber.MatchString(target):
		return nil, errInvalidInput(types.InvalidInputExceptionReasonInvalidPatternTargetId, "You specified a target ID that doesn't match the required pattern.")
	case in.Target.Type == types.HandshakePartyTypeEmail && !emailAddress.MatchString(target):
		return nil, errInvalidInput(types.InvalidInputExceptionReasonInvalidEmailAddressTarget, "You specified an invalid email address for the invited account owner.")
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	name, _, err := s.config.Accounts.Account(ctx, awsapi.FromContext(ctx).Principal.Account)
	if err != nil {
		return nil, err
	}
	return out, s.alter(ctx, func(tx store.Tx, o *organization) error {
		for id, n := range o.Nodes {
			if n.Kind == types.TargetTypeAccount && (id == target || n.Email != "" && strings.EqualFold(n.Email, target)) {
				return errHandshakeConstraint(types.HandshakeConstraintViolationExceptionReasonAlreadyInAnOrganization, "The provided account is already a member of an organization.")
			}
		}
		if err := o.room(); err != nil {
			return err
		}
		if enabling, err := o.pendingOf(ctx, tx, types.ActionTypeEnableAllFeatures); err != nil {
			return err
		} else if len(enabling) > 0 {
			return errHandshakeConstraint(types.HandshakeConstraintViolationExceptionReasonInviteDisabledDuringEnableAllFeatures, "You can't issue new invitations to join an organization while it's in the process of enabling all features.")
		}
		pending, err := o.pendingOf(ctx, tx, types.ActionTypeInviteAccountToOrganization)
		if err != nil {
			return err
		}
		for _, h := range pending {
			if strings.EqualFold(h.Target, target) {
				return errDuplicateHandshake()
			}
		}
		h := newHandshake(ctx, o, name, types.ActionTypeInviteAccountToOrganization, inviteLasts)
		h.Kind, h.Target, h.Notes, h.Tags = in.Target.Type, target, aws.ToString(in.Notes), tags
		out.Handshake = h.toAPI(now(ctx))
		return handshakeTable.In(tx, store.Scope{}).Put(h)
	})
}

// EnableAllFeatures asks the invited accounts of an organization for billing alone to agree to policies.
func (s *Service) EnableAllFeatures(ctx context.Context, _ *organizations.EnableAllFeaturesInput) (*organizations.EnableAllFeaturesOutput, error) {
	out := &organizations.EnableAllFeaturesOutput{}
	return out, s.alter(ctx, func(tx store.Tx, o *organization) error {
		if o.Features == types.OrganizationFeatureSetAll {
			return errHandshakeConstraint(types.HandshakeConstraintViolationExceptionReasonOrganizationAlreadyHasAllFeatures, "The handshake request is invalid because the organization has already enabled all features.")
		}
		pending, err := o.pendingOf(ctx, tx, types.ActionTypeEnableAllFeatures)
		if err != nil {
			return err
		}
		if len(pending) > 0 {
			return errHandshakeConstraint(types.HandshakeConstraintViolationExceptionReasonOrganizationIsAlreadyPendingAllFeaturesMigration, "The handshake request is invalid because the organization has already started the process to enable all features.")
		}
		name := o.Nodes[o.Management].Name
		whole := newHandshake(ctx, o, name, types.ActionTypeEnableAllFeatures, featuresLasts)
		for _, id := range sortedKeys(o.Nodes) {
			if n := o.Nodes[id]; n.Kind != types.TargetTypeAccount || n.Method != types.AccountJoinedMethodInvited || id == o.Management {
				continue
			}
			h := newHandshake(ctx, o, name, types.ActionTypeApproveAllFeatures, featuresLasts)
			h.Kind, h.Target, h.Parent = types.HandshakePartyTypeAccount, id, whole.ID
			whole.State = types.HandshakeStateRequested
			if err := handshakeTable.In(tx, store.Scope{}).Put(h); err != nil {
				return err
			}
		}
		out.Handshake = whole.toAPI(now(ctx))
		return handshakeTable.In(tx, store.Scope{}).Put(whole)
	})
}
