package integration

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// ownerTag is on everything that a client makes, with its name; tokenTag tells the things of one client apart.
const (
	ownerTag = "torture-owner"
	tokenTag = "torture-token"
	countTag = "torture-count"
)

// tortureMachines is a client that writes what EC2 has: instances and their tags, key pairs, security groups and their
// rules, VPCs and their subnets. What it knows is by token.
type tortureMachines struct {
	tormented
	ec2   *ec2.Client
	name  string
	image string
	made  int

	keys map[string]bool
	// groups are security groups: their id, and the ports that their rules let in.
	groups map[string]*group
	// vpcs are by token: their id, and the ids of their subnets by the third number of their ranges.
	vpcs      map[string]*network
	instances map[string]*instance
}

type group struct {
	id    string
	ports map[int32]bool
}

type network struct {
	id      string
	subnets map[int]string
}

type instance struct {
	id string
	// count is the value of a tag; empty if it has none.
	count string
	gone  bool
}

func newTortureMachines(ctx context.Context, m *torment, name string) (*tortureMachines, error) {
	image, err := ssm.NewFromConfig(m.config).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/aws/service/debian/release/12/latest/amd64")})
	if err != nil {
		return nil, err
	}
	return &tortureMachines{
		tormented: tormented{torment: m}, ec2: ec2.NewFromConfig(m.config), name: name, image: *image.Parameter.Value,
		keys: map[string]bool{}, groups: map[string]*group{}, vpcs: map[string]*network{}, instances: map[string]*instance{},
	}, nil
}

func (c *tortureMachines) token() string {
	c.made++
	return c.name + "-" + strconv.Itoa(c.made)
}

// tags are those of a new resource.
func (c *tortureMachines) tags(kind types.ResourceType, token string) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: aws.String(ownerTag), Value: &c.name}, {Key: aws.String(tokenTag), Value: &token}}}}
}

// own is the filter for what this client made; with a token, for that alone.
func (c *tortureMachines) own(token string) []types.Filter {
	all := []types.Filter{{Name: aws.String("tag:" + ownerTag), Values: []string{c.name}}}
	if token != "" {
		all = append(all, types.Filter{Name: aws.String("tag:" + tokenTag), Values: []string{token}})
	}
	return all
}

func tokenOf(tags []types.Tag) string { return valueOf(tags, tokenTag) }

func valueOf(tags []types.Tag, name string) string {
	for _, tag := range tags {
		if *tag.Key == name {
			return *tag.Value
		}
	}
	return ""
}

// anyOf draws a token of a map.
func anyOf[V any](of map[string]V) (string, V) {
	for token, v := range of {
		return token, v
	}
	var none V
	return "", none
}

func (c *tortureMachines) act(ctx context.Context) bool {
	switch dice := rand.IntN(100); {
	case dice < 15:
		return c.keyPair(ctx)
	case dice < 25:
		return c.group(ctx)
	case dice < 50:
		return c.rule(ctx)
	case dice < 60:
		return c.vpc(ctx)
	case dice < 75:
		return c.subnet(ctx)
	case dice < 85:
		return c.run(ctx)
	case dice < 92:
		return c.label(ctx)
	default:
		return c.terminate(ctx)
	}
}

// settled runs after an answer, or is left for later: found answers whether the call was done after all.
func (c *tortureMachines) settled(what string, err error, apply func(), found func(context.Context) (bool, error)) bool {
	done, refused := c.outcome(what, err)
	if done {
		apply()
	}
	if done || refused {
		return true
	}
	return c.leave(func(ctx context.Context) error {
		ok, err := found(ctx)
		if err != nil {
			return fmt.Errorf("%s, without an answer: %w", what, err)
		}
		if ok {
			apply()
		}
		return nil
	})
}

func (c *tortureMachines) keyPair(ctx context.Context) bool {
	there := func(name string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			names, err := c.keyNames(ctx)
			return slices.Contains(names, name), err
		}
	}
	if name, ok := anyOf(c.keys); ok && len(c.keys) > 3 {
		_, err := c.ec2.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: &name})
		return c.settled("delete a key pair", err, func() { delete(c.keys, name) }, func(ctx context.Context) (bool, error) {
			still, err := there(name)(ctx)
			return !still, err
		})
	}
	name := c.token()
	_, err := c.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: &name, KeyType: types.KeyTypeEd25519, TagSpecifications: c.tags(types.ResourceTypeKeyPair, name)})
	return c.settled("create a key pair", err, func() { c.keys[name] = true }, there(name))
}

func (c *tortureMachines) keyNames(ctx context.Context) ([]string, error) {
	out, err := c.ec2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: c.own("")})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, k := range out.KeyPairs {
		names = append(names, *k.KeyName)
	}
	slices.Sort(names)
	return names, nil
}

func (c *tortureMachines) group(ctx context.Context) bool {
	if token, have := anyOf(c.groups); have != nil && len(c.groups) > 2 {
		_, err := c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &have.id})
		return c.settled("delete a group", err, func() { delete(c.groups, token) }, func(ctx context.Context) (bool, error) {
			found, err := c.findGroups(ctx, token)
			return len(found) == 0, err
		})
	}
	made, token := &group{ports: map[int32]bool{}}, c.token()
	out, err := c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &token, Description: &token, TagSpecifications: c.tags(types.ResourceTypeSecurityGroup, token)})
	if err == nil {
		made.id = *out.GroupId
	}
	return c.settled("create a group", err, func() { c.groups[token] = made }, func(ctx context.Context) (bool, error) {
		found, err := c.findGroups(ctx, token)
		if len(found) > 0 {
			made.id = *found[0].GroupId
		}
		return len(found) > 0, err
	})
}

func (c *tortureMachines) findGroups(ctx context.Context, token string) ([]types.SecurityGroup, error) {
	out, err := c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: c.own(token)})
	if err != nil {
		return nil, err
	}
	return out.SecurityGroups, nil
}

// portsOf are the ports that a group lets in.
func portsOf(g types.SecurityGroup) []int32 {
	var ports []int32
	for _, p := range g.IpPermissions {
		ports = append(ports, aws.ToInt32(p.FromPort))
	}
	slices.Sort(ports)
	return ports
}

func (c *tortureMachines) rule(ctx context.Context) bool {
	token, have := anyOf(c.groups)
	if have == nil {
		return true
	}
	port := int32(1000 + rand.IntN(8))
	rule := []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port, IpRanges: []types.IpRange{{CidrIp: aws.String("198.51.100.0/24")}}}}
	there := func(ctx context.Context) (bool, error) {
		found, err := c.findGroups(ctx, token)
		return len(found) == 1 && slices.Contains(portsOf(found[0]), port), err
	}
	if have.ports[port] {
		_, err := c.ec2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &have.id, IpPermissions: rule})
		return c.settled("revoke a rule", err, func() { delete(have.ports, port) }, func(ctx context.Context) (bool, error) {
			still, err := there(ctx)
			return !still, err
		})
	}
	_, err := c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &have.id, IpPermissions: rule})
	return c.settled("authorize a rule", err, func() { have.ports[port] = true }, there)
}

func (c *tortureMachines) vpc(ctx context.Context) bool {
	for token, have := range c.vpcs {
		if len(have.subnets) > 0 || len(c.vpcs) < 2 {
			continue
		}
		_, err := c.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &have.id})
		return c.settled("delete a VPC", err, func() { delete(c.vpcs, token) }, func(ctx context.Context) (bool, error) {
			found, err := c.findVPCs(ctx, token)
			return len(found) == 0, err
		})
	}
	if len(c.vpcs) >= 2 {
		return true
	}
	made, token := &network{subnets: map[int]string{}}, c.token()
	out, err := c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16"), TagSpecifications: c.tags(types.ResourceTypeVpc, token)})
	if err == nil {
		made.id = *out.Vpc.VpcId
	}
	return c.settled("create a VPC", err, func() { c.vpcs[token] = made }, func(ctx context.Context) (bool, error) {
		found, err := c.findVPCs(ctx, token)
		if len(found) > 0 {
			made.id = *found[0].VpcId
		}
		return len(found) > 0, err
	})
}

func (c *tortureMachines) findVPCs(ctx context.Context, token string) ([]types.Vpc, error) {
	out, err := c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: c.own(token)})
	if err != nil {
		return nil, err
	}
	return out.Vpcs, nil
}

func (c *tortureMachines) subnet(ctx context.Context) bool {
	_, have := anyOf(c.vpcs)
	if have == nil {
		return true
	}
	number := rand.IntN(4)
	find := func(ctx context.Context) (string, error) {
		found, err := c.subnets(ctx, have.id)
		return found[number], err
	}
	if id := have.subnets[number]; id != "" {
		_, err := c.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &id})
		return c.settled("delete a subnet", err, func() { delete(have.subnets, number) }, func(ctx context.Context) (bool, error) {
			still, err := find(ctx)
			return still == "", err
		})
	}
	var id string
	out, err := c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &have.id, CidrBlock: aws.String(fmt.Sprintf("10.7.%d.0/24", number))})
	if err == nil {
		id = *out.Subnet.SubnetId
	}
	return c.settled("create a subnet", err, func() { have.subnets[number] = id }, func(ctx context.Context) (bool, error) {
		id, err = find(ctx)
		return id != "", err
	})
}

// subnets answers the ids of a VPC's subnets by the third number of their ranges.
func (c *tortureMachines) subnets(ctx context.Context, vpc string) (map[int]string, error) {
	out, err := c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{vpc}}}})
	if err != nil {
		return nil, err
	}
	found := map[int]string{}
	for _, s := range out.Subnets {
		var number int
		if _, err := fmt.Sscanf(*s.CidrBlock, "10.7.%d.0/24", &number); err != nil {
			return nil, err
		}
		found[number] = *s.SubnetId
	}
	return found, nil
}

// living is how many instances are not gone.
func (c *tortureMachines) living() (tokens []string) {
	for token, have := range c.instances {
		if !have.gone {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func (c *tortureMachines) run(ctx context.Context) bool {
	if len(c.living()) >= 4 {
		return true
	}
	made, token := &instance{}, c.token()
	launch := func(ctx context.Context) error {
		out, err := c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &c.image, InstanceType: types.InstanceTypeT3Nano, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			ClientToken: &token, TagSpecifications: c.tags(types.ResourceTypeInstance, token)})
		if err == nil {
			made.id = *out.Instances[0].InstanceId
		}
		return err
	}
	return c.settled("run an instance", launch(ctx), func() { c.instances[token] = made }, func(ctx context.Context) (bool, error) {
		if !c.full.Load() {
			// With the same token it is the same instance, whether the first call was done or not: check finds two.
			return true, launch(ctx)
		}
		found, err := c.find(ctx, token)
		i, there := found[token]
		made.id = aws.ToString(i.InstanceId)
		return there, err
	})
}

func (c *tortureMachines) find(ctx context.Context, token string) (map[string]types.Instance, error) {
	all := map[string]types.Instance{}
	pages := ec2.NewDescribeInstancesPaginator(c.ec2, &ec2.DescribeInstancesInput{Filters: c.own(token)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				token := tokenOf(i.Tags)
				if _, twice := all[token]; twice {
					return nil, fmt.Errorf("%s was launched twice", token)
				}
				all[token] = i
			}
		}
	}
	return all, nil
}

func (c *tortureMachines) label(ctx context.Context) bool {
	tokens := c.living()
	if len(tokens) == 0 {
		return true
	}
	have := c.instances[tokens[0]]
	value := ""
	var err error
	if have.count == "" || rand.IntN(3) > 0 {
		value = strconv.Itoa(rand.IntN(1000))
		_, err = c.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{have.id}, Tags: []types.Tag{{Key: aws.String(countTag), Value: &value}}})
	} else {
		_, err = c.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{have.id}, Tags: []types.Tag{{Key: aws.String(countTag)}}})
	}
	return c.settled("tag an instance", err, func() { have.count = value }, func(ctx context.Context) (bool, error) {
		found, err := c.find(ctx, tokens[0])
		return valueOf(found[tokens[0]].Tags, countTag) == value, err
	})
}

func (c *tortureMachines) terminate(ctx context.Context) bool {
	tokens := c.living()
	if len(tokens) < 2 {
		return true
	}
	have := c.instances[tokens[0]]
	_, err := c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{have.id}})
	return c.settled("terminate an instance", err, func() { have.gone = true }, func(ctx context.Context) (bool, error) {
		found, err := c.find(ctx, tokens[0])
		return ending(found[tokens[0]]), err
	})
}

// ending tells whether an instance is on its way out.
func ending(i types.Instance) bool {
	return i.State == nil || i.State.Name == types.InstanceStateNameShuttingDown || i.State.Name == types.InstanceStateNameTerminated
}

// check compares everything that this client made with what was acknowledged.
func (c *tortureMachines) check(ctx context.Context) error {
	names, err := c.keyNames(ctx)
	if err != nil {
		return err
	}
	if want := slices.Sorted(maps.Keys(c.keys)); !slices.Equal(names, want) {
		return fmt.Errorf("key pairs are %q, and %q were acknowledged", names, want)
	}
	groups, err := c.findGroups(ctx, "")
	if err != nil {
		return err
	}
	for _, g := range groups {
		have := c.groups[tokenOf(g.Tags)]
		if have == nil || have.id != *g.GroupId {
			return fmt.Errorf("nobody made the group %s, %s", *g.GroupId, tokenOf(g.Tags))
		}
		if ports, want := portsOf(g), slices.Sorted(maps.Keys(have.ports)); !slices.Equal(ports, want) {
			return fmt.Errorf("the group %s lets %v in, and %v were acknowledged", have.id, ports, want)
		}
	}
	if len(groups) != len(c.groups) {
		return fmt.Errorf("%d groups were acknowledged, and there are %d", len(c.groups), len(groups))
	}
	vpcs, err := c.findVPCs(ctx, "")
	if err != nil {
		return err
	}
	for _, v := range vpcs {
		have := c.vpcs[tokenOf(v.Tags)]
		if have == nil || have.id != *v.VpcId {
			return fmt.Errorf("nobody made the VPC %s, %s", *v.VpcId, tokenOf(v.Tags))
		}
		subnets, err := c.subnets(ctx, have.id)
		if err != nil {
			return err
		}
		if !maps.Equal(subnets, have.subnets) {
			return fmt.Errorf("the VPC %s has the subnets %v, and %v were acknowledged", have.id, subnets, have.subnets)
		}
	}
	if len(vpcs) != len(c.vpcs) {
		return fmt.Errorf("%d VPCs were acknowledged, and there are %d", len(c.vpcs), len(vpcs))
	}
	return c.checkInstances(ctx)
}

func (c *tortureMachines) checkInstances(ctx context.Context) error {
	found, err := c.find(ctx, "")
	if err != nil {
		return err
	}
	for token, i := range found {
		if c.instances[token] == nil {
			return fmt.Errorf("nobody launched %s, %s", *i.InstanceId, token)
		}
	}
	for token, have := range c.instances {
		i, there := found[token]
		switch {
		case have.gone && !ending(i):
			return fmt.Errorf("%s was terminated and is %s", have.id, i.State.Name)
		case have.gone:
		case !there || *i.InstanceId != have.id:
			return fmt.Errorf("the instance %s, %s was acknowledged and is not there", have.id, token)
		case ending(i):
			return fmt.Errorf("%s is %s, and nobody terminated it: %s", have.id, i.State.Name, aws.ToString(i.StateTransitionReason))
		case valueOf(i.Tags, countTag) != have.count:
			return fmt.Errorf("%s has the tag %q, and %q was acknowledged", have.id, valueOf(i.Tags, countTag), have.count)
		}
	}
	return nil
}

// comeUp waits until every instance is what its user wanted: running, or terminated.
func (c *tortureMachines) comeUp(ctx context.Context) error {
	waiting := ""
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found, err := c.find(ctx, "")
		if err != nil {
			return err
		}
		waiting = ""
		for token, have := range c.instances {
			i, there := found[token]
			want := types.InstanceStateNameRunning
			if have.gone {
				want = types.InstanceStateNameTerminated
			}
			if there && i.State.Name != want {
				waiting = fmt.Sprintf("%s is %s instead of %s", have.id, i.State.Name, want)
			}
		}
		if waiting == "" {
			return nil
		}
	}
	return fmt.Errorf("after a minute %s", waiting)
}
