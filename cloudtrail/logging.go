package cloudtrail

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

func asError(err error, target **awsapi.Error) bool { return errors.As(err, target) }

// StartLogging begins to deliver, with what happens from now on.
func (s *Service) StartLogging(ctx context.Context, in *cloudtrail.StartLoggingInput) (*cloudtrail.StartLoggingOutput, error) {
	_, err := s.changeTrail(ctx, in.Name, func(tx store.Tx, t *trail) error {
		if t.Logging {
			return nil
		}
		t.Logging, t.Started = true, tx.Now().UTC()
		for _, p := range t.Progress {
			p.Until, p.DataUntil = later(p.Until, t.Started), later(p.DataUntil, t.Started)
		}
		return nil
	})
	return &cloudtrail.StartLoggingOutput{}, err
}

// StopLogging ends it. What happened before is still delivered.
func (s *Service) StopLogging(ctx context.Context, in *cloudtrail.StopLoggingInput) (*cloudtrail.StopLoggingOutput, error) {
	_, err := s.changeTrail(ctx, in.Name, func(tx store.Tx, t *trail) error {
		if t.Logging {
			t.Logging, t.Stopped = false, tx.Now().UTC()
		}
		return nil
	})
	return &cloudtrail.StopLoggingOutput{}, err
}

// GetTrailStatus answers how deliveries go in this region.
func (s *Service) GetTrailStatus(ctx context.Context, in *cloudtrail.GetTrailStatusInput) (*cloudtrail.GetTrailStatusOutput, error) {
	var t *trail
	err := s.config.DB.View(ctx, func(tx store.Tx) (err error) {
		t, err = getTrail(ctx, tx, in.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &cloudtrail.GetTrailStatusOutput{
		IsLogging:                          aws.Bool(t.Logging),
		LatestDeliveryAttemptTime:          aws.String(""),
		LatestNotificationAttemptTime:      aws.String(""),
		LatestNotificationAttemptSucceeded: aws.String(""),
		LatestDeliveryAttemptSucceeded:     aws.String(""),
		TimeLoggingStarted:                 aws.String(textOf(t.Started)), TimeLoggingStopped: aws.String(textOf(t.Stopped)),
		StartLoggingTime: timeOrNone(t.Started), StopLoggingTime: timeOrNone(t.Stopped),
	}
	p := t.Progress[awsapi.FromContext(ctx).Region]
	if p == nil {
		return out, nil
	}
	out.LatestDeliveryTime, out.LatestDeliveryAttemptSucceeded = timeOrNone(p.Delivered), aws.String(textOf(p.Delivered))
	out.LatestDeliveryAttemptTime = aws.String(textOf(p.Attempted))
	out.LatestDigestDeliveryTime = timeOrNone(p.Digested)
	if p.Failure != "" {
		out.LatestDeliveryError = aws.String(p.Failure)
	}
	if p.DigestFailure != "" {
		out.LatestDigestDeliveryError = aws.String(p.DigestFailure)
	}
	return out, nil
}

func timeOrNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return aws.Time(t.Truncate(time.Second))
}

func textOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(stampFormat)
}
