package organizations

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// enabling is an organization with these invited accounts, which are asked to approve all features: the whole handshake, and
// each account's own.
func (f *fixture) enabling(accounts ...string) (whole string, own map[string]string) {
	f.Helper()
	ask[organizations.CreateOrganizationOutput](f, &organizations.CreateOrganizationInput{FeatureSet: types.OrganizationFeatureSetConsolidatedBilling})
	for _, account := range accounts {
		in := &organizations.InviteAccountToOrganizationInput{Target: &types.HandshakeParty{Id: &account, Type: types.HandshakePartyTypeAccount}}
		h := ask[organizations.InviteAccountToOrganizationOutput](f, in).Handshake
		f.does(account, &organizations.AcceptHandshakeInput{HandshakeId: h.Id})
	}
	whole = *ask[organizations.EnableAllFeaturesOutput](f, &organizations.EnableAllFeaturesInput{}).Handshake.Id
	own = map[string]string{}
	for _, h := range ask[organizations.ListHandshakesForOrganizationOutput](f, &organizations.ListHandshakesForOrganizationInput{Filter: &types.HandshakeFilter{ParentHandshakeId: &whole}}).Handshakes {
		own[*h.Parties[1].Id] = *h.Id
	}
	return whole, own
}

func (f *fixture) does(account string, in any) {
	f.Helper()
	if _, err := f.by(account, in); err != nil {
		f.Fatalf("%s: %T: %v", account, in, err)
	}
}

func (f *fixture) state(handshake string) types.HandshakeState {
	f.Helper()
	return ask[organizations.DescribeHandshakeOutput](f, &organizations.DescribeHandshakeInput{HandshakeId: &handshake}).Handshake.State
}

// TestAskedAndGone: an account that left is not waited for, and what it says does not count.
func TestAskedAndGone(t *testing.T) {
	const stays, leaves = "222200001111", "222200002222"
	for name, c := range map[string]struct {
		account string
		in      any
	}{
		"left":    {leaves, &organizations.LeaveOrganizationInput{}},
		"removed": {management, &organizations.RemoveAccountFromOrganizationInput{AccountId: aws.String(leaves)}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			whole, own := f.enabling(stays, leaves)
			f.does(c.account, c.in)
			if state := f.state(own[leaves]); state != types.HandshakeStateCanceled {
				t.Errorf("the question to who left is %s", state)
			}
			if state := f.state(whole); state != types.HandshakeStateRequested {
				t.Errorf("with one to answer: %s", state)
			}
			f.does(stays, &organizations.AcceptHandshakeInput{HandshakeId: aws.String(own[stays])})
			if state := f.state(whole); state != types.HandshakeStateOpen {
				t.Errorf("when all members agreed: %s", state)
			}
		})
	}
	t.Run("the last one, who declined", func(t *testing.T) {
		f := newFixture(t)
		whole, own := f.enabling(stays, leaves)
		f.does(stays, &organizations.AcceptHandshakeInput{HandshakeId: aws.String(own[stays])})
		f.does(leaves, &organizations.DeclineHandshakeInput{HandshakeId: aws.String(own[leaves])})
		f.does(leaves, &organizations.LeaveOrganizationInput{})
		if state := f.state(whole); state != types.HandshakeStateOpen {
			t.Errorf("%s", state)
		}
	})
	t.Run("a question that was not taken back", func(t *testing.T) {
		f := newFixture(t)
		_, own := f.enabling(stays, leaves)
		f.does(leaves, &organizations.LeaveOrganizationInput{})
		err := f.db.Update(t.Context(), func(tx store.Tx) error {
			rows := handshakeTable.In(tx, store.Scope{})
			h, err := rows.Get(own[leaves])
			if err != nil {
				return err
			}
			h.State = types.HandshakeStateOpen
			return rows.Put(h)
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.by(leaves, &organizations.AcceptHandshakeInput{HandshakeId: aws.String(own[leaves])})
		var known *awsapi.Error
		if !errors.As(err, &known) || known.Code != "InvalidHandshakeTransitionException" {
			t.Errorf("%v", err)
		}
	})
}

// TestCanceledIsNotAgreed: the question to one who stays cannot be taken back to do without the answer.
func TestCanceledIsNotAgreed(t *testing.T) {
	const yes, silent = "222200001111", "222200002222"
	f := newFixture(t)
	whole, own := f.enabling(yes, silent)
	ask[organizations.CancelHandshakeOutput](f, &organizations.CancelHandshakeInput{HandshakeId: aws.String(own[silent])})
	f.does(yes, &organizations.AcceptHandshakeInput{HandshakeId: aws.String(own[yes])})
	if state := f.state(whole); state != types.HandshakeStateRequested {
		t.Errorf("%s", state)
	}
}
