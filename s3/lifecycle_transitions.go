package s3

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// transitionOrder is the order in which objects move: never back up.
// AWS: "Transitioning objects using Amazon S3 Lifecycle".
var transitionOrder = []types.TransitionStorageClass{
	types.TransitionStorageClassStandardIa, types.TransitionStorageClassIntelligentTiering, types.TransitionStorageClassOnezoneIa,
	types.TransitionStorageClassGlacierIr, types.TransitionStorageClassGlacier, types.TransitionStorageClassDeepArchive,
}

func checkTransitions(r types.LifecycleRule) error {
	var latest int32 = -1
	var latestDate time.Time
	for _, t := range r.Transitions {
		switch {
		case !slices.Contains(transitionOrder, t.StorageClass) || (t.Date == nil) == (t.Days == nil):
			return errMalformedXML()
		case t.Days != nil && *t.Days < 0:
			return errInvalidArgument("'Days' for Transition action must be nonnegative", "Days", fmt.Sprint(*t.Days))
		case t.Date != nil && !midnight(*t.Date):
			return errInvalidArgument("'Date' must be at midnight GMT", "Date", t.Date.UTC().Format(time.RFC3339))
		case t.Days != nil && *t.Days < 30 && infrequent(t.StorageClass):
			return errInvalidArgument(fmt.Sprintf("'Days' in Transition action must be greater than or equal to 30 for storageClass '%s'", t.StorageClass), "Days", fmt.Sprint(*t.Days))
		}
		latest = max(latest, aws.ToInt32(t.Days))
		if t.Date != nil && t.Date.After(latestDate) {
			latestDate = *t.Date
		}
	}
	if err := checkTransitionOrder(r); err != nil {
		return err
	}
	if e := r.Expiration; e != nil && e.Days != nil && len(r.Transitions) > 0 && *e.Days <= latest {
		return errInvalidArgument(fmt.Sprintf("'Days' in the Expiration action for filter '%s' must be greater than 'Days' in the Transition action", shownFilter(r)), "Days", fmt.Sprint(*e.Days))
	} else if e != nil && e.Date != nil && !e.Date.After(latestDate) {
		return errInvalidArgument(fmt.Sprintf("'Date' in the Expiration action for filter '%s' must be later than 'Date' in the Transition action", shownFilter(r)), "Date", e.Date.UTC().Format(time.RFC3339))
	}
	for _, t := range r.NoncurrentVersionTransitions {
		switch {
		case t.NoncurrentDays == nil || !slices.Contains(transitionOrder, t.StorageClass):
			return errMalformedXML()
		case *t.NoncurrentDays < 0:
			return errInvalidArgument("'NoncurrentDays' for NoncurrentVersionTransition action must be nonnegative", "NoncurrentDays", fmt.Sprint(*t.NoncurrentDays))
		case *t.NoncurrentDays < 30 && infrequent(t.StorageClass):
			return errInvalidArgument(fmt.Sprintf("'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or equal to 30 for storageClass '%s'", t.StorageClass), "NoncurrentDays", fmt.Sprint(*t.NoncurrentDays))
		}
		// AWS: equal days are taken beside NewerNoncurrentVersions, as the AWS provider's acceptance tests for Terraform set them.
		if e := r.NoncurrentVersionExpiration; e != nil && (*e.NoncurrentDays < *t.NoncurrentDays || *e.NoncurrentDays == *t.NoncurrentDays && e.NewerNoncurrentVersions == nil) {
			return errInvalidArgument(fmt.Sprintf("'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '%s' must be greater than 'NoncurrentDays' in the NoncurrentVersionTransition action", shownFilter(r)),
				"NoncurrentDays", fmt.Sprint(*e.NoncurrentDays))
		}
	}
	return nil
}

func infrequent(class types.TransitionStorageClass) bool {
	return class == types.TransitionStorageClassStandardIa || class == types.TransitionStorageClassOnezoneIa
}

// checkTransitionOrder refuses what moves objects to one class twice, up again, or on from infrequent access within 30 days.
// AWS: "Transitioning objects using Amazon S3 Lifecycle", "Constraints and considerations"; of dates, CloudFormation's
// "AWS::S3::Bucket Rule": expiration is later than transition.
func checkTransitionOrder(r types.LifecycleRule) error {
	byDate := r.Expiration != nil && r.Expiration.Date != nil
	byDays := r.Expiration != nil && r.Expiration.Days != nil
	for i, t := range r.Transitions {
		if byDate && t.Days != nil || byDays && t.Date != nil {
			return errInvalidRequest(fmt.Sprintf("Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for filter '%s'", shownFilter(r)))
		}
		for _, other := range r.Transitions[:i] {
			if other.StorageClass == t.StorageClass {
				return errInvalidRequest(fmt.Sprintf("'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter '%s'", shownFilter(r)))
			}
			if (other.Date == nil) != (t.Date == nil) {
				return errInvalidRequest(fmt.Sprintf("Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for filter '%s'", shownFilter(r)))
			}
			warm, cold := other, t
			if slices.Index(transitionOrder, warm.StorageClass) > slices.Index(transitionOrder, cold.StorageClass) {
				warm, cold = cold, warm
			}
			if warm.Date != nil {
				if !cold.Date.After(*warm.Date) {
					return errInvalidArgument(fmt.Sprintf("'Date' in the 'Transition' action for StorageClass '%s' for filter '%s' must be later than 'Date' in the 'Transition' action for StorageClass '%s'",
						cold.StorageClass, shownFilter(r), warm.StorageClass), "Date", cold.Date.UTC().Format(time.RFC3339))
				}
				continue
			}
			least := *warm.Days + 1
			how := "greater"
			if infrequent(warm.StorageClass) && (cold.StorageClass == types.TransitionStorageClassGlacier || cold.StorageClass == types.TransitionStorageClassDeepArchive) {
				least, how = *warm.Days+30, "30 days more"
			}
			if *cold.Days < least {
				return errInvalidArgument(fmt.Sprintf("'Days' in the 'Transition' action for StorageClass '%s' for filter '%s' must be %s than 'Days' in the 'Transition' action for StorageClass '%s'",
					cold.StorageClass, shownFilter(r), how, warm.StorageClass), "Days", fmt.Sprint(*cold.Days))
			}
		}
	}
	return nil
}
