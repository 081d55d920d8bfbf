package cloudtrail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// trail delivers events of one or of all regions to a bucket.
type trail struct {
	Name, HomeRegion string
	Created          time.Time
	Bucket, Prefix   string
	AllRegions       bool
	// Global tells that events of global services are delivered too.
	Global     bool
	Validation bool
	Logging    bool
	// Started and Stopped are the last times.
	Started, Stopped time.Time
	Selectors        []types.EventSelector
	Advanced         []types.AdvancedEventSelector
	Tags             map[string]string `json:",omitempty"`
	// Progress says, by region, how far deliveries have come. The delivery sweep alone writes it.
	Progress map[string]*progress `json:",omitempty"`
}

// progress of a trail in one region.
type progress struct {
	// Until is the time of the last event that was looked at, of the two kinds.
	Until, DataUntil time.Time
	Delivered        time.Time `json:",omitzero"`
	Attempted        time.Time `json:",omitzero"`
	Failure          string    `json:",omitempty"`
	// Digested is the end of the last digest, which Digest, DigestHash and Signature are about.
	Digested                     time.Time `json:",omitzero"`
	Digest, DigestHash, DigestIn string    `json:",omitempty"`
	Signature                    string    `json:",omitempty"`
	DigestFailure                string    `json:",omitempty"`
}

// trails are in the account's scope of all regions: one that covers all regions shows in each.
var trails = store.NewTable(store.Spec[trail]{
	Service: "cloudtrail", Name: "trails",
	ID: func(t *trail) store.ID { return store.ID{t.HomeRegion, t.Name} },
})

// AWS: "CreateTrail": 5 trails in a region.
const maxTrails = 5

func (t *trail) arn(account string) string {
	return fmt.Sprintf("arn:aws:cloudtrail:%s:%s:trail/%s", t.HomeRegion, account, t.Name)
}

var (
	trailName  = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9._-]{1,126}[a-zA-Z0-9]$`)
	trailPairs = lazyregexp.New(`[._-]{2}`)
	trailIP    = lazyregexp.New(`^\d+\.\d+\.\d+\.\d+$`)
	trailARN   = lazyregexp.New(`^arn:aws:cloudtrail:([a-z0-9-]+):([0-9]{12}):trail/(.+)$`)
)

// checkName refuses names as AWS does.
// AWS: "CreateTrail", the requirements of Name.
func checkName(name string) error {
	switch {
	case len(name) < 3 || len(name) > 128:
		return errInvalidTrailName("Trail name must be between 3 and 128 characters.")
	case !trailName.MatchString(name):
		return errInvalidTrailName("Trail name must starts with a letter or number, and ends with a letter or number, and contain only letters, numbers, periods, underscores and dashes.")
	case trailPairs.MatchString(name):
		return errInvalidTrailName("Trail name must not have adjacent periods, underscores or dashes.")
	case trailIP.MatchString(name):
		return errInvalidTrailName("Trail name must not be in IP address format.")
	}
	return nil
}

// named answers the region and name that a client means by a name or an ARN.
func named(ctx context.Context, given *string) (region, name string, err error) {
	r := awsapi.FromContext(ctx)
	text := aws.ToString(given)
	if !strings.HasPrefix(text, "arn:") {
		return r.Region, text, checkName(text)
	}
	m := trailARN.FindStringSubmatch(text)
	if m == nil {
		return "", "", awsapi.Errorf("CloudTrailARNInvalidException", "Invalid trail ARN: %s", text)
	}
	if m[2] != r.Principal.Account {
		return "", "", errTrailNotFound(text, r.Principal.Account)
	}
	return m[1], m[3], nil
}

// getTrail answers the trail that a client names; by its mere name also one of another region that covers all.
func getTrail(ctx context.Context, tx store.Tx, given *string) (*trail, error) {
	region, name, err := named(ctx, given)
	if err != nil {
		return nil, err
	}
	_, account := where(ctx)
	rows := trails.In(tx, account)
	t, err := rows.Find(region, name)
	if err != nil || t != nil {
		return t, err
	}
	if !strings.HasPrefix(aws.ToString(given), "arn:") {
		for t, err := range rows.Scan(store.Query{}) {
			if err != nil {
				return nil, err
			}
			if t.AllRegions && t.Name == name {
				return t, nil
			}
		}
	}
	shown := &trail{HomeRegion: region, Name: name}
	return nil, errTrailNotFound(shown.arn(account.Account), account.Account)
}

// changeTrail changes a trail in its home region.
func (s *Service) changeTrail(ctx context.Context, given *string, change func(tx store.Tx, t *trail) error) (*trail, error) {
	_, account := where(ctx)
	var changed *trail
	err := s.config.DB.Update(ctx, func(tx store.Tx) error {
		t, err := getTrail(ctx, tx, given)
		if err != nil {
			return err
		}
		if t.HomeRegion != awsapi.FromContext(ctx).Region {
			return errInvalidHomeRegion(t.HomeRegion)
		}
		if err := change(tx, t); err != nil {
			return err
		}
		changed = t
		return trails.In(tx, account).Put(t)
	})
	s.selecting.forget(account.Account)
	return changed, err
}

// unsupported answers the error of what is not done.
func unsupported(given map[string]bool) error {
	for name, is := range given {
		if is {
			return errNotDone(name)
		}
	}
	return nil
}

// CreateTrail makes a trail that does not log yet, after it has written into the bucket once.
func (s *Service) CreateTrail(ctx context.Context, in *cloudtrail.CreateTrailInput) (*cloudtrail.CreateTrailOutput, error) {
	err := unsupported(map[string]bool{
		"IsOrganizationTrail": aws.ToBool(in.IsOrganizationTrail), "KmsKeyId": aws.ToString(in.KmsKeyId) != "",
		"CloudWatchLogsLogGroupArn": aws.ToString(in.CloudWatchLogsLogGroupArn) != "", "SnsTopicName": aws.ToString(in.SnsTopicName) != "",
	})
	if err != nil {
		return nil, err
	}
	if err := checkName(aws.ToString(in.Name)); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.TagsList)
	if err != nil {
		return nil, err
	}
	t := &trail{
		Name: *in.Name, HomeRegion: awsapi.FromContext(ctx).Region,
		Bucket: aws.ToString(in.S3BucketName), Prefix: aws.ToString(in.S3KeyPrefix),
		AllRegions: aws.ToBool(in.IsMultiRegionTrail), Global: in.IncludeGlobalServiceEvents == nil || *in.IncludeGlobalServiceEvents,
		Validation: aws.ToBool(in.EnableLogFileValidation), Tags: tags,
	}
	if t.AllRegions && !t.Global {
		return nil, errInvalidParameterCombination("Multi-Region trail must include global service events.")
	}
	if err := s.checkBucket(ctx, t); err != nil {
		return nil, err
	}
	_, account := where(ctx)
	err = s.config.DB.Update(ctx, func(tx store.Tx) error {
		rows := trails.In(tx, account)
		others := 0
		for other, err := range rows.Scan(store.Query{}) {
			switch {
			case err != nil:
				return err
			case other.Name == t.Name && (other.HomeRegion == t.HomeRegion || other.AllRegions || t.AllRegions):
				return errTrailAlreadyExists(t.Name, account.Account)
			case other.HomeRegion == t.HomeRegion || other.AllRegions:
				others++
			}
		}
		if others >= maxTrails {
			return errMaximumNumberOfTrails(t.HomeRegion)
		}
		t.Created = tx.Now().UTC().Truncate(time.Second)
		return rows.Insert(t)
	})
	if err != nil {
		return nil, err
	}
	s.selecting.forget(account.Account)
	a := t.toAPI(account.Account)
	return &cloudtrail.CreateTrailOutput{
		Name: a.Name, TrailARN: a.TrailARN, S3BucketName: a.S3BucketName, S3KeyPrefix: a.S3KeyPrefix,
		IsMultiRegionTrail: a.IsMultiRegionTrail, IncludeGlobalServiceEvents: a.IncludeGlobalServiceEvents,
		LogFileValidationEnabled: a.LogFileValidationEnabled, IsOrganizationTrail: a.IsOrganizationTrail,
	}, nil
}

// UpdateTrail changes what is given.
func (s *Service) UpdateTrail(ctx context.Context, in *cloudtrail.UpdateTrailInput) (*cloudtrail.UpdateTrailOutput, error) {
	err := unsupported(map[string]bool{
		"IsOrganizationTrail": aws.ToBool(in.IsOrganizationTrail), "KmsKeyId": aws.ToString(in.KmsKeyId) != "",
		"CloudWatchLogsLogGroupArn": aws.ToString(in.CloudWatchLogsLogGroupArn) != "", "SnsTopicName": aws.ToString(in.SnsTopicName) != "",
	})
	if err != nil {
		return nil, err
	}
	_, account := where(ctx)
	var before *trail
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		before, err = getTrail(ctx, tx, in.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	apply := func(t *trail) {
		set(&t.Bucket, in.S3BucketName)
		set(&t.Prefix, in.S3KeyPrefix)
		set(&t.AllRegions, in.IsMultiRegionTrail)
		set(&t.Global, in.IncludeGlobalServiceEvents)
		set(&t.Validation, in.EnableLogFileValidation)
	}
	apply(before)
	if before.AllRegions && !before.Global {
		return nil, errInvalidParameterCombination("Multi-Region trail must include global service events.")
	}
	if in.S3BucketName != nil || in.S3KeyPrefix != nil {
		if err := s.checkBucket(ctx, before); err != nil {
			return nil, err
		}
	}
	t, err := s.changeTrail(ctx, in.Name, func(_ store.Tx, t *trail) error {
		apply(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	a := t.toAPI(account.Account)
	return &cloudtrail.UpdateTrailOutput{
		Name: a.Name, TrailARN: a.TrailARN, S3BucketName: a.S3BucketName, S3KeyPrefix: a.S3KeyPrefix,
		IsMultiRegionTrail: a.IsMultiRegionTrail, IncludeGlobalServiceEvents: a.IncludeGlobalServiceEvents,
		LogFileValidationEnabled: a.LogFileValidationEnabled, IsOrganizationTrail: a.IsOrganizationTrail,
	}, nil
}

// set takes a value that was given.
func set[T any](member, given *T) {
	if given != nil {
		*member = *given
	}
}

// DeleteTrail removes the trail; what it has delivered stays.
func (s *Service) DeleteTrail(ctx context.Context, in *cloudtrail.DeleteTrailInput) (*cloudtrail.DeleteTrailOutput, error) {
	_, account := where(ctx)
	err := s.config.DB.Update(ctx, func(tx store.Tx) error {
		t, err := getTrail(ctx, tx, in.Name)
		if err != nil {
			return err
		}
		if t.HomeRegion != awsapi.FromContext(ctx).Region {
			return errInvalidHomeRegion(t.HomeRegion)
		}
		for f, err := range files.In(tx, account).Scan(store.Query{Parts: store.ID{t.HomeRegion, t.Name}}) {
			if err != nil {
				return err
			}
			if err := files.In(tx, account).Delete(f.id()...); err != nil {
				return err
			}
		}
		return trails.In(tx, account).Delete(t.HomeRegion, t.Name)
	})
	s.selecting.forget(account.Account)
	return &cloudtrail.DeleteTrailOutput{}, err
}

// GetTrail answers one trail.
func (s *Service) GetTrail(ctx context.Context, in *cloudtrail.GetTrailInput) (*cloudtrail.GetTrailOutput, error) {
	out := &cloudtrail.GetTrailOutput{}
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		t, err := getTrail(ctx, tx, in.Name)
		if err == nil {
			shown := t.toAPI(awsapi.FromContext(ctx).Principal.Account)
			out.Trail = &shown
		}
		return err
	})
	return out, err
}

// DescribeTrails answers the trails that are named, or all of the region: its own, and those that cover all regions
// unless these are not wanted.
func (s *Service) DescribeTrails(ctx context.Context, in *cloudtrail.DescribeTrailsInput) (*cloudtrail.DescribeTrailsOutput, error) {
	out := &cloudtrail.DescribeTrailsOutput{TrailList: []types.Trail{}}
	r := awsapi.FromContext(ctx)
	_, account := where(ctx)
	shadows := in.IncludeShadowTrails == nil || *in.IncludeShadowTrails
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		out.TrailList = out.TrailList[:0]
		for t, err := range trails.In(tx, account).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if t.HomeRegion != r.Region && (!t.AllRegions || !shadows) {
				continue
			}
			if len(in.TrailNameList) > 0 && !slices.Contains(in.TrailNameList, t.Name) && !slices.Contains(in.TrailNameList, t.arn(account.Account)) {
				continue
			}
			out.TrailList = append(out.TrailList, t.toAPI(account.Account))
		}
		return nil
	})
	return out, err
}

// ListTrails answers the trails of all regions, on one page: there are at most a few of them.
func (s *Service) ListTrails(ctx context.Context, _ *cloudtrail.ListTrailsInput) (*cloudtrail.ListTrailsOutput, error) {
	out := &cloudtrail.ListTrailsOutput{Trails: []types.TrailInfo{}}
	_, account := where(ctx)
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		out.Trails = out.Trails[:0]
		for t, err := range trails.In(tx, account).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			out.Trails = append(out.Trails, types.TrailInfo{Name: aws.String(t.Name), HomeRegion: aws.String(t.HomeRegion), TrailARN: aws.String(t.arn(account.Account))})
		}
		return nil
	})
	return out, err
}

func (t *trail) toAPI(account string) types.Trail {
	out := types.Trail{
		Name: aws.String(t.Name), TrailARN: aws.String(t.arn(account)), HomeRegion: aws.String(t.HomeRegion),
		S3BucketName: aws.String(t.Bucket), IncludeGlobalServiceEvents: aws.Bool(t.Global), IsMultiRegionTrail: aws.Bool(t.AllRegions),
		LogFileValidationEnabled: aws.Bool(t.Validation), HasCustomEventSelectors: aws.Bool(len(t.Selectors)+len(t.Advanced) > 0),
		HasInsightSelectors: aws.Bool(false), IsOrganizationTrail: aws.Bool(false),
	}
	if t.Prefix != "" {
		out.S3KeyPrefix = aws.String(t.Prefix)
	}
	return out
}
