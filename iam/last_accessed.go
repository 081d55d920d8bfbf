package iam

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi/meta"
	"miniaws/backend/store"
	"miniaws/iam/policy"
	"miniaws/iam/reference"
)

// accessJob is a report on which services an identity or a policy's users could use and did. It is worked out when it
// is read.
type accessJob struct {
	ID      string
	ARN     string
	Created time.Time
	// Actions tells that single actions are to be shown.
	Actions bool `json:",omitempty"`
}

var accessJobTable = store.NewTable(store.Spec[accessJob]{
	Service: "iam",
	Name:    "access-jobs",
	ID:      func(j *accessJob) store.ID { return store.ID{j.ID} },
})

// subject is what an ARN of a report means: documents, and the identities that they apply to.
type subject struct {
	documents []namedDocument
	holders   []holder
}

// namedDocument is a policy and whose it is.
type namedDocument struct {
	arn, name, text string
	// word and holder name the identity of an inline policy.
	word, holder string
}

func errNoEntity(text string) error {
	return errNoSuchEntity("ARN %s does not exist.", text)
}

// subjectOf finds what an ARN means in the account.
func (s *Service) subjectOf(tx store.Tx, account, text string) (*subject, error) {
	owner, word, rest, ok := arnParts(text)
	if !ok {
		return nil, errInvalidInput("ARN %s is not valid.", text)
	}
	name := folded(lastName(rest))
	switch {
	case word == "policy" && (owner == account || owner == ownerAWS):
		p, err := findPolicy(tx, account, text)
		if err != nil || p == nil {
			return nil, orNoEntity(err, text)
		}
		body, err := defaultText(tx, account, p)
		if err != nil {
			return nil, err
		}
		found := &subject{documents: []namedDocument{{arn: text, name: p.Name, text: string(body)}}}
		held, err := holdersOf(tx, account, text)
		for _, h := range held {
			if !h.boundary {
				found.holders = append(found.holders, h)
			}
		}
		return found, err
	case owner != account:
		return nil, errNoEntity(text)
	case word == users.word:
		u, err := s.userRows(tx, account).Find(name)
		if err != nil || u == nil || users.arn(account, u) != text {
			return nil, orNoEntity(err, text)
		}
		found := &subject{holders: []holder{{word: word, of: &u.identity}}}
		memberships, err := groupsOf(tx, account, u)
		if err != nil {
			return nil, err
		}
		if err := found.add(tx, account, word, &u.identity); err != nil {
			return nil, err
		}
		for _, g := range memberships {
			if err := found.add(tx, account, groups.word, &g.identity); err != nil {
				return nil, err
			}
		}
		return found, nil
	case word == groups.word:
		g, err := groupRows(tx, account).Find(name)
		if err != nil || g == nil || groups.arn(account, g) != text {
			return nil, orNoEntity(err, text)
		}
		found := &subject{}
		for u, err := range s.userRows(tx, account).Index("group").Scan(store.Query{Parts: store.ID{g.ID}}) {
			if err != nil {
				return nil, err
			}
			found.holders = append(found.holders, holder{word: users.word, of: &u.identity})
		}
		return found, found.add(tx, account, word, &g.identity)
	case word == roles.word:
		r, err := roleRows(tx, account).Find(name)
		if err != nil || r == nil || roles.arn(account, r) != text {
			return nil, orNoEntity(err, text)
		}
		found := &subject{holders: []holder{{word: word, of: &r.identity}}}
		return found, found.add(tx, account, word, &r.identity)
	}
	return nil, errInvalidInput("ARN %s is not valid.", text)
}

func orNoEntity(err error, text string) error {
	if err != nil {
		return err
	}
	return errNoEntity(text)
}

// add collects an identity's policies.
func (x *subject) add(tx store.Tx, account, word string, i *identity) error {
	for _, name := range i.inlineNames() {
		x.documents = append(x.documents, namedDocument{name: name, text: string(i.Inline[name]), word: word, holder: i.Name})
	}
	for _, policyARN := range i.Attached {
		granted, err := managedGrant(tx, account, policyARN, "")
		if err != nil {
			return err
		}
		if granted != nil {
			x.documents = append(x.documents, namedDocument{arn: policyARN, name: granted.Name, text: granted.Text})
		}
	}
	return nil
}

// servedPrefixes are the services that are here, by their prefix in policies.
func servedPrefixes() []string {
	prefixes := map[string]bool{}
	for _, m := range meta.All {
		prefixes[policyPrefix(m.SigningName)] = true
	}
	return slices.Sorted(maps.Keys(prefixes))
}

// policyPrefix is what actions of a service begin with, by the name that its requests are signed for.
func policyPrefix(signing string) string {
	switch signing {
	case "monitoring":
		return "cloudwatch"
	case "tagging":
		return "tag"
	}
	return signing
}

// grants tells whether a document allows any action of a service.
func (d namedDocument) grants(service string) (bool, error) {
	parsed, err := policy.Compile(policy.Identity, d.text)
	if err != nil {
		return false, err
	}
	for _, statement := range parsed.Statements() {
		if statement.Effect != policy.Allow {
			continue
		}
		for _, action := range statement.ActionTexts() {
			prefix, _, _ := strings.Cut(action, ":")
			if action == "*" || strings.EqualFold(prefix, service) {
				return true, nil
			}
		}
	}
	return false, nil
}

// services answers those of the services here that the documents allow something of.
func (x *subject) services() ([]string, error) {
	var list []string
	for _, service := range servedPrefixes() {
		for _, d := range x.documents {
			ok, err := d.grants(service)
			if err != nil {
				return nil, err
			}
			if ok {
				list = append(list, service)
				break
			}
		}
	}
	return list, nil
}

// lastUse answers when an identity used a service last.
func (s *Service) lastUse(tx store.Tx, account, identityID, service string) (use, error) {
	stored, err := accessTable.In(tx, store.Scope{Account: account}).Find(identityID, service)
	if err != nil {
		return use{}, err
	}
	var known use
	if stored != nil {
		known = stored.Used
	}
	return s.uses.service(serviceUse{identityID, service}, known), nil
}

// GenerateServiceLastAccessedDetails begins a report.
func (s *Service) GenerateServiceLastAccessedDetails(ctx context.Context, in *iam.GenerateServiceLastAccessedDetailsInput) (*iam.GenerateServiceLastAccessedDetailsOutput, error) {
	out := &iam.GenerateServiceLastAccessedDetailsOutput{}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		if _, err := s.subjectOf(tx, account, aws.ToString(in.Arn)); err != nil {
			return err
		}
		job := &accessJob{ID: newTaskID(), ARN: aws.ToString(in.Arn), Created: tx.Now().UTC().Truncate(time.Second)}
		job.Actions = in.Granularity == types.AccessAdvisorUsageGranularityTypeActionLevel
		out.JobId = aws.String(job.ID)
		return accessJobTable.In(tx, store.Scope{Account: account}).Put(job)
	})
}

func (s *Service) jobSubject(tx store.Tx, account string, id *string) (*accessJob, *subject, error) {
	job, err := accessJobTable.In(tx, store.Scope{Account: account}).Find(aws.ToString(id))
	if err != nil {
		return nil, nil, err
	}
	if job == nil {
		return nil, nil, errNoSuchEntity("Job ID %s not found", aws.ToString(id))
	}
	x, err := s.subjectOf(tx, account, job.ARN)
	return job, x, err
}

// GetServiceLastAccessedDetails answers, for each service that may be used, who used it last and when.
func (s *Service) GetServiceLastAccessedDetails(ctx context.Context, in *iam.GetServiceLastAccessedDetailsInput) (*iam.GetServiceLastAccessedDetailsOutput, error) {
	out := &iam.GetServiceLastAccessedDetailsOutput{JobStatus: types.JobStatusTypeCompleted, JobType: types.AccessAdvisorUsageGranularityTypeServiceLevel, ServicesLastAccessed: []types.ServiceLastAccessed{}}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		job, x, err := s.jobSubject(tx, account, in.JobId)
		if err != nil {
			return err
		}
		out.JobCreationDate, out.JobCompletionDate = aws.Time(job.Created), aws.Time(job.Created)
		if job.Actions {
			out.JobType = types.AccessAdvisorUsageGranularityTypeActionLevel
		}
		services, err := x.services()
		if err != nil {
			return err
		}
		p, err := pageOfList(services, func(service string) string { return service }, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		for _, service := range p.list {
			row := types.ServiceLastAccessed{ServiceName: aws.String(serviceTitle(service)), ServiceNamespace: aws.String(service), TotalAuthenticatedEntities: aws.Int32(0)}
			var newest use
			for _, h := range x.holders {
				used, err := s.lastUse(tx, account, h.of.ID, service)
				if err != nil {
					return err
				}
				if used.At.IsZero() {
					continue
				}
				*row.TotalAuthenticatedEntities++
				if used.At.After(newest.At) {
					newest = used
					row.LastAuthenticated, row.LastAuthenticatedEntity = aws.Time(used.At), aws.String(arn(account, h.word+h.of.Path+h.of.Name))
					row.LastAuthenticatedRegion = aws.String(used.Region)
				}
			}
			if job.Actions {
				if row.TrackedActionsLastAccessed, err = s.trackedActions(tx, account, x, service); err != nil {
					return err
				}
			}
			out.ServicesLastAccessed = append(out.ServicesLastAccessed, row)
		}
		return nil
	})
}

// trackedActions answers, for each action of a service that the documents allow, who tried it last and when.
func (s *Service) trackedActions(tx store.Tx, account string, x *subject, service string) ([]types.TrackedActionLastAccessed, error) {
	var documents []*policy.Document
	for _, d := range x.documents {
		parsed, err := policy.Compile(policy.Identity, d.text)
		if err != nil {
			return nil, err
		}
		documents = append(documents, parsed)
	}
	rows := actionAccessTable.In(tx, store.Scope{Account: account})
	list := []types.TrackedActionLastAccessed{}
	for _, action := range reference.Of(service) {
		if !tracked(action.Name) || !slices.ContainsFunc(documents, func(d *policy.Document) bool { return d.Grants(action.Name) }) {
			continue
		}
		_, name, _ := strings.Cut(action.Name, ":")
		shown := types.TrackedActionLastAccessed{ActionName: aws.String(name)}
		var newest use
		for _, h := range x.holders {
			stored, err := rows.Find(h.of.ID, action.Name)
			if err != nil {
				return nil, err
			}
			var known use
			if stored != nil {
				known = stored.Used
			}
			if used := s.uses.action(actionUse{h.of.ID, action.Name}, known); used.At.After(newest.At) {
				newest = used
				shown.LastAccessedTime, shown.LastAccessedRegion = aws.Time(used.At), aws.String(used.Region)
				shown.LastAccessedEntity = aws.String(arn(account, h.word+h.of.Path+h.of.Name))
			}
		}
		list = append(list, shown)
	}
	return list, nil
}

// serviceTitles are the names of services in reports, by their prefixes.
// AWS: the service authorization reference.
var serviceTitles = map[string]string{
	"acm": "AWS Certificate Manager", "application-autoscaling": "AWS Application Auto Scaling", "autoscaling": "Amazon EC2 Auto Scaling",
	"cloudformation": "AWS CloudFormation", "cloudtrail": "AWS CloudTrail", "cloudwatch": "Amazon CloudWatch", "dlm": "Amazon Data Lifecycle Manager",
	"ebs": "Amazon Elastic Block Store", "ec2": "Amazon EC2", "ec2-instance-connect": "Amazon EC2 Instance Connect", "elasticache": "Amazon ElastiCache",
	"elasticloadbalancing": "AWS Elastic Load Balancing V2", "events": "Amazon EventBridge", "iam": "AWS Identity and Access Management (IAM)",
	"kms": "AWS Key Management Service", "logs": "Amazon CloudWatch Logs", "organizations": "AWS Organizations", "rbin": "AWS Recycle Bin", "rds": "Amazon RDS",
	"route53": "Amazon Route 53", "s3": "Amazon S3", "secretsmanager": "AWS Secrets Manager", "sns": "Amazon SNS", "sqs": "Amazon SQS",
	"ssm": "AWS Systems Manager", "sts": "AWS Security Token Service", "tag": "Amazon Resource Group Tagging API",
}

func serviceTitle(prefix string) string {
	if title, ok := serviceTitles[prefix]; ok {
		return title
	}
	return prefix
}

// GetServiceLastAccessedDetailsWithEntities answers who may use a service, and when each did last.
func (s *Service) GetServiceLastAccessedDetailsWithEntities(ctx context.Context, in *iam.GetServiceLastAccessedDetailsWithEntitiesInput) (*iam.GetServiceLastAccessedDetailsWithEntitiesOutput, error) {
	out := &iam.GetServiceLastAccessedDetailsWithEntitiesOutput{JobStatus: types.JobStatusTypeCompleted, EntityDetailsList: []types.EntityDetails{}}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		job, x, err := s.jobSubject(tx, account, in.JobId)
		if err != nil {
			return err
		}
		out.JobCreationDate, out.JobCompletionDate = aws.Time(job.Created), aws.Time(job.Created)
		services, err := x.services()
		if err != nil || !slices.Contains(services, aws.ToString(in.ServiceNamespace)) {
			return err
		}
		p, err := pageOfList(x.holders, func(h holder) string { return h.of.ID }, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		for _, h := range p.list {
			used, err := s.lastUse(tx, account, h.of.ID, *in.ServiceNamespace)
			if err != nil {
				return err
			}
			row := types.EntityDetails{EntityInfo: &types.EntityInfo{
				Arn: aws.String(arn(account, h.word+h.of.Path+h.of.Name)), Id: aws.String(h.of.ID), Name: aws.String(h.of.Name), Path: aws.String(h.of.Path),
				Type: types.PolicyOwnerEntityType(strings.ToUpper(h.word)),
			}}
			if !used.At.IsZero() {
				row.LastAuthenticated = aws.Time(used.At)
			}
			out.EntityDetailsList = append(out.EntityDetailsList, row)
		}
		return nil
	})
}

// ListPoliciesGrantingServiceAccess answers which of an identity's policies allow something of each service.
func (s *Service) ListPoliciesGrantingServiceAccess(ctx context.Context, in *iam.ListPoliciesGrantingServiceAccessInput) (*iam.ListPoliciesGrantingServiceAccessOutput, error) {
	out := &iam.ListPoliciesGrantingServiceAccessOutput{PoliciesGrantingServiceAccess: []types.ListPoliciesGrantingServiceAccessEntry{}}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		x, err := s.subjectOf(tx, account, aws.ToString(in.Arn))
		if err != nil {
			return err
		}
		for _, service := range in.ServiceNamespaces {
			entry := types.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: aws.String(service), Policies: []types.PolicyGrantingServiceAccess{}}
			for _, d := range x.documents {
				ok, err := d.grants(service)
				if err != nil {
					return err
				}
				if ok {
					entry.Policies = append(entry.Policies, d.toAPI())
				}
			}
			out.PoliciesGrantingServiceAccess = append(out.PoliciesGrantingServiceAccess, entry)
		}
		return nil
	})
}

func (d namedDocument) toAPI() types.PolicyGrantingServiceAccess {
	if d.arn != "" {
		return types.PolicyGrantingServiceAccess{PolicyName: aws.String(d.name), PolicyType: types.PolicyTypeManaged, PolicyArn: aws.String(d.arn)}
	}
	return types.PolicyGrantingServiceAccess{
		PolicyName: aws.String(d.name), PolicyType: types.PolicyTypeInline,
		EntityName: aws.String(d.holder), EntityType: types.PolicyOwnerEntityType(strings.ToUpper(d.word)),
	}
}
