package ec2

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// metadataTime is how the service writes times.
const metadataTime = "2006-01-02T15:04:05Z"

// metadataTree is everything that an instance may know about itself, below the name of a version.
// AWS: "Instance metadata categories".
func (s *Service) metadataTree(ctx context.Context, g *asker, version int) (metadataFolder, error) {
	data, dynamic := metadataFolder{}, metadataFolder{}
	top := metadataFolder{"meta-data": labelled{"meta-data", data}, "dynamic": labelled{"dynamic", dynamic}}
	err := s.viewIn(ctx, g.scope, func(t tx) error {
		has, err := userDatas.In(t, g.scope).Find(g.inst.ID)
		if err != nil {
			return err
		}
		if has != nil {
			top["user-data"] = string(has.Data)
		}
		s.aboutMachine(g.inst, data)
		if err := s.aboutPlacement(t, g.inst, data); err != nil {
			return err
		}
		if err := s.aboutNetwork(t, g, data); err != nil {
			return err
		}
		return s.aboutConnectKeys(t, g.inst, data)
	})
	if err != nil {
		return nil, err
	}
	s.aboutNotices(g.inst, data)
	if err := s.aboutRole(ctx, g, data, version); err != nil {
		return nil, err
	}
	dynamic["fws"] = metadataFolder{"instance-monitoring": named(g.inst.Monitoring, "enabled", "disabled")[0]}
	dynamic["instance-identity"] = s.aboutIdentity(ctx, g)
	return top, nil
}

// aboutMachine is what the instance's own record says.
func (s *Service) aboutMachine(i *instance, data metadataFolder) {
	data["ami-id"] = i.ImageID
	data["ami-launch-index"] = strconv.Itoa(int(i.Index))
	data["ami-manifest-path"] = "(unknown)"
	data["block-device-mapping"] = metadataFolder{"ami": i.RootDevice, "root": i.RootDevice}
	data["hibernation"] = metadataFolder{"configured": "false"}
	data["instance-action"] = "none"
	data["instance-id"] = i.ID
	data["instance-life-cycle"] = "on-demand"
	if i.Lifecycle != "" {
		data["instance-life-cycle"] = i.Lifecycle
	}
	data["instance-type"] = string(i.Type)
	data["metrics"] = metadataFolder{"vhostmd": `<?xml version="1.0" encoding="UTF-8"?>`}
	data["profile"] = "default-hvm"
	data["reservation-id"] = i.Reservation
	data["services"] = metadataFolder{"domain": "amazonaws.com", "partition": "aws"}
	data["system"] = "xen"
	if typ, ok := instanceTypes().findCached(string(i.Type)); ok && typ.Hypervisor == "nitro" {
		data["system"] = "nitro"
	}
	if i.PublicKey != "" {
		key := labelled{"0=" + i.KeyName, metadataFolder{"openssh-key": i.PublicKey + "\n"}}
		data["public-keys"] = metadataFolder{"0": key}
	}
	if i.Metadata.Tags == "enabled" {
		tags := metadataFolder{}
		for key, value := range i.Tags {
			tags[key] = value
		}
		data["tags"] = metadataFolder{"instance": tags}
	}
}

// aboutPlacement is where the instance is.
func (s *Service) aboutPlacement(t tx, i *instance, data metadataFolder) error {
	place := metadataFolder{"availability-zone": i.Zone, "availability-zone-id": i.ZoneID, "region": t.scope.Region}
	data["placement"] = place
	if i.Host != "" {
		place["host-id"] = i.Host
	}
	group, err := placementGroups.find(t, i.PlacementGroup)
	if group == nil || err != nil {
		return err
	}
	place["group-name"] = group.Name
	if i.Partition > 0 {
		place["partition-number"] = strconv.Itoa(int(i.Partition))
	}
	return nil
}

// aboutNetwork is what the interfaces are.
func (s *Service) aboutNetwork(t tx, g *asker, data metadataFolder) error {
	list, err := interfacesOf(t, g.inst.ID)
	if err != nil {
		return err
	}
	macs := metadataFolder{}
	data["network"] = metadataFolder{"interfaces": metadataFolder{"macs": macs}}
	for _, e := range list {
		shown, err := s.aboutInterface(t, e)
		if err != nil {
			return err
		}
		macs[e.MAC] = shown
		if e.Attachment.DeviceIndex != 0 {
			continue
		}
		data["mac"] = e.MAC
		data["hostname"], data["local-hostname"] = instancePrivateName(t, g.inst), instancePrivateName(t, g.inst)
		data["local-ipv4"] = e.private()
		if groups, ok := shown["security-groups"]; ok {
			data["security-groups"] = groups
		}
		if len(e.IPv6) > 0 {
			data["ipv6"] = e.IPv6[0]
		}
		if public := e.Addresses[0].Public; public != "" {
			data["public-ipv4"] = public
			if name := publicName(t, e.VPC, public); name != "" {
				data["public-hostname"] = name
			}
		}
	}
	return nil
}

func (s *Service) aboutInterface(t tx, e *networkInterface) (metadataFolder, error) {
	shown := metadataFolder{
		"device-number": strconv.Itoa(int(e.Attachment.DeviceIndex)), "interface-id": e.ID, "local-hostname": privateName(t, e.private()),
		"mac": e.MAC, "owner-id": t.scope.Account, "subnet-id": e.Subnet, "vpc-id": e.VPC, "network-card": "0",
	}
	lines := func(name string, values []string) {
		if len(values) > 0 {
			shown[name] = strings.Join(values, "\n")
		}
	}
	var private []string
	for _, a := range e.Addresses {
		private = append(private, a.Private)
	}
	lines("local-ipv4s", private)
	lines("public-ipv4s", e.publicAddresses())
	lines("ipv6s", e.IPv6)
	lines("ipv4-prefix", e.Prefixes)
	lines("ipv6-prefix", e.IPv6Prefixes)
	associations := metadataFolder{}
	for _, a := range e.Addresses {
		if a.Public != "" {
			associations[a.Public] = a.Private
		}
	}
	if len(associations) > 0 {
		shown["ipv4-associations"] = associations
		if name := publicName(t, e.VPC, e.Addresses[0].Public); name != "" {
			shown["public-hostname"] = name
		}
	}
	groups, err := groupsToAPI(t, e.Groups)
	if err != nil {
		return nil, err
	}
	var ids, names []string
	for _, group := range groups {
		ids, names = append(ids, aws.ToString(group.GroupId)), append(names, aws.ToString(group.GroupName))
	}
	lines("security-group-ids", ids)
	lines("security-groups", names)
	n, err := subnets.find(t, e.Subnet)
	if err != nil {
		return nil, err
	}
	if n != nil {
		shown["subnet-ipv4-cidr-block"] = n.prefix().String()
		for _, a := range n.IPv6 {
			shown["subnet-ipv6-cidr-blocks"] = a.CIDR
		}
	}
	v, err := vpcs.find(t, e.VPC)
	if v == nil || err != nil {
		return shown, err
	}
	var ranges, ranges6 []string
	for _, prefix := range v.ranges() {
		ranges = append(ranges, prefix.String())
	}
	for _, prefix := range v.ipv6Ranges() {
		ranges6 = append(ranges6, prefix.String())
	}
	shown["vpc-ipv4-cidr-block"] = ranges[0]
	lines("vpc-ipv4-cidr-blocks", ranges)
	lines("vpc-ipv6-cidr-blocks", ranges6)
	return shown, nil
}

// document is JSON as the service writes it.
func document(value any) string {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return "" // not with what is written here: strings, numbers and nulls
	}
	return strings.ReplaceAll(string(text), `": `, `" : `)
}

// roleError is what iam/info and iam/security-credentials say of a role that the instance cannot have.
// AWS: "Troubleshoot IAM and Amazon EC2": the codes.
type roleError struct {
	Code, Message, LastUpdated string
}

const rolesHelp = "  Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html."

// aboutRole is the instance profile, and the credentials of its role.
func (s *Service) aboutRole(ctx context.Context, g *asker, data metadataFolder, version int) error {
	data["identity-credentials"] = metadataFolder{"ec2": metadataFolder{
		"info": document(struct{ Code, LastUpdated, AccountId string }{"Success", g.inst.Launched.UTC().Format(metadataTime), g.scope.Account}),
	}}
	associated := g.inst.Profile
	if associated == nil || s.config.FindProfile == nil {
		return nil
	}
	found, err := s.config.FindProfile(ctx, g.scope.Account, profileName(associated.ARN))
	if err != nil {
		return err
	}
	now := time.Now().UTC().Format(metadataTime)
	if found.ARN != associated.ARN || found.ID != associated.ID {
		data["iam"] = metadataFolder{"info": document(roleError{
			Code: "InstanceProfileNotFound", Message: "Instance Profile with Id " + associated.ID + " cannot be found." + rolesHelp, LastUpdated: now,
		})}
		return nil
	}
	folder := metadataFolder{"info": document(struct{ Code, LastUpdated, InstanceProfileArn, InstanceProfileId string }{
		"Success", associated.At.UTC().Format(metadataTime), found.ARN, found.ID,
	})}
	if found.RoleARN != "" {
		folder["security-credentials"] = metadataFolder{profileName(found.RoleARN): madeLater(func() (string, error) {
			return s.roleCredentials(ctx, g, found, version)
		})}
	}
	data["iam"] = folder
	return nil
}

// aboutNotices is what was announced to the instance.
func (s *Service) aboutNotices(i *instance, data metadataFolder) {
	events := metadataFolder{"maintenance": metadataFolder{"history": notices(i, false), "scheduled": notices(i, true)}}
	data["events"] = events
	if at := i.Notices.Rebalance; !at.IsZero() {
		events["recommendations"] = metadataFolder{"rebalance": document(map[string]string{"noticeTime": at.UTC().Format(metadataTime)})}
	}
	if n := i.Notices; n.SpotAction != "" {
		spot := metadataFolder{"instance-action": document(map[string]string{"action": n.SpotAction, "time": n.SpotTime.UTC().Format(metadataTime)})}
		if n.SpotAction == "terminate" {
			spot["termination-time"] = n.SpotTime.UTC().Format(metadataTime)
		}
		data["spot"] = spot
	}
}

// noticeTime is how scheduled events write times.
const noticeTime = "2 Jan 2006 15:04:05 GMT"

// notices are the scheduled events that are to come, or those that are over.
func notices(i *instance, coming bool) string {
	type shown struct {
		NotBefore, Code, Description, EventId string
		NotAfter                              string `json:",omitempty"`
		State                                 string
	}
	list := []shown{}
	for _, e := range i.Notices.Events {
		if e.active() != coming {
			continue
		}
		one := shown{NotBefore: e.NotBefore.UTC().Format(noticeTime), Code: e.Code, Description: e.Description, EventId: e.ID, State: e.State}
		if !e.NotAfter.IsZero() {
			one.NotAfter = e.NotAfter.UTC().Format(noticeTime)
		}
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b shown) int { return strings.Compare(a.EventId, b.EventId) })
	if len(list) == 0 {
		return "[]"
	}
	return document(list)
}
