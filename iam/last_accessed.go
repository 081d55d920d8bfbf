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

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
	"miniaws/iam/policy"
)

// accessJob is a report on which services an identity or a policy's users could use and did. It is worked out when it
// is read.
type accessJob struct {
	ID      string
	ARN     string
	Created time.Time
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
	parsed, err := policy.Parse(policy.Managed, d.text)
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
	if in.Granularity == types.AccessAdvisorUsageGranularityTypeActionLevel {
		return nil, awsapi.NotImplemented(awsapi.FromContext(ctx).Service, "GenerateServiceLastAccessedDetails with ACTION_LEVEL")
	}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		if _, err := s.subjectOf(tx, account, aws.ToString(in.Arn)); err != nil {
			return err
		}
		job := &accessJob{ID: newTaskID(), ARN: aws.ToString(in.Arn), Created: tx.Now().UTC().Truncate(time.Second)}
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
			row := types.ServiceLastAccessed{ServiceName: aws.String(service), ServiceNamespace: aws.String(service), TotalAuthenticatedEntities: aws.Int32(0)}
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
			out.ServicesLastAccessed = append(out.ServicesLastAccessed, row)
		}
		return nil
	})
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
