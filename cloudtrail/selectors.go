package cloudtrail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
)

// dataOperations of S3 are data events: what is done to objects.
// AWS: "Amazon S3 CloudTrail events" in the S3 user guide.
var dataOperations = map[string]bool{
	"AbortMultipartUpload": true, "CompleteMultipartUpload": true, "CopyObject": true, "CreateMultipartUpload": true,
	"DeleteObject": true, "DeleteObjects": true, "DeleteObjectTagging": true, "GetObject": true, "GetObjectAcl": true,
	"GetObjectAttributes": true, "GetObjectLegalHold": true, "GetObjectRetention": true, "GetObjectTagging": true,
	"GetObjectTorrent": true, "HeadBucket": true, "HeadObject": true, "ListMultipartUploads": true, "ListObjects": true,
	"ListObjectsV2": true, "ListObjectVersions": true, "ListParts": true, "PutObject": true, "PutObjectAcl": true,
	"PutObjectLegalHold": true, "PutObjectRetention": true, "PutObjectTagging": true, "RestoreObject": true,
	"SelectObjectContent": true, "UploadPart": true, "UploadPartCopy": true, "PostObject": true, "RenameObject": true,
}

func isDataEvent(o *awsapi.Outcome) bool { return o.Service == meta.S3 && dataOperations[o.Operation] }

// selections remembers, by account, the logging trails that may want data events.
type selections struct {
	mu  sync.RWMutex
	all map[string][]*trail
	// forgotten counts the changes: what was read before one is not remembered after it.
	forgotten uint64
}

func (s *selections) forget(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten++
	delete(s.all, account)
}

// of answers what is known of the account, and a mark of the moment for keep.
func (s *selections) of(account string) (list []*trail, known bool, mark uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list, known = s.all[account]
	return list, known, s.forgotten
}

// keep remembers what was read since the mark, unless something has changed.
func (s *selections) keep(account string, list []*trail, mark uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgotten != mark {
		return
	}
	if s.all == nil {
		s.all = map[string][]*trail{}
	}
	s.all[account] = list
}

// selectsData tells whether some trail of the caller's account may want the data event. It is asked before every call of
// S3, so it answers from memory. If the trails cannot be read it says yes.
func (s *Service) selectsData(ctx context.Context, o *awsapi.Outcome) bool {
	account := o.Principal.Account
	list, known, mark := s.selecting.of(account)
	if !known {
		err := s.config.DB.View(store.Fresh(ctx), func(tx store.Tx) error {
			list = nil
			for t, err := range trails.In(tx, store.Scope{Account: account}).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				if t.Logging && t.wantsData() {
					list = append(list, t)
				}
			}
			return nil
		})
		if err != nil {
			return true
		}
		s.selecting.keep(account, list, mark)
	}
	return len(list) > 0
}

func (t *trail) wantsData() bool {
	for _, e := range t.Selectors {
		if len(e.DataResources) > 0 {
			return true
		}
	}
	for _, a := range t.Advanced {
		for _, f := range a.FieldSelectors {
			if aws.ToString(f.Field) == "eventCategory" && slices.Contains(f.Equals, "Data") {
				return true
			}
		}
	}
	return false
}

// wants tells whether the trail delivers the event.
func (t *trail) wants(e *event) bool {
	if global := e.Source == "iam.amazonaws.com" || e.Source == "sts.amazonaws.com"; global && !t.Global {
		return false
	}
	if len(t.Advanced) > 0 {
		return slices.ContainsFunc(t.Advanced, func(a types.AdvancedEventSelector) bool { return advancedMatches(a, e) })
	}
	if len(t.Selectors) == 0 {
		return !e.Data // AWS: a trail without selectors delivers all management events
	}
	return slices.ContainsFunc(t.Selectors, func(s types.EventSelector) bool { return basicMatches(s, e) })
}

func basicMatches(s types.EventSelector, e *event) bool {
	switch s.ReadWriteType {
	case types.ReadWriteTypeReadOnly:
		if !e.ReadOnly {
			return false
		}
	case types.ReadWriteTypeWriteOnly:
		if e.ReadOnly {
			return false
		}
	}
	if !e.Data {
		return (s.IncludeManagementEvents == nil || *s.IncludeManagementEvents) && !slices.Contains(s.ExcludeManagementEventSources, e.Source)
	}
	for _, d := range s.DataResources {
		if aws.ToString(d.Type) != "AWS::S3::Object" {
			continue
		}
		for _, prefix := range d.Values {
			if slices.ContainsFunc(e.Resources, func(r resource) bool { return strings.HasPrefix(s3ARN(r), prefix) || prefix == "arn:aws:s3" }) {
				return true
			}
		}
	}
	return false
}

// s3ARN is the ARN of what a data event is about; a bucket's ends with a slash, so that the prefix of a whole bucket
// matches it.
func s3ARN(r resource) string {
	if r.Type == "AWS::S3::Bucket" {
		return "arn:aws:s3:::" + r.Name + "/"
	}
	return "arn:aws:s3:::" + r.Name
}

func advancedMatches(a types.AdvancedEventSelector, e *event) bool {
	for _, f := range a.FieldSelectors {
		var values []string
		switch aws.ToString(f.Field) {
		case "eventCategory":
			values = []string{"Management"}
			if e.Data {
				values = []string{"Data"}
			}
		case "readOnly":
			values = []string{readOnlyText(e.ReadOnly)}
		case "eventSource":
			values = []string{e.Source}
		case "eventName":
			values = []string{e.Name}
		case "resources.type":
			values = []string{"AWS::S3::Object"}
		case "resources.ARN":
			for _, r := range e.Resources {
				values = append(values, s3ARN(r))
			}
		}
		if !fieldMatches(f, values) {
			return false
		}
	}
	return true
}

func fieldMatches(f types.AdvancedFieldSelector, values []string) bool {
	has := func(list []string, test func(value, pattern string) bool) bool {
		return slices.ContainsFunc(values, func(v string) bool {
			return slices.ContainsFunc(list, func(p string) bool { return test(v, p) })
		})
	}
	equal := func(v, p string) bool { return v == p }
	positive := len(f.Equals)+len(f.StartsWith)+len(f.EndsWith) == 0 ||
		has(f.Equals, equal) || has(f.StartsWith, strings.HasPrefix) || has(f.EndsWith, strings.HasSuffix)
	return positive && !has(f.NotEquals, equal) && !has(f.NotStartsWith, strings.HasPrefix) && !has(f.NotEndsWith, strings.HasSuffix)
}

// PutEventSelectors replaces the selectors of a trail: of one kind, which removes the other kind.
func (s *Service) PutEventSelectors(ctx context.Context, in *cloudtrail.PutEventSelectorsInput) (*cloudtrail.PutEventSelectorsOutput, error) {
	if (len(in.EventSelectors) == 0) == (len(in.AdvancedEventSelectors) == 0) {
		return nil, errInvalidEventSelectors("Specify either EventSelectors or AdvancedEventSelectors, and not both.")
	}
	for i := range in.EventSelectors {
		if err := checkBasic(&in.EventSelectors[i]); err != nil {
			return nil, err
		}
	}
	if len(in.EventSelectors) > 5 {
		return nil, errInvalidEventSelectors("A trail can have up to 5 event selectors.")
	}
	for _, a := range in.AdvancedEventSelectors {
		if err := checkAdvanced(a); err != nil {
			return nil, err
		}
	}
	t, err := s.changeTrail(ctx, in.TrailName, func(_ store.Tx, t *trail) error {
		t.Selectors, t.Advanced = in.EventSelectors, in.AdvancedEventSelectors
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &cloudtrail.PutEventSelectorsOutput{
		TrailARN: aws.String(t.arn(awsapi.FromContext(ctx).Principal.Account)), EventSelectors: t.Selectors, AdvancedEventSelectors: t.Advanced,
	}, nil
}

// checkBasic refuses what is not known, and sets what is left out.
func checkBasic(s *types.EventSelector) error {
	if s.ReadWriteType == "" {
		s.ReadWriteType = types.ReadWriteTypeAll
	}
	if s.IncludeManagementEvents == nil {
		s.IncludeManagementEvents = aws.Bool(true)
	}
	for _, d := range s.DataResources {
		if aws.ToString(d.Type) != "AWS::S3::Object" {
			return errNotDone("DataResource of type " + aws.ToString(d.Type))
		}
		for _, v := range d.Values {
			if v != "arn:aws:s3" && !strings.HasPrefix(v, "arn:aws:s3:::") {
				return errInvalidEventSelectors(fmt.Sprintf("Value %s for DataResources.Values is invalid.", v))
			}
		}
	}
	return nil
}

func checkAdvanced(a types.AdvancedEventSelector) error {
	category := ""
	for _, f := range a.FieldSelectors {
		field := aws.ToString(f.Field)
		if len(f.Equals)+len(f.StartsWith)+len(f.EndsWith)+len(f.NotEquals)+len(f.NotStartsWith)+len(f.NotEndsWith) == 0 {
			return errInvalidEventSelectors("A field selector needs at least one operator with a value.")
		}
		switch field {
		case "eventCategory":
			if len(f.Equals) == 1 {
				category = f.Equals[0]
			}
		case "readOnly", "eventSource", "eventName", "resources.ARN":
		case "resources.type":
			if len(f.Equals) != 1 || f.Equals[0] != "AWS::S3::Object" {
				return errNotDone("resources.type " + strings.Join(f.Equals, ", "))
			}
		default:
			return errNotDone("the field " + field + " of an event selector")
		}
	}
	if category != "Management" && category != "Data" {
		return errInvalidEventSelectors("An advanced event selector needs the field eventCategory, which equals Management or Data.")
	}
	return nil
}

// GetEventSelectors answers the selectors; of a trail that was given none, the one that it works by.
func (s *Service) GetEventSelectors(ctx context.Context, in *cloudtrail.GetEventSelectorsInput) (*cloudtrail.GetEventSelectorsOutput, error) {
	out := &cloudtrail.GetEventSelectorsOutput{}
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		t, err := getTrail(ctx, tx, in.TrailName)
		if err != nil {
			return err
		}
		out.TrailARN = aws.String(t.arn(awsapi.FromContext(ctx).Principal.Account))
		out.EventSelectors, out.AdvancedEventSelectors = t.Selectors, t.Advanced
		if len(t.Selectors)+len(t.Advanced) == 0 {
			out.EventSelectors = []types.EventSelector{{
				ReadWriteType: types.ReadWriteTypeAll, IncludeManagementEvents: aws.Bool(true),
				DataResources: []types.DataResource{}, ExcludeManagementEventSources: []string{},
			}}
		}
		return nil
	})
	return out, err
}
