package iam

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/iam/policy"
)

// simulation is what two operations have in common: the same engine that decides on calls, on a request that is made up.
type simulation struct {
	input policy.Input
	// sources are the policies' names in answers, and what they are attached to.
	sources map[*policy.Document]policySource
	// names are the context keys as the policies write them, by their names in lower case.
	names   map[string]string
	context map[string][]string
	// member tells that the account is in an organization.
	member bool

	actions, resources []string
	resourcePolicy     []policy.Policy
	marker             *string
	maxItems           *int32
}

type policySource struct{ id, kind string }

// identityPolicy is the kind of all policies of identities.
const identityPolicy = "IAM Policy"

func newSimulation() *simulation {
	return &simulation{sources: map[*policy.Document]policySource{}, names: map[string]string{}, context: map[string][]string{}}
}

// add compiles a policy of the simulation.
func (m *simulation) add(kind policy.Kind, text string, source policySource) (policy.Policy, error) {
	d, err := policy.Parse(kind, text)
	if err != nil {
		return policy.Policy{}, errInvalidInput("Invalid %s: %s", source.id, err)
	}
	m.sources[d] = source
	for _, key := range d.Keys() {
		if m.names[key] == "" {
			m.names[key] = key
		}
	}
	statements := d.Statements()
	for i := range statements {
		for _, name := range statements[i].ConditionKeys() {
			m.names[strings.ToLower(name)] = name
		}
	}
	return policy.Policy{Name: source.id, Document: d}, nil
}

// addList compiles a list of an input's texts; they are called by its name and their number, from 1.
func (m *simulation) addList(kind policy.Kind, list string, texts []string) ([]policy.Policy, error) {
	var all []policy.Policy
	for i, text := range texts {
		p, err := m.add(kind, text, policySource{fmt.Sprintf("%s.%d", list, i+1), identityPolicy})
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// addBoundary compiles the boundary that the input gives instead of the real one.
func (m *simulation) addBoundary(texts []string) (err error) {
	if len(texts) > 0 {
		m.input.Boundary, err = m.addList(policy.Managed, "PermissionsBoundaryPolicyInputList", texts)
	}
	return err
}

// addResources takes the resources, their owner and policy.
func (m *simulation) addResources(arns []string, text, owner *string) error {
	if m.resources = arns; len(arns) == 0 {
		m.resources = []string{"*"}
	}
	for _, resource := range m.resources {
		// AWS: aws-containers/amazon-ecs-exec-checker issue 35 has the words.
		if _, isARN := fieldsOf(resource); resource != "*" && (!isARN || !strings.HasPrefix(resource, "arn:")) {
			return errInvalidInput("ResourceNames are not in a valid ARN format: %s.", resource)
		}
	}
	// AWS: boto/botocore issue 1346 has the words, "a" included.
	if owner != nil && !accountRoot.MatchString(*owner) {
		return errInvalidInput("'%s' is not a valid as a Resource Owner.", *owner)
	}
	if m.input.Principal.Account != "" {
		m.input.ResourceAccount = accountIn(aws.ToString(owner))
	}
	if text == nil {
		return nil
	}
	if m.input.Principal.ARN == "" {
		return errInvalidInput("CallerArn is required when a ResourcePolicy is given.")
	}
	p, err := m.add(policy.Resource, *text, policySource{"ResourcePolicy", "Resource Policy"})
	m.resourcePolicy = []policy.Policy{p}
	return err
}

// accountIn answers the account of an ARN, or a bare account number.
func accountIn(text string) string {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) == 6 {
		return parts[4]
	}
	return text
}

// addContext takes context keys whose values are of the types that they are said to be, about a caller that can be played.
func (m *simulation) addContext(caller *string, entries []types.ContextEntry) error {
	if caller != nil && !callingUser.MatchString(*caller) {
		return errInvalidInput("Invalid CallerArn: %s is not the ARN of an IAM user.", *caller)
	}
	for _, e := range entries {
		kind, isList := strings.CutSuffix(string(e.ContextKeyType), "List")
		if len(e.ContextKeyValues) > 1 && kind != "" && !isList {
			return errInvalidInput("Invalid Context Entry: %s of the type %s has more than one value.", aws.ToString(e.ContextKeyName), kind)
		}
		for _, value := range e.ContextKeyValues {
			if !isOfType(kind, value) {
				return errInvalidInput("Invalid Context Entry: '%s' is not a valid value of the type %s.", value, e.ContextKeyType)
			}
		}
		m.context[strings.ToLower(aws.ToString(e.ContextKeyName))] = e.ContextKeyValues
	}
	return nil
}

// isOfType tells whether a condition operator of that type of value could read it.
func isOfType(kind, value string) bool {
	var err error
	switch kind {
	case "numeric":
		_, err = strconv.ParseFloat(value, 64)
	case "boolean":
		return strings.EqualFold(value, "true") || strings.EqualFold(value, "false")
	case "ip":
		if _, err = netip.ParseAddr(value); err != nil {
			_, err = netip.ParsePrefix(value)
		}
	case "binary":
		_, err = base64.StdEncoding.DecodeString(value)
	case "date":
		if _, err = strconv.ParseInt(value, 10, 64); err != nil {
			err = errors.New("no date")
			for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02"} {
				if _, wrong := time.Parse(layout, value); wrong == nil {
					return true
				}
			}
		}
	}
	return err == nil
}

// AWS: "SimulateCustomPolicy" in the IAM API reference, ResourceOwner and CallerArn.
var (
	accountRoot = lazyregexp.New(`^arn:aws:iam::[0-9]{12}:root$`)
	callingUser = lazyregexp.New(`^arn:aws:iam::[0-9]{12}:user/.+$`)
)

// addCaller sets who is supposed to call, and the context keys that follow from it.
func (m *simulation) addCaller(callerARN string, tags map[string]string, now time.Time) {
	p := policy.Principal{Account: accountIn(callerARN), ARN: callerARN, Kind: policy.User}
	_, kind, rest, _ := arnParts(callerARN)
	switch {
	case strings.HasSuffix(callerARN, ":root"):
		p.Kind = policy.Root
	case kind == roles.word:
		// Whoever has the role is a session of it, without a name here.
		p.Kind, p.Issuer = policy.RoleSession, callerARN
	case kind == users.word:
		m.context["aws:username"] = []string{lastName(rest)}
	}
	m.input.Principal = p
	m.context["aws:principalarn"], m.context["aws:principalaccount"] = []string{callerARN}, []string{p.Account}
	m.context["aws:principaltype"] = single(principalTypes[p.Kind])
	m.context["aws:currenttime"], m.context["aws:epochtime"] = []string{now.UTC().Format(time.RFC3339)}, []string{strconv.FormatInt(now.Unix(), 10)}
	for key, value := range tags {
		m.context["aws:principaltag/"+strings.ToLower(key)] = []string{value}
	}
}

// run evaluates every action on every resource.
func (m *simulation) run() (page[types.EvaluationResult], error) {
	var results []types.EvaluationResult
	for _, action := range m.actions {
		if vendor, name, ok := strings.Cut(action, ":"); !ok || vendor == "" || name == "" || strings.ContainsAny(action, "*? ") {
			return page[types.EvaluationResult]{}, errInvalidInput("Invalid Entity: %s is not a valid action.", action)
		}
		for _, resource := range m.resources {
			results = append(results, m.one(action, resource))
		}
	}
	return pageOfList(results, func(r types.EvaluationResult) string { return *r.EvalActionName + " " + *r.EvalResourceName }, m.marker, m.maxItems)
}

func (m *simulation) one(action, resource string) types.EvaluationResult {
	in := m.input
	in.Thorough = true
	in.Action, in.Resource, in.ResourcePolicies = action, resource, m.resourcePolicy
	missing := map[string]bool{}
	in.Context = func(key string) []string {
		values := m.context[key]
		if len(values) == 0 {
			missing[key] = true
		}
		return values
	}
	d := policy.Evaluate(&in)
	r := types.EvaluationResult{
		EvalActionName: aws.String(action), EvalResourceName: aws.String(resource), EvalDecision: decisionType(d),
		MatchedStatements: []types.Statement{}, MissingContextValues: []string{},
	}
	for key := range missing {
		r.MissingContextValues = append(r.MissingContextValues, m.names[key])
	}
	slices.Sort(r.MissingContextValues)
	matches := d.Allows
	if d.Explicit {
		matches = d.Denies
	}
	for _, match := range matches {
		r.MatchedStatements = append(r.MatchedStatements, m.statement(match))
	}
	if in.Boundary != nil {
		r.PermissionsBoundaryDecisionDetail = &types.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: d.Layers[policy.LayerBoundary] == policy.Allowed}
	}
	if m.member {
		allowed := in.ServiceControl == nil || d.Layers[policy.LayerServiceControl] == policy.Allowed
		r.OrganizationsDecisionDetail = &types.OrganizationsDecisionDetail{AllowedByOrganizations: allowed}
	}
	if d.CrossAccount {
		r.EvalDecisionDetails = decisionDetails(d)
	}
	if resource != "*" {
		r.ResourceSpecificResults = []types.ResourceSpecificResult{{
			EvalResourceName: r.EvalResourceName, EvalResourceDecision: r.EvalDecision, EvalDecisionDetails: r.EvalDecisionDetails,
			MatchedStatements: r.MatchedStatements, MissingContextValues: r.MissingContextValues,
			PermissionsBoundaryDecisionDetail: r.PermissionsBoundaryDecisionDetail,
		}}
	}
	return r
}

func decisionType(d *policy.Decision) types.PolicyEvaluationDecisionType {
	switch {
	case d.Allowed:
		return types.PolicyEvaluationDecisionTypeAllowed
	case d.Explicit:
		return types.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return types.PolicyEvaluationDecisionTypeImplicitDeny
}

// decisionDetails say what each side of a call across accounts decided.
// AWS: "EvaluationResult" in the IAM API reference, EvalDecisionDetails.
func decisionDetails(d *policy.Decision) map[string]types.PolicyEvaluationDecisionType {
	side := func(l policy.Layer) types.PolicyEvaluationDecisionType {
		switch d.Layers[l] {
		case policy.Allowed:
			return types.PolicyEvaluationDecisionTypeAllowed
		case policy.ExplicitDeny:
			return types.PolicyEvaluationDecisionTypeExplicitDeny
		}
		return types.PolicyEvaluationDecisionTypeImplicitDeny
	}
	return map[string]types.PolicyEvaluationDecisionType{identityPolicy: side(policy.LayerIdentity), "Resource Policy": side(policy.LayerResource)}
}

func (m *simulation) statement(match policy.Match) types.Statement {
	source := m.sources[match.Policy.Document]
	return types.Statement{
		SourcePolicyId: aws.String(source.id), SourcePolicyType: types.PolicySourceType(source.kind),
		StartPosition: positionToAPI(match.Statement.Start), EndPosition: positionToAPI(match.Statement.End),
	}
}

func positionToAPI(p policy.Position) *types.Position {
	return &types.Position{Line: int32(p.Line), Column: int32(p.Column)} //nolint:gosec // a document has 128 KiB at most
}

// SimulateCustomPolicy decides on actions as if somebody had the policies of the input and no others.
func (s *Service) SimulateCustomPolicy(_ context.Context, in *iam.SimulateCustomPolicyInput) (*iam.SimulateCustomPolicyOutput, error) {
	m := newSimulation()
	m.actions, m.marker, m.maxItems = in.ActionNames, in.Marker, in.MaxItems
	if in.CallerArn != nil {
		m.addCaller(*in.CallerArn, nil, s.config.Now())
	} else {
		m.input.Principal.Kind = policy.User
	}
	if err := m.addContext(in.CallerArn, in.ContextEntries); err != nil {
		return nil, err
	}
	var err error
	if m.input.Identity, err = m.addList(policy.Identity, "PolicyInputList", in.PolicyInputList); err != nil {
		return nil, err
	}
	if err := m.addBoundary(in.PermissionsBoundaryPolicyInputList); err != nil {
		return nil, err
	}
	for i, level := range in.OrderedOrganizationPolicyInputList {
		m.member = true
		policies, err := m.addList(policy.ServiceControl, fmt.Sprintf("OrderedOrganizationPolicyInputList.%d.ServiceControlPolicyInputList", i+1), level.ServiceControlPolicyInputList)
		if err != nil {
			return nil, err
		}
		m.input.ServiceControl = append(m.input.ServiceControl, policies)
	}
	if err := m.addResources(in.ResourceArns, in.ResourcePolicy, in.ResourceOwner); err != nil {
		return nil, err
	}
	p, err := m.run()
	return &iam.SimulateCustomPolicyOutput{EvaluationResults: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// SimulatePrincipalPolicy decides on actions as if a user, group or role called, with the policies that it has now.
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, in *iam.SimulatePrincipalPolicyInput) (*iam.SimulatePrincipalPolicyOutput, error) {
	source := aws.ToString(in.PolicySourceArn)
	grants, err := s.grantsOfSource(ctx, source)
	if err != nil {
		return nil, err
	}
	m := newSimulation()
	m.actions, m.marker, m.maxItems = in.ActionNames, in.Marker, in.MaxItems
	caller := source
	if in.CallerArn != nil {
		caller = *in.CallerArn
	}
	m.addCaller(caller, grants.Tags, s.config.Now())
	if err := m.addContext(in.CallerArn, in.ContextEntries); err != nil {
		return nil, err
	}
	for _, g := range grants.Identity {
		p, err := m.add(policy.Identity, g.Text, g.source())
		if err != nil {
			return nil, err
		}
		m.input.Identity = append(m.input.Identity, p)
	}
	more, err := m.addList(policy.Identity, "PolicyInputList", in.PolicyInputList)
	if err != nil {
		return nil, err
	}
	m.input.Identity = append(m.input.Identity, more...)
	if b := grants.Boundary; b != nil && len(in.PermissionsBoundaryPolicyInputList) == 0 {
		p, err := m.add(policy.Managed, b.Text, b.source())
		if err != nil {
			p = policy.Policy{Name: b.ARN, Document: policy.Empty(policy.Managed)} // a boundary that is gone allows nothing
		}
		m.input.Boundary = []policy.Policy{p}
	}
	if err := m.addBoundary(in.PermissionsBoundaryPolicyInputList); err != nil {
		return nil, err
	}
	place, err := s.membership(ctx, accountIn(source))
	if err != nil {
		return nil, err
	}
	if place != nil {
		m.member, m.input.ServiceControl = true, place.serviceControl
		for _, level := range place.serviceControl {
			for i := range level {
				m.sources[level[i].Document] = policySource{lastName(level[i].Name), "Organizations Policy"}
			}
		}
	}
	if err := m.addResources(in.ResourceArns, in.ResourcePolicy, in.ResourceOwner); err != nil {
		return nil, err
	}
	p, err := m.run()
	return &iam.SimulatePrincipalPolicyOutput{EvaluationResults: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// grantsOfSource answers the policies of a user, group or role of the caller's account.
func (s *Service) grantsOfSource(ctx context.Context, source string) (*Grants, error) {
	account, kind, _, ok := arnParts(source)
	if !ok || kind != users.word && kind != groups.word && kind != roles.word {
		return nil, errInvalidInput("Invalid Entity Arn: %s does not clearly define entity type and name.", source)
	}
	grants, ok, err := s.GrantsOf(ctx, source)
	if err == nil && (!ok || account != awsapi.FromContext(ctx).Principal.Account) {
		err = errNoSuchEntity("The %s with name %s cannot be found.", kind, lastName(source))
	}
	return grants, err
}

// source is how answers name the policy: inline ones after their holder.
// AWS: the type is "IAM Policy", whatever the values of PolicySourceType say, as Terraform's provider tests it for a user's own
// policy; that it is so for managed ones rests on analogy.
func (g *GrantedPolicy) source() policySource {
	if g.ARN != "" {
		return policySource{g.Name, identityPolicy}
	}
	_, kind, rest, _ := arnParts(g.Holder)
	return policySource{strings.Join([]string{kind, lastName(rest), g.Name}, "_"), identityPolicy}
}

// GetContextKeysForCustomPolicy answers the context keys that the policies ask for.
func (s *Service) GetContextKeysForCustomPolicy(_ context.Context, in *iam.GetContextKeysForCustomPolicyInput) (*iam.GetContextKeysForCustomPolicyOutput, error) {
	m := newSimulation()
	if _, err := m.addList(policy.Identity, "PolicyInputList", in.PolicyInputList); err != nil {
		return nil, err
	}
	return &iam.GetContextKeysForCustomPolicyOutput{ContextKeyNames: m.keyNames()}, nil
}

// GetContextKeysForPrincipalPolicy answers the context keys that the policies of a user, group or role ask for.
func (s *Service) GetContextKeysForPrincipalPolicy(ctx context.Context, in *iam.GetContextKeysForPrincipalPolicyInput) (*iam.GetContextKeysForPrincipalPolicyOutput, error) {
	grants, err := s.grantsOfSource(ctx, aws.ToString(in.PolicySourceArn))
	if err != nil {
		return nil, err
	}
	m := newSimulation()
	for _, g := range grants.Identity {
		if _, err := m.add(policy.Identity, g.Text, g.source()); err != nil {
			return nil, err
		}
	}
	if _, err := m.addList(policy.Identity, "PolicyInputList", in.PolicyInputList); err != nil {
		return nil, err
	}
	return &iam.GetContextKeysForPrincipalPolicyOutput{ContextKeyNames: m.keyNames()}, nil
}

func (m *simulation) keyNames() []string {
	names := []string{}
	for _, name := range m.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
