package s3

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/s3control/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// accessPoint is another name for a bucket, with a policy and a public access block of its own.
// AWS: "Managing access to shared datasets with access points".
type accessPoint struct {
	Account, Region, Name string
	// Alias may be used wherever a bucket's name may.
	Alias  string
	Bucket string
	// BucketAccount is as the request that made it said, empty where it did not.
	BucketAccount string `json:",omitempty"`
	Created       time.Time
	PublicAccess  publicAccess
	// VPC is the only network that requests may come from; empty for any.
	VPC    string            `json:",omitempty"`
	Policy string            `json:",omitempty"`
	Tags   map[string]string `json:",omitempty"`
}

// accessPoints are found by their aliases from everywhere.
var accessPoints = store.NewTable(store.Spec[accessPoint]{
	Service: "s3",
	Name:    "access-points",
	ID:      func(p *accessPoint) store.ID { return store.ID{p.Account, p.Region, p.Name} },
	Indexes: []store.Index[accessPoint]{
		{Name: "alias", Unique: true, Values: func(p *accessPoint) []store.ID { return []store.ID{{p.Alias}} }},
		{Name: "bucket", Values: func(p *accessPoint) []store.ID { return []store.ID{{p.Bucket}} }},
	},
})

func (p *accessPoint) arn() string { return accessPointARN(p.Account, p.Region, p.Name) }

func accessPointARN(account, region, name string) string {
	return "arn:aws:s3:" + region + ":" + account + ":accesspoint/" + name
}

const aliasSuffix = "-s3alias"

// isPointLabel tells whether a name looks like NAME-ACCOUNT: what an SDK that is given the ARN of an access point and an
// endpoint of its own puts before the endpoint's host.
func isPointLabel(name string) bool {
	dash := strings.LastIndexByte(name, '-')
	return dash > 0 && len(name)-dash == 13 && strings.Trim(name[dash+1:], "0123456789") == ""
}

// maybeAccessPoint tells whether what stands in a bucket's place may mean an access point.
func maybeAccessPoint(name string) bool {
	return strings.HasSuffix(name, aliasSuffix) || strings.HasPrefix(name, "arn:") || isPointLabel(name)
}

// findByLabel answers the access point that NAME-ACCOUNT means, unless there is a bucket of that name. Where two regions
// have one of the name, the first of them is meant: such an endpoint says no region.
func findByLabel(tx store.Tx, label string) (*accessPoint, error) {
	if b, err := buckets.In(tx, store.Scope{}).Find(label); b != nil || err != nil {
		return nil, err
	}
	dash := strings.LastIndexByte(label, '-')
	for p, err := range accessPoints.In(tx, store.Scope{}).Scan(store.Query{Parts: store.ID{label[dash+1:]}}) {
		if err != nil {
			return nil, err
		}
		if p.Name == label[:dash] {
			return p, nil
		}
	}
	return nil, nil
}

// findAccessPoint finds an access point by what stands in a bucket's place: its alias, its ARN, or its name and account.
// Nil if there is none.
func findAccessPoint(tx store.Tx, name string) (*accessPoint, error) {
	rest, isARN := strings.CutPrefix(name, "arn:aws:s3:")
	switch {
	case isARN: // whatever it ends in: the key of an object may follow
	case isPointLabel(name):
		return findByLabel(tx, name)
	case strings.HasSuffix(name, aliasSuffix):
		return accessPoints.In(tx, store.Scope{}).Index("alias").Find(name)
	default:
		return nil, nil
	}
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) != 3 {
		return nil, nil
	}
	point, ok := strings.CutPrefix(parts[2], "accesspoint/")
	if point, _, _ = strings.Cut(point, "/"); !ok || point == "" {
		return nil, nil
	}
	return accessPoints.In(tx, store.Scope{}).Find(parts[1], parts[0], point)
}

// hasAccessPoints tells whether a bucket may not be deleted for its access points.
func hasAccessPoints(tx store.Tx, b *bucket) (bool, error) {
	p, err := accessPoints.In(tx, store.Scope{}).Index("bucket").Find(b.Name)
	return p != nil, err
}

// policy is what the access point says about requests through it.
func (p *accessPoint) policy() (string, error) {
	var extra []statement
	if p.VPC != "" {
		extra = append(extra, statement{
			// What goes through the access point to the bucket, not the access point's own operations.
			Sid: "AccessPointVpc", Effect: "Deny", Principal: "*", Resource: "*",
			Action:    []string{"s3:*Object*", "s3:ListBucket*", "s3:GetBucket*", "s3:*Multipart*", "s3:BypassGovernanceRetention"},
			Condition: map[string]map[string]string{"StringNotEquals": {"aws:SourceVpc": p.VPC}},
		})
	}
	if p.PublicAccess.Restrict && p.Policy != "" && isPublicPolicy(p.Policy) {
		extra = append(extra, restrictedTo(p.Account))
	}
	return withStatements(p.Policy, extra)
}

// Control is S3 Control: what belongs to an account rather than to a bucket.
type Control struct{ service *Service }

// Control answers the S3 Control side of the service.
func (s *Service) Control() *Control { return &Control{s} }

// AWS: "Actions, resources, and condition keys for Amazon S3", accesspoint.

// point makes the access function of an operation on an access point.
func point[In any](c *Control, action string, name func(*In) (account, name *string)) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		r := awsapi.FromContext(ctx)
		account, name := name(in)
		if aws.ToString(account) != r.Principal.Account {
			return nil, errAccessDenied()
		}
		var known *accessPoint
		err := c.service.db.View(ctx, func(tx store.Tx) (err error) {
			known, err = accessPoints.In(tx, store.Scope{}).Find(r.Principal.Account, r.Region, aws.ToString(name))
			return err
		})
		if err != nil {
			return nil, err
		}
		if known == nil {
			known = newAccessPoint(r, in, aws.ToString(name))
		}
		keys := keysOf(r, r.Principal.Account)
		if action != "s3:PutAccessPointPolicy" { // AWS's reference has none of these keys there
			known.conditions(keys)
			known.tagConditions(keys)
		}
		return []awsapi.Access{{Action: action, Resources: []string{known.arn()}, Conditions: keys}}, nil
	}
}

// newAccessPoint is what policies can know of an access point that is not there, or is to be made.
func newAccessPoint(r *awsapi.Request, in any, name string) *accessPoint {
	p := &accessPoint{Account: r.Principal.Account, Region: r.Region, Name: name}
	if wanted, ok := in.(*s3control.CreateAccessPointInput); ok && wanted.VpcConfiguration != nil {
		p.VPC = aws.ToString(wanted.VpcConfiguration.VpcId)
	}
	return p
}

// conditions are the keys of requests to an access point, and through it.
// AWS: "Configuring IAM policies for using access points".
func (p *accessPoint) conditions(keys conditions) {
	origin, _ := p.origin()
	keys["s3:DataAccessPointArn"] = []string{p.arn()}
	keys["s3:DataAccessPointAccount"] = []string{p.Account}
	keys["s3:AccessPointNetworkOrigin"] = []string{string(origin)}
}

func (p *accessPoint) tagConditions(keys conditions) {
	for key, value := range p.Tags {
		keys["s3:AccessPointTag/"+key] = []string{value}
	}
}

var accessPointName = lazyregexp.New(`^[a-z0-9][a-z0-9-]{1,48}[a-z0-9]$`)

// CreateAccessPoint makes an access point of a bucket.
func (c *Control) CreateAccessPoint(ctx context.Context, in *s3control.CreateAccessPointInput) (*s3control.CreateAccessPointOutput, error) {
	r := awsapi.FromContext(ctx)
	name := aws.ToString(in.Name)
	if !accessPointName.MatchString(name) || strings.HasPrefix(name, "xn--") || strings.HasSuffix(name, aliasSuffix) {
		return nil, errInvalidRequest("Your Amazon S3 AccessPoint name is invalid")
	}
	if err := checkControlTags(in.Tags); err != nil {
		return nil, err
	}
	if in.Scope != nil {
		return nil, errInvalidRequest("Scope is only supported for access points of directory buckets")
	}
	p := &accessPoint{
		Account: r.Principal.Account, Region: r.Region, Name: name, Bucket: aws.ToString(in.Bucket), BucketAccount: aws.ToString(in.BucketAccountId),
		Alias: name[:min(len(name), 20)] + "-" + randomName(34) + aliasSuffix, PublicAccess: publicAccess{true, true, true, true},
	}
	if block := in.PublicAccessBlockConfiguration; block != nil {
		p.PublicAccess = publicAccess{aws.ToBool(block.BlockPublicAcls), aws.ToBool(block.IgnorePublicAcls), aws.ToBool(block.BlockPublicPolicy), aws.ToBool(block.RestrictPublicBuckets)}
	}
	if in.VpcConfiguration != nil {
		p.VPC = aws.ToString(in.VpcConfiguration.VpcId)
	}
	p.Tags = controlTags(in.Tags)
	err := c.service.db.Update(ctx, func(tx store.Tx) error {
		rows := accessPoints.In(tx, store.Scope{})
		had, err := rows.Find(p.Account, p.Region, p.Name)
		if err != nil {
			return err
		}
		if had != nil {
			return refusal(http.StatusConflict, "AccessPointAlreadyOwnedByYou", "Your previous request to create the named accesspoint succeeded and you already own it.", "AccessPointName", name)
		}
		b, err := findBucket(tx, p.Bucket)
		switch {
		case err != nil:
			return err
		case b == nil || b.Region != r.Region:
			// AWS: "Error responses", InvalidRequest.
			return errInvalidRequest("Amazon S3 AccessPoint can only be created for existing bucket")
		case p.BucketAccount != "" && p.BucketAccount != b.Account, p.BucketAccount == "" && b.Account != p.Account:
			return errAccessDenied()
		}
		p.Created = tx.Now().UTC()
		return rows.Put(p)
	})
	if err != nil {
		return nil, err
	}
	return &s3control.CreateAccessPointOutput{AccessPointArn: aws.String(p.arn()), Alias: aws.String(p.Alias)}, nil
}

func randomName(length int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz012345" // 32 of them, so that no letter is likelier
	raw := make([]byte, length)
	_, _ = rand.Read(raw) // never fails
	for i := range raw {
		raw[i] = letters[raw[i]&31]
	}
	return string(raw)
}

// view reads the caller's access point; update changes it.
func (c *Control) view(ctx context.Context, name *string, read func(*accessPoint) error) error {
	return c.service.db.View(ctx, func(tx store.Tx) error {
		p, err := ownPoint(ctx, tx, name)
		if err != nil {
			return err
		}
		return read(p)
	})
}

func (c *Control) update(ctx context.Context, name *string, change func(store.Tx, *accessPoint) error) error {
	return c.service.db.Update(ctx, func(tx store.Tx) error {
		p, err := ownPoint(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := change(tx, p); err != nil {
			return err
		}
		return accessPoints.In(tx, store.Scope{}).Put(p)
	})
}

func ownPoint(ctx context.Context, tx store.Tx, name *string) (*accessPoint, error) {
	r := awsapi.FromContext(ctx)
	// SDKs send the name alone, also where the caller wrote an ARN.
	wanted := aws.ToString(name)
	if wanted == "" {
		return nil, errNoSuchAccessPoint(wanted)
	}
	p, err := accessPoints.In(tx, store.Scope{}).Find(r.Principal.Account, r.Region, wanted)
	if err == nil && p == nil {
		return nil, errNoSuchAccessPoint(wanted)
	}
	return p, err
}

func errNoSuchAccessPoint(name string) error {
	return refusal(http.StatusNotFound, "NoSuchAccessPoint", "The specified accesspoint does not exist", "AccessPointName", name)
}

func errNoSuchAccessPointPolicy(name string) error {
	return refusal(http.StatusNotFound, "NoSuchAccessPointPolicy", "The specified accesspoint policy does not exist", "AccessPointName", name)
}

func (p *accessPoint) origin() (types.NetworkOrigin, *types.VpcConfiguration) {
	if p.VPC == "" {
		return types.NetworkOriginInternet, nil
	}
	return types.NetworkOriginVpc, &types.VpcConfiguration{VpcId: aws.String(p.VPC)}
}

func (p *accessPoint) bucketAccount() *string {
	if p.BucketAccount == "" {
		return aws.String(p.Account)
	}
	return aws.String(p.BucketAccount)
}

// GetAccessPoint answers all that is known of one.
func (c *Control) GetAccessPoint(ctx context.Context, in *s3control.GetAccessPointInput) (out *s3control.GetAccessPointOutput, err error) {
	err = c.view(ctx, in.Name, func(p *accessPoint) error {
		block, below := p.PublicAccess, "."+p.Region+"."+c.service.domain
		out = &s3control.GetAccessPointOutput{
			AccessPointArn: aws.String(p.arn()), Alias: aws.String(p.Alias), Bucket: aws.String(p.Bucket), BucketAccountId: p.bucketAccount(),
			CreationDate: aws.Time(p.Created), Name: aws.String(p.Name),
			// AWS: API reference of GetAccessPoint, the example.
			Endpoints: map[string]string{
				"ipv4": "s3-accesspoint" + below, "dualstack": "s3-accesspoint.dualstack" + below,
				"fips": "s3-accesspoint-fips" + below, "fips_dualstack": "s3-accesspoint-fips.dualstack" + below,
			},
			PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
				BlockPublicAcls: &block.BlockACLs, IgnorePublicAcls: &block.IgnoreACLs, BlockPublicPolicy: &block.BlockPolicy, RestrictPublicBuckets: &block.Restrict,
			},
		}
		out.NetworkOrigin, out.VpcConfiguration = p.origin()
		return nil
	})
	return out, err
}

// DeleteAccessPoint answers NoSuchAccessPoint where there is none.
func (c *Control) DeleteAccessPoint(ctx context.Context, in *s3control.DeleteAccessPointInput) (*s3control.DeleteAccessPointOutput, error) {
	return &s3control.DeleteAccessPointOutput{}, c.service.db.Update(ctx, func(tx store.Tx) error {
		p, err := ownPoint(ctx, tx, in.Name)
		if err != nil {
			return err
		}
		return accessPoints.In(tx, store.Scope{}).Delete(p.Account, p.Region, p.Name)
	})
}

// accessPointsPage is how many access points a page lists at most.
const accessPointsPage = 1000

// ListAccessPoints lists the caller's in the region of the request, of one bucket or all.
func (c *Control) ListAccessPoints(ctx context.Context, in *s3control.ListAccessPointsInput) (*s3control.ListAccessPointsOutput, error) {
	r := awsapi.FromContext(ctx)
	limit := int(in.MaxResults)
	if limit <= 0 || limit > accessPointsPage {
		limit = accessPointsPage
	}
	query := store.Query{Parts: store.ID{r.Principal.Account, r.Region}}
	if in.NextToken != nil {
		after, ok := openToken(*in.NextToken)
		if !ok {
			return nil, errInvalidRequest("The next token provided is invalid")
		}
		query.After = store.After(r.Principal.Account, r.Region, after)
	}
	out := &s3control.ListAccessPointsOutput{}
	return out, c.service.db.View(ctx, func(tx store.Tx) error {
		for p, err := range accessPoints.In(tx, store.Scope{}).Scan(query) {
			if err != nil {
				return err
			}
			if in.Bucket != nil && *in.Bucket != p.Bucket {
				continue
			}
			if len(out.AccessPointList) == limit {
				out.NextToken = aws.String(sealToken(*out.AccessPointList[limit-1].Name))
				return nil
			}
			shown := types.AccessPoint{Name: aws.String(p.Name), Bucket: aws.String(p.Bucket), BucketAccountId: p.bucketAccount(), AccessPointArn: aws.String(p.arn()), Alias: aws.String(p.Alias)}
			shown.NetworkOrigin, shown.VpcConfiguration = p.origin()
			out.AccessPointList = append(out.AccessPointList, shown)
		}
		return nil
	})
}

// PutAccessPointPolicy replaces the policy.
func (c *Control) PutAccessPointPolicy(ctx context.Context, in *s3control.PutAccessPointPolicyInput) (*s3control.PutAccessPointPolicyOutput, error) {
	document := aws.ToString(in.Policy)
	return &s3control.PutAccessPointPolicyOutput{}, c.update(ctx, in.Name, func(_ store.Tx, p *accessPoint) error {
		parsed, err := c.service.checkPolicy(ctx, document, p.arn())
		if err != nil {
			return err
		}
		if p.PublicAccess.BlockPolicy && parsed.public() {
			return errAccessDenied()
		}
		p.Policy = document
		return nil
	})
}

// GetAccessPointPolicy answers the document as it was put.
func (c *Control) GetAccessPointPolicy(ctx context.Context, in *s3control.GetAccessPointPolicyInput) (out *s3control.GetAccessPointPolicyOutput, err error) {
	err = c.view(ctx, in.Name, func(p *accessPoint) error {
		if p.Policy == "" {
			return errNoSuchAccessPointPolicy(p.Name)
		}
		out = &s3control.GetAccessPointPolicyOutput{Policy: aws.String(p.Policy)}
		return nil
	})
	return out, err
}

// DeleteAccessPointPolicy succeeds when there is none.
func (c *Control) DeleteAccessPointPolicy(ctx context.Context, in *s3control.DeleteAccessPointPolicyInput) (*s3control.DeleteAccessPointPolicyOutput, error) {
	return &s3control.DeleteAccessPointPolicyOutput{}, c.update(ctx, in.Name, func(_ store.Tx, p *accessPoint) error {
		p.Policy = ""
		return nil
	})
}

// GetAccessPointPolicyStatus tells whether the policy is public.
func (c *Control) GetAccessPointPolicyStatus(ctx context.Context, in *s3control.GetAccessPointPolicyStatusInput) (out *s3control.GetAccessPointPolicyStatusOutput, err error) {
	err = c.view(ctx, in.Name, func(p *accessPoint) error {
		if p.Policy == "" {
			return errNoSuchAccessPointPolicy(p.Name)
		}
		out = &s3control.GetAccessPointPolicyStatusOutput{PolicyStatus: &types.PolicyStatus{IsPublic: isPublicPolicy(p.Policy)}}
		return nil
	})
	return out, err
}
