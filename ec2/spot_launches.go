package ec2

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// spotLaunch is what a persistent Spot request launches again. It is kept apart from the request, as lists do not need it.
type spotLaunch struct {
	ID    string
	Input ec2.RunInstancesInput
	// Template and Number are where the input came from.
	Template string `json:",omitempty"`
	Number   int64  `json:",omitempty"`
}

var spotLaunches = store.NewTable(store.Spec[spotLaunch]{
	Service: "ec2", Name: "spot-launches", ID: func(l *spotLaunch) store.ID { return store.ID{l.ID} },
})

// spotKind is the kind of work of the reconcile loop: a request that has no instance, or one that was stopped.
const spotKind = "ec2.spot"

// capacityBack is how soon there is Spot capacity again after an interruption: there is no market here that could tell.
const capacityBack = time.Minute

// keepSpotLaunch writes down what a persistent request launches.
func keepSpotLaunch(t tx, id string, l *launch) error {
	in := *l.in
	in.MinCount, in.MaxCount, in.ClientToken, in.PrivateIpAddress, in.DryRun = aws.Int32(1), aws.Int32(1), nil, nil, nil
	return spotLaunches.In(t, t.scope).Insert(&spotLaunch{id, in, l.template, l.templateNumber})
}

// reopenSpot makes a persistent request open again whose instance ended, and wants it to be fulfilled.
func reopenSpot(t tx, r *spotRequest, code, message string) error {
	r.State, r.Code, r.Message, r.Updated, r.Instance = types.SpotInstanceStateOpen, code, message, t.Now(), ""
	return errors.Join(spotRequests.put(t, r), reconcile.Want(t, t.item(spotKind, r.ID)))
}

// reconcileSpot fulfills a persistent request that is open: it starts the instance that an interruption stopped, or launches
// another one.
func (s *Service) reconcileSpot(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := scopeOfItem(item)
	var r *spotRequest
	var kept *spotLaunch
	err := s.viewIn(ctx, scope, func(t tx) (err error) {
		if r, err = spotRequests.find(t, item.ID); err == nil {
			kept, err = spotLaunches.In(t, scope).Find(item.ID)
		}
		return err
	})
	if r == nil || kept == nil || err != nil || r.State != types.SpotInstanceStateOpen {
		return 0, err
	}
	over := false
	err = s.updateIn(ctx, scope, func(t tx) (err error) {
		over, err = expireSpot(t, r.ID)
		return err
	})
	if over || err != nil {
		return 0, err
	}
	if r.Instance != "" {
		err = s.updateIn(ctx, scope, func(t tx) error { return s.resumeSpot(t, r.ID) })
	} else {
		err = s.launchAgain(ctx, scope, kept)
	}
	var refused *awsapi.Error
	switch {
	case errors.Is(err, errNoLongerOpen):
		return 0, nil
	case !errors.As(err, &refused):
		return 0, err
	}
	return capacityBack, s.updateIn(ctx, scope, func(t tx) error {
		return spotRequests.edit(t, r.ID, func(r *spotRequest) error {
			if r.State != types.SpotInstanceStateOpen {
				return nil // canceled meanwhile
			}
			r.Code, r.Message, r.Updated = "constraint-not-fulfillable", refused.Message, t.Now()
			return nil
		})
	})
}

// expireSpot closes an open request whose time is over.
// AWS: "Spot request status codes", schedule-expired.
func expireSpot(t tx, id string) (over bool, err error) {
	r, err := spotRequests.find(t, id)
	if r == nil || err != nil || r.State != types.SpotInstanceStateOpen || !r.expired(t.Now()) {
		return false, err
	}
	r.State, r.Code, r.Message, r.Updated = types.SpotInstanceStateClosed, "schedule-expired", "Your Spot request expired before it was fulfilled.", t.Now()
	return true, errors.Join(spotRequests.put(t, r), spotLaunches.In(t, t.scope).Delete(id))
}

// launchAgain launches another instance for a persistent request.
func (s *Service) launchAgain(ctx context.Context, scope store.Scope, kept *spotLaunch) error {
	l, err := checkLaunch(&kept.Input)
	if err != nil {
		return err
	}
	l.template, l.templateNumber, l.request = kept.Template, kept.Number, kept.ID
	if l.profile, err = s.profileIn(ctx, scope.Account, kept.Input.IamInstanceProfile); err != nil {
		return err
	}
	return s.updateIn(ctx, scope, func(t tx) error {
		if err := ensureNetwork(t); err != nil {
			return err
		}
		_, err := s.launch(t, l)
		return err
	})
}

// errNoLongerOpen ends a launch whose request was canceled, or fulfilled, after it was looked at.
var errNoLongerOpen = errors.New("ec2: the Spot request is not open any more")

// resumeSpot starts the instance of a request again that an interruption stopped.
func (s *Service) resumeSpot(t tx, id string) error {
	r, err := spotRequests.find(t, id)
	if r == nil || err != nil || r.State != types.SpotInstanceStateOpen {
		return err
	}
	i, err := instances.find(t, r.Instance)
	if i == nil || err != nil || i.State == stateTerminated || i.State == stateShuttingDown {
		return err
	}
	if i.State != stateStopped {
		return reconcile.WantAfter(t, t.item(spotKind, id), time.Second)
	}
	if err := start(t, i); err != nil {
		return err
	}
	r.State, r.Code, r.Message, r.Updated = types.SpotInstanceStateActive, "fulfilled", "Your spot request is fulfilled.", t.Now()
	return errors.Join(instances.put(t, i), spotRequests.put(t, r), reconcile.Want(t, t.item(instanceKind, i.ID)))
}

// versionText is the number of the launch template's version.
func (l *launch) versionText() string { return strconv.FormatInt(l.templateNumber, 10) }
