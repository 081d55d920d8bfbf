package s3

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	_ "miniaws/awsapi/meta/unions/s3"        // its unions
	_ "miniaws/awsapi/meta/unions/s3control" // its unions
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// bucket is the record that nearly every request reads, so it is kept small.
type bucket struct {
	Name string
	// ID is new for each bucket, also for one that has the name of a deleted one: what belongs to the earlier one is
	// never taken for its own.
	ID string
	// Account owns the bucket.
	Account, Region string
	Created         time.Time
	// Versioning is empty until it is configured for the first time; it never becomes empty again.
	Versioning types.BucketVersioningStatus `json:",omitempty"`
	// MFADelete is empty until it is configured for the first time.
	MFADelete types.MFADeleteStatus `json:",omitempty"`
	// Locked allows retention and legal holds; it needs and keeps versioning on, and cannot be taken back.
	Locked bool `json:",omitempty"`
	// Retention is what new objects get; nil for none.
	Retention *types.DefaultRetention `json:",omitempty"`
	// Ownership is empty after DeleteBucketOwnershipControls, which counts as ObjectWriter.
	Ownership types.ObjectOwnership `json:",omitempty"`
	// PublicAccess is nil when it is not configured.
	PublicAccess *publicAccess `json:",omitempty"`
	// ACL is nil for the usual one: the owner has full control.
	ACL []grant `json:",omitzero"`
	// Encryption is nil for the default, SSE-S3.
	Encryption *encryption `json:",omitempty"`
	// RequesterPays and Accelerate are kept; nothing is charged and nothing is nearer.
	RequesterPays bool                         `json:",omitempty"`
	Accelerate    types.BucketAccelerateStatus `json:",omitempty"`
	ABAC          types.BucketAbacStatus       `json:",omitempty"`
	Has           map[string]bool              `json:",omitempty"` // kinds of settings that are set

	// tags are no part of the record: [bucket.withTags] fills them in.
	tags map[string]string
}

// buckets is one name space for all accounts and regions.
var buckets = store.NewTable(store.Spec[bucket]{
	Service: "s3",
	Name:    "buckets",
	ID:      func(b *bucket) store.ID { return store.ID{b.Name} },
	Indexes: []store.Index[bucket]{{
		Name:   "owner",
		Values: func(b *bucket) []store.ID { return []store.ID{{b.Account}} },
	}},
})

func (b *bucket) arn() string { return bucketARN(b.Name) }

func (b *bucket) objectARN(key string) string { return b.arn() + "/" + key }

func bucketARN(name string) string { return "arn:aws:s3:::" + name }

// versioned tells whether the bucket keeps versions, now or of earlier.
func (b *bucket) versioned() bool { return b.Versioning != "" }

// acls tells whether ACLs count: not when the bucket's owner owns all that is in it.
func (b *bucket) acls() bool { return b.Ownership != types.ObjectOwnershipBucketOwnerEnforced }

// mark notes in the record whether a kind of setting is set.
func (b *bucket) mark(kind string, set bool) {
	if set && b.Has == nil {
		b.Has = map[string]bool{}
	}
	if set {
		b.Has[kind] = true
	} else {
		delete(b.Has, kind)
	}
}

func (s *Service) registerBuckets(server *awsapi.Server) {
	server.Register(meta.S3,
		awsapi.Op(s.CreateBucket, s.createBucketAccess),
		awsapi.Op(s.HeadBucket, s.headBucketAccess, awsapi.Unsigned()),
		awsapi.Op(s.ListBuckets, func(ctx context.Context, _ *s3.ListBucketsInput) ([]awsapi.Access, error) {
			r := awsapi.FromContext(ctx)
			return []awsapi.Access{{Action: "s3:ListAllMyBuckets", Conditions: keysOf(r, r.Principal.Account)}}, nil
		}),
		awsapi.Op(s.DeleteBucket, onBucket[s3.DeleteBucketInput](s, "s3:DeleteBucket"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketLocation, onBucket[s3.GetBucketLocationInput](s, "s3:GetBucketLocation"), awsapi.Unsigned()),
	)
}

// createBucketAccess asks for the creation and for what the request sets besides.
// AWS: API reference of CreateBucket, "Permissions".
func (s *Service) createBucketAccess(ctx context.Context, in *s3.CreateBucketInput) ([]awsapi.Access, error) {
	r := awsapi.FromContext(ctx)
	name := aws.ToString(in.Bucket)
	err := s.db.View(ctx, func(tx store.Tx) error {
		b, err := buckets.In(tx, store.Scope{}).Find(name)
		if err == nil && b != nil && b.Account != r.Principal.Account {
			// Whose it is decides no policy of the caller's, so it must not be asked as a resource of another account.
			return errBucketAlreadyExists(name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := keysOf(r, r.Principal.Account)
	keys.acl(string(in.ACL), in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP)
	if in.CreateBucketConfiguration != nil {
		keys.set("s3:locationconstraint", (*string)(&in.CreateBucketConfiguration.LocationConstraint))
	}
	keys.set("s3:x-amz-object-ownership", (*string)(&in.ObjectOwnership))
	var wanted []awsapi.Access
	ask := func(when bool, actions ...string) {
		for _, action := range actions {
			if when {
				wanted = append(wanted, awsapi.Access{Action: action, Resources: []string{bucketARN(name)}, Conditions: keys})
			}
		}
	}
	ask(true, "s3:CreateBucket")
	tags := map[string]string{}
	if in.CreateBucketConfiguration != nil {
		for _, tag := range in.CreateBucketConfiguration.Tags {
			tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
	}
	wanted[0] = wanted[0].WithTags(tags)
	ask(in.ACL != "" && in.ACL != types.BucketCannedACLPrivate || in.GrantFullControl != nil || in.GrantRead != nil ||
		in.GrantReadACP != nil || in.GrantWrite != nil || in.GrantWriteACP != nil, "s3:PutBucketAcl")
	ask(aws.ToBool(in.ObjectLockEnabledForBucket), "s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning")
	ask(in.ObjectOwnership != "", "s3:PutBucketOwnershipControls")
	if len(tags) > 0 {
		wanted = append(wanted, awsapi.Access{Action: "s3:TagResource", Resources: []string{bucketARN(name)}, Conditions: keysOf(r, r.Principal.Account)}.WithTags(tags))
	}
	return wanted, nil
}

// CreateBucket makes a bucket in the region of the request, or in the one that its location constraint names.
//
// AWS: in us-east-1 an owner who makes a bucket again is answered 200, elsewhere BucketAlreadyOwnedByYou (API
// reference of CreateBucket, "BucketAlreadyOwnedByYou").
func (s *Service) CreateBucket(ctx context.Context, in *s3.CreateBucketInput) (*s3.CreateBucketOutput, error) {
	r := awsapi.FromContext(ctx)
	region, err := regionOf(r, in)
	if err != nil {
		return nil, err
	}
	b := &bucket{
		Name: aws.ToString(in.Bucket), Account: r.Principal.Account, Region: region,
		Ownership: types.ObjectOwnershipBucketOwnerEnforced, PublicAccess: &publicAccess{true, true, true, true},
	}
	if s.classic {
		b.Ownership, b.PublicAccess = "", nil
	}
	if !validBucketName(b.Name) {
		return nil, errInvalidBucketName(b.Name)
	}
	if in.BucketNamespace != "" && in.BucketNamespace != types.BucketNamespaceGlobal {
		return nil, errNotImplementedHere("x-amz-bucket-namespace", "")
	}
	if in.ObjectOwnership != "" {
		if !slices.Contains(in.ObjectOwnership.Values(), in.ObjectOwnership) {
			return nil, errInvalidArgument("Invalid x-amz-object-ownership header: "+string(in.ObjectOwnership), "x-amz-object-ownership", "")
		}
		b.Ownership = in.ObjectOwnership
	}
	wish := aclWish{canned: string(in.ACL), full: in.GrantFullControl, read: in.GrantRead, readACP: in.GrantReadACP, write: in.GrantWrite, writeACP: in.GrantWriteACP}
	if b.ACL, err = s.aclOf(ctx, wish, b.Account, b.Account, forBucket); err != nil {
		return nil, err
	}
	switch {
	case !b.acls() && !onlyOwner(b.ACL, b.Account):
		return nil, errInvalidBucketAclWithObjectOwnership()
	case b.PublicAccess != nil && b.PublicAccess.BlockACLs && isPublicACL(b.ACL):
		return nil, errAccessDenied()
	}
	if aws.ToBool(in.ObjectLockEnabledForBucket) {
		b.Locked, b.Versioning = true, types.BucketVersioningStatusEnabled
	}
	var tags []types.Tag
	if in.CreateBucketConfiguration != nil {
		tags = in.CreateBucketConfiguration.Tags
	}
	if err := checkTags(tags, maxBucketTags); err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		rows := buckets.In(tx, store.Scope{})
		had, err := rows.Find(b.Name)
		switch {
		case err != nil:
			return err
		case had == nil:
		case had.Account != b.Account:
			return errBucketAlreadyExists(b.Name)
		case had.Region != "us-east-1" || r.Region != "us-east-1":
			return errBucketAlreadyOwnedByYou(b.Name)
		case had.acls():
			// AWS: API reference of CreateBucket: made again in us-east-1, the bucket's ACL is reset.
			had.ACL = b.ACL
			return rows.Put(had)
		default:
			return nil
		}
		b.ID, b.Created = tx.NewID("b-"), tx.Now().UTC().Truncate(time.Second)
		if len(tags) > 0 {
			b.mark(kindTags, true)
			if err := putSetting(tx, b.Name, kindTags, "", tags); err != nil {
				return err
			}
		}
		return rows.Put(b)
	})
	if err != nil {
		return nil, err
	}
	location := "/" + b.Name
	if b.Region != "us-east-1" {
		location = "http://" + b.Name + ".s3." + s.domain + "/"
	}
	return &s3.CreateBucketOutput{Location: aws.String(location)}, nil
}

var regionPattern = lazyregexp.New(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)

// regionOf answers the region that a CreateBucket means.
//
// AWS: API reference of CreateBucket and "Error responses": the endpoint of us-east-1 makes buckets anywhere, the
// others only in their own region, which the constraint must name. us-east-1 itself is no constraint.
//
// A name that no region can have (s3cmd signs for "US" first) is refused as AWS's endpoints refuse any region that is not
// theirs, and the client is told of us-east-1.
func regionOf(r *awsapi.Request, in *s3.CreateBucketInput) (string, error) {
	constraint, region := "", r.Region
	if !regionPattern.MatchString(region) {
		return "", errWrongRegion(r, "us-east-1")
	}
	if c := in.CreateBucketConfiguration; c != nil {
		if c.Location != nil || c.Bucket != nil {
			return "", errInvalidRequest("Directory buckets are not supported by this endpoint")
		}
		constraint = string(c.LocationConstraint)
	}
	switch {
	case constraint == "" && region == "us-east-1":
		return region, nil
	case constraint != "" && !slices.Contains(types.BucketLocationConstraint("").Values(), types.BucketLocationConstraint(constraint)):
		return "", errInvalidLocationConstraint(constraint)
	case constraint == "EU" && (region == "us-east-1" || region == "eu-west-1"):
		return "eu-west-1", nil
	case constraint == region, region == "us-east-1":
		return constraint, nil
	}
	return "", errIllegalLocationConstraint(constraint)
}

// headBucketAccess lets a refusal say where the bucket is, also to strangers.
// AWS: API reference of HeadBucket; SDKs find a bucket's region by an unsigned HeadBucket that is refused.
func (s *Service) headBucketAccess(ctx context.Context, in *s3.HeadBucketInput) ([]awsapi.Access, error) {
	err := s.db.View(ctx, func(tx store.Tx) error {
		b, err := findBucket(tx, aws.ToString(in.Bucket))
		if b != nil {
			awsapi.FromContext(ctx).Refusal = http.Header{"X-Amz-Bucket-Region": {b.Region}}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return onBucket[s3.HeadBucketInput](s, "s3:ListBucket")(ctx, in)
}

// HeadBucket tells whether the bucket exists and may be accessed, and where it is.
func (s *Service) HeadBucket(ctx context.Context, in *s3.HeadBucketInput) (out *s3.HeadBucketOutput, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err == nil {
			out = &s3.HeadBucketOutput{BucketRegion: aws.String(b.Region), AccessPointAlias: aws.Bool(b.Name != aws.ToString(in.Bucket))}
		}
		return err
	})
	return out, err
}

// maxBuckets is how many buckets a page of ListBuckets holds at most.
const maxBuckets = 10_000

// ListBuckets lists the caller's own buckets of all regions, in the order of their names.
//
// AWS: API reference of ListBuckets: Prefix and BucketRegion of the buckets show when the request has a parameter.
func (s *Service) ListBuckets(ctx context.Context, in *s3.ListBucketsInput) (*s3.ListBucketsOutput, error) {
	account := awsapi.FromContext(ctx).Principal.Account
	limit := maxBuckets
	if in.MaxBuckets != nil {
		if limit = int(*in.MaxBuckets); limit < 1 || limit > maxBuckets {
			return nil, errInvalidArgument("Argument max-buckets must be an integer between 1 and 10000", "max-buckets", strconv.Itoa(limit))
		}
	}
	after := ""
	if in.ContinuationToken != nil {
		name, ok := openToken(*in.ContinuationToken)
		if !ok {
			return nil, errInvalidArgument("The continuation token provided is incorrect", "continuation-token", "")
		}
		after = name
	}
	asked := in.MaxBuckets != nil || in.ContinuationToken != nil || in.Prefix != nil || in.BucketRegion != nil
	out := &s3.ListBucketsOutput{Owner: ownerOf(account), Prefix: in.Prefix, Buckets: []types.Bucket{}}
	err := s.db.View(ctx, func(tx store.Tx) error {
		query := store.Query{Parts: store.ID{account}, Prefix: aws.ToString(in.Prefix)}
		if after != "" {
			query.After = store.After(account, after)
		}
		for b, err := range buckets.In(tx, store.Scope{}).Index("owner").Scan(query) {
			if err != nil {
				return err
			}
			if region := aws.ToString(in.BucketRegion); region != "" && region != b.Region {
				continue
			}
			if len(out.Buckets) == limit {
				out.ContinuationToken = aws.String(sealToken(*out.Buckets[limit-1].Name))
				return nil
			}
			shown := types.Bucket{Name: aws.String(b.Name), CreationDate: aws.Time(b.Created)}
			if asked {
				shown.BucketRegion = aws.String(b.Region)
			}
			out.Buckets = append(out.Buckets, shown)
		}
		return nil
	})
	return out, err
}

// DeleteBucket removes an empty bucket and all its settings. Uploads in progress do not count, and go with it.
func (s *Service) DeleteBucket(ctx context.Context, in *s3.DeleteBucketInput) (*s3.DeleteBucketOutput, error) {
	return &s3.DeleteBucketOutput{}, s.db.Update(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		for _, holds := range s.contents {
			switch held, err := holds(tx, b); {
			case err != nil:
				return err
			case held:
				return errBucketNotEmpty(b.Name, b.versioned())
			}
		}
		if attached, err := hasAccessPoints(tx, b); err != nil {
			return err
		} else if attached {
			return refusal(http.StatusConflict, "BucketHasAccessPointsAttached", "The bucket you are trying to delete has access points attached. Please delete your access points and try again.", "BucketName", b.Name)
		}
		if err := endUploads(tx, b); err != nil {
			return err
		}
		if err := deleteSettings(tx, store.ID{b.Name}); err != nil {
			return err
		}
		return buckets.In(tx, store.Scope{}).Delete(b.Name)
	})
}

// GetBucketLocation answers the location constraint: nothing for us-east-1, EU never (buckets of that constraint are
// in eu-west-1).
func (s *Service) GetBucketLocation(ctx context.Context, in *s3.GetBucketLocationInput) (out *s3.GetBucketLocationOutput, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, in.Bucket, in.ExpectedBucketOwner)
		if err == nil {
			out = &s3.GetBucketLocationOutput{}
			if b.Region != "us-east-1" {
				out.LocationConstraint = types.BucketLocationConstraint(b.Region)
			}
		}
		return err
	})
	return out, err
}

// updateBucket changes the record of a bucket in one transaction; change may write further records.
func (s *Service) updateBucket(ctx context.Context, name, expectedOwner *string, change func(store.Tx, *bucket) error) error {
	return s.db.Update(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, name, expectedOwner)
		if err != nil {
			return err
		}
		if err := change(tx, b); err != nil {
			return err
		}
		return buckets.In(tx, store.Scope{}).Put(b)
	})
}

// viewBucket reads a bucket and, in read, more of its records.
func (s *Service) viewBucket(ctx context.Context, name, expectedOwner *string, read func(store.Tx, *bucket) error) error {
	return s.db.View(ctx, func(tx store.Tx) error {
		b, err := s.bucketOf(ctx, tx, name, expectedOwner)
		if err != nil {
			return err
		}
		return read(tx, b)
	})
}

// RegionOf answers in which region a bucket is, whoever has it; "" where there is none.
func (s *Service) RegionOf(ctx context.Context, name string) (region string, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		b, err := sharedBucket(tx, name)
		if b != nil {
			region = b.Region
		}
		return err
	})
	return region, err
}
