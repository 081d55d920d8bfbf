package organizations

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// party is who the caller is to a handshake.
type party struct{ account, email string }

func (s *Service) party(ctx context.Context) (party, error) {
	p := party{account: awsapi.FromContext(ctx).Principal.Account}
	var err error
	_, p.email, err = s.config.Accounts.Account(ctx, p.account)
	return p, err
}

func (p party) isAsked(h *handshake) bool {
	return h.Target == p.account || p.email != "" && strings.EqualFold(h.Target, p.email)
}

// answer moves a handshake to a state, by who may.
func (s *Service) answer(ctx context.Context, id *string, to types.HandshakeState, may func(*handshake, party) bool, also func(store.Tx, *handshake, party) error) (*types.Handshake, error) {
	p, err := s.party(ctx)
	if err != nil {
		return nil, err
	}
	var answered *types.Handshake
	err = s.config.DB.Update(ctx, func(tx store.Tx) error {
		rows := handshakeTable.In(tx, store.Scope{})
		h, err := rows.Find(aws.ToString(id))
		switch {
		case err != nil:
			return err
		case h == nil || !p.isAsked(h) && h.Management != p.account:
			return errHandshakeNotFound()
		case !may(h, p):
			return errAccessDenied()
		case h.at(now(ctx)) == to:
			return errHandshakeAlreadyIn(to)
		case h.at(now(ctx)) != types.HandshakeStateOpen && (to == types.HandshakeStateAccepted || h.at(now(ctx)) != types.HandshakeStateRequested):
			return errHandshakeTransition()
		}
		h.State = to
		if err := rows.Put(h); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx, h, p); err != nil {
				return err
			}
		}
		answered = h.toAPI(now(ctx))
		return putStamp(tx)
	})
	return answered, err
}

// decides are those whose answer counts: the account that is asked, and for the whole organization the management account.
func decides(h *handshake, p party) bool {
	return p.isAsked(h) || h.Target == "" && h.Management == p.account
}

// AcceptHandshake joins the caller's account to an organization, or agrees to all features.
func (s *Service) AcceptHandshake(ctx context.Context, in *organizations.AcceptHandshakeInput) (*organizations.AcceptHandshakeOutput, error) {
	h, err := s.answer(ctx, in.HandshakeId, types.HandshakeStateAccepted, decides, func(tx store.Tx, h *handshake, p party) error {
		o, err := organizationOf(tx, h.Management)
		if err != nil || o == nil {
			return cmp.Or(err, errHandshakeNotFound())
		}
		switch h.Action {
		case types.ActionTypeApproveAllFeatures:
			if o.Nodes[p.account] == nil { // it left before leaving took the question back
				return errHandshakeTransition()
			}
			return o.approved(ctx, tx, h.Parent)
		case types.ActionTypeEnableAllFeatures:
			o.Features = types.OrganizationFeatureSetAll
		default:
			if err := join(ctx, tx, o, h, p, s); err != nil {
				return err
			}
		}
		return o.save(tx)
	})
	return &organizations.AcceptHandshakeOutput{Handshake: h}, err
}

func join(ctx context.Context, tx store.Tx, o *organization, h *handshake, p party, s *Service) error {
	other, err := organizationOf(tx, p.account)
	if err != nil {
		return err
	}
	if other != nil {
		return errHandshakeConstraint(types.HandshakeConstraintViolationExceptionReasonAlreadyInAnOrganization, "The provided account is already a member of an organization.")
	}
	if err := o.room(); err != nil {
		return err
	}
	name, _, err := s.config.Accounts.Account(ctx, p.account)
	o.Nodes[p.account] = &node{
		Parent: o.Root, Name: name, Email: p.email, Kind: types.TargetTypeAccount, Joined: now(ctx),
		Method: types.AccountJoinedMethodInvited, Tags: h.Tags, Attached: o.defaults(),
	}
	return err
}

// approved opens the whole organization's handshake when all members that were asked have said yes.
func (o *organization) approved(ctx context.Context, tx store.Tx, parent string) error {
	all, err := handshakesWith(tx, "organization", o.ID)
	if err != nil {
		return err
	}
	for _, h := range all {
		if h.Parent == parent && h.State != types.HandshakeStateAccepted && o.Nodes[h.Target] != nil {
			return nil
		}
	}
	rows := handshakeTable.In(tx, store.Scope{})
	whole, err := rows.Find(parent)
	if err != nil || whole == nil || whole.at(now(ctx)) != types.HandshakeStateRequested {
		return err
	}
	whole.State = types.HandshakeStateOpen
	return rows.Put(whole)
}

// withdraw takes back what an account was asked that left. The others may be all that was waited for.
func (o *organization) withdraw(ctx context.Context, tx store.Tx, account string) error {
	asked, err := o.pendingOf(ctx, tx, types.ActionTypeApproveAllFeatures)
	if err != nil {
		return err
	}
	for _, h := range asked {
		if h.Target != account {
			continue
		}
		h.State = types.HandshakeStateCanceled
		if err := handshakeTable.In(tx, store.Scope{}).Put(h); err != nil {
			return err
		}
	}
	whole, err := o.pendingOf(ctx, tx, types.ActionTypeEnableAllFeatures)
	if err != nil {
		return err
	}
	for _, h := range whole {
		if err := o.approved(ctx, tx, h.ID); err != nil {
			return err
		}
	}
	return nil
}

// DeclineHandshake is the asked account's no.
func (s *Service) DeclineHandshake(ctx context.Context, in *organizations.DeclineHandshakeInput) (*organizations.DeclineHandshakeOutput, error) {
	h, err := s.answer(ctx, in.HandshakeId, types.HandshakeStateDeclined, func(h *handshake, p party) bool { return p.isAsked(h) }, nil)
	return &organizations.DeclineHandshakeOutput{Handshake: h}, err
}

// CancelHandshake takes the question back.
func (s *Service) CancelHandshake(ctx context.Context, in *organizations.CancelHandshakeInput) (*organizations.CancelHandshakeOutput, error) {
	h, err := s.answer(ctx, in.HandshakeId, types.HandshakeStateCanceled, func(h *handshake, p party) bool { return h.Management == p.account }, func(tx store.Tx, h *handshake, _ party) error {
		all, err := handshakesWith(tx, "organization", h.Organization)
		for _, other := range all {
			if other.Parent == h.ID && other.pending() {
				other.State = types.HandshakeStateCanceled
				if err := handshakeTable.In(tx, store.Scope{}).Put(other); err != nil {
					return err
				}
			}
		}
		return err
	})
	return &organizations.CancelHandshakeOutput{Handshake: h}, err
}

// DescribeHandshake answers a handshake to its parties.
func (s *Service) DescribeHandshake(ctx context.Context, in *organizations.DescribeHandshakeInput) (*organizations.DescribeHandshakeOutput, error) {
	p, err := s.party(ctx)
	if err != nil {
		return nil, err
	}
	out := &organizations.DescribeHandshakeOutput{}
	return out, s.config.DB.View(ctx, func(tx store.Tx) error {
		h, err := handshakeTable.In(tx, store.Scope{}).Find(aws.ToString(in.HandshakeId))
		if err != nil {
			return err
		}
		if h == nil || !p.isAsked(h) && h.Management != p.account {
			return errHandshakeNotFound()
		}
		out.Handshake = h.toAPI(now(ctx))
		return nil
	})
}

// shown is a page of handshakes, the newest first.
func shown(ctx context.Context, all []*handshake, filter *types.HandshakeFilter, maxResults *int32, token *string) ([]types.Handshake, *string, error) {
	if filter != nil && filter.ActionType != "" && aws.ToString(filter.ParentHandshakeId) != "" {
		return nil, nil, errInvalidInput(types.InvalidInputExceptionReasonMaxFilterLimitExceeded, "You can specify only one filter parameter for the operation.")
	}
	list := []types.Handshake{}
	slices.SortFunc(all, func(a, b *handshake) int {
		return cmp.Or(b.Requested.Compare(a.Requested), cmp.Compare(a.ID, b.ID))
	})
	for _, h := range all {
		if filter == nil || (filter.ActionType == "" || filter.ActionType == h.Action) && (filter.ParentHandshakeId == nil || *filter.ParentHandshakeId == h.Parent) {
			list = append(list, *h.toAPI(now(ctx)))
		}
	}
	return cut(list, maxResults, token)
}

// ListHandshakesForAccount lists what the caller's account is asked.
func (s *Service) ListHandshakesForAccount(ctx context.Context, in *organizations.ListHandshakesForAccountInput) (*organizations.ListHandshakesForAccountOutput, error) {
	p, err := s.party(ctx)
	if err != nil {
		return nil, err
	}
	out := &organizations.ListHandshakesForAccountOutput{}
	return out, s.config.DB.View(ctx, func(tx store.Tx) error {
		all, err := handshakesWith(tx, "target", p.account)
		if err != nil {
			return err
		}
		if p.email != "" {
			more, err := handshakesWith(tx, "target", strings.ToLower(p.email))
			if err != nil {
				return err
			}
			all = append(all, more...)
		}
		out.Handshakes, out.NextToken, err = shown(ctx, all, in.Filter, in.MaxResults, in.NextToken)
		return err
	})
}

// ListHandshakesForOrganization lists what the organization asked.
func (s *Service) ListHandshakesForOrganization(ctx context.Context, in *organizations.ListHandshakesForOrganizationInput) (*organizations.ListHandshakesForOrganizationOutput, error) {
	out := &organizations.ListHandshakesForOrganizationOutput{}
	return out, s.look(ctx, func(tx store.Tx, o *organization) error {
		all, err := handshakesWith(tx, "organization", o.ID)
		if err != nil {
			return err
		}
		out.Handshakes, out.NextToken, err = shown(ctx, all, in.Filter, in.MaxResults, in.NextToken)
		return err
	})
}
