package s3

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// RestoreObject makes an archived version readable for some days. The bytes are at hand, so it is done at once; AWS
// takes minutes to hours.
//
// AWS: API reference of RestoreObject: 202 the first time, 200 when only the days are changed.
func (s *Service) RestoreObject(ctx context.Context, in *s3.RestoreObjectInput) (*s3.RestoreObjectOutput, error) {
	wanted := in.RestoreRequest
	if wanted == nil {
		return nil, errMalformedXML()
	}
	if wanted.SelectParameters != nil || wanted.Type != "" || wanted.OutputLocation != nil {
		return nil, errNotImplementedHere("SELECT", "")
	}
	tier := wanted.Tier
	if g := wanted.GlacierJobParameters; g != nil {
		tier = g.Tier
	}
	if wanted.Days != nil && *wanted.Days < 1 || tier != "" && !slices.Contains(tier.Values(), tier) {
		return nil, errMalformedXML()
	}
	r := awsapi.FromContext(ctx)
	now := r.Time.UTC()
	first := false
	err := s.changeObject(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, func(_ store.Tx, _ *bucket, o *object) error {
		switch {
		case o.Class == string(types.StorageClassIntelligentTiering) && wanted.Days != nil:
			// AWS: s3cmd issue 1377 has the words.
			return refusal(http.StatusBadRequest, "InvalidArgument", "INTELLIGENT_TIERING objects are not subject to restore expiry. Do not specify Days when restoring this object")
		case wanted.Days == nil && o.archived():
			return errMalformedXML()
		case o.Class == string(types.StorageClassDeepArchive) && tier == types.TierExpedited:
			// AWS: "Understanding archive retrieval options": Expedited is not for Deep Archive. The page has no code for it.
			return refusal(http.StatusBadRequest, "InvalidArgument", "Retrieval option is not supported by this storage class")
		case !o.archived():
			return refusal(403, "InvalidObjectState", "Restore is not allowed for the object's current storage class", "StorageClass", o.class())
		}
		// AWS: the copy ends at a midnight.
		until := now.AddDate(0, 0, int(*wanted.Days)+1).Truncate(24 * time.Hour)
		first = o.Restored == nil || !o.Restored.After(now)
		o.Restored = &until
		return nil
	})
	if err != nil {
		return nil, err
	}
	if first {
		r.Status = http.StatusAccepted
	}
	return &s3.RestoreObjectOutput{}, nil
}
