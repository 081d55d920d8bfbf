package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"miniaws/awsapi"
	"miniaws/iam/reference"
)

// keysNobodyHas are condition keys that no call has here, and why. "SERVICE:KEY" means it everywhere, "ACTION KEY" for one
// action.
var keysNobodyHas = map[string]string{
	"ec2:ManagedResourceOperator":        "nothing is managed by another service",
	"ec2:CpuOptionsAmdSevSnp":            "no machine here encrypts its memory",
	"ec2:InstanceBandwidthWeighting":     "there is none",
	"ec2:ProductCode":                    "no image has one",
	"ec2:Ipv4IpamPoolId":                 "there is no IPAM: such pools are refused",
	"ec2:Ipv6IpamPoolId":                 "there is no IPAM: such pools are refused",
	"ec2:IpamPrefixListResolverTargetId": "there is no IPAM",
	"ec2:AuthorizedService":              "no interface is made for another service",
	"ec2:ParentSnapshot":                 "root volumes are layers of their containers: there are no snapshots",
	"ec2:ParentVolume":                   "there are no snapshots",
	"ec2:SnapshotTime":                   "there are no snapshots",
	"ec2:CreateImage ec2:VolumeSize":     "there are no snapshots",
	"ec2:CapacityReservationFleet":       "there are no fleets of reservations",
	"ec2:ModifyInstanceCapacityReservationAttributes ec2:Attribute":                  "AWS: only single values; this is a structure",
	"ec2:ModifyInstanceCapacityReservationAttributes ec2:Attribute/${AttributeName}": "AWS: only single values; this is a structure",
	"ec2:OutpostArn":                                                       "there are no outposts",
	"ec2:SourceOutpostArn":                                                 "there are no outposts",
	"ec2:VolumeInitializationRate":                                         "such volumes are refused",
	"ec2:BootModeOverride":                                                 "the SDK's CreateImage has no such member",
	"ec2:VpcePrivateDnsPreference":                                         "only for endpoints of service networks and resources",
	"ec2:VpcePrivateDnsSpecifiedDomains":                                   "only for endpoints of service networks and resources",
	"ec2:GetConsoleScreenshot ec2:NewInstanceProfile":                      "a screenshot brings no profile",
	"ec2:ModifyInstanceCreditSpecification ec2:Attribute":                  "AWS: only single values; this is a list",
	"ec2:ModifyInstanceCreditSpecification ec2:Attribute/${AttributeName}": "AWS: only single values; this is a list",
	"ec2:ModifyVpcPeeringConnectionOptions ec2:Attribute":                  "AWS: only single values; these are structures",
	"ec2:ModifyVpcPeeringConnectionOptions ec2:Attribute/${AttributeName}": "AWS: only single values; these are structures",
	"ec2:ModifyTransitGatewayVpcAttachment ec2:Attribute":                  "AWS: only single values; these are structures",
	"ec2:ModifyTransitGatewayVpcAttachment ec2:Attribute/${AttributeName}": "AWS: only single values; these are structures",
	"ec2:ResetImageAttribute ec2:Attribute/${AttributeName}":               "a reset has no value",
	"s3:AccessGrantsInstanceArn":                                           "there are no access grants",
	"s3:object-lock-event-hold":                                            "newer than the served SDK",
	"s3:object-lock-event-hold-duration-days":                              "newer than the served SDK",
	"s3:x-amz-object-annotation-directive":                                 "newer than the served SDK",
	"s3:x-amz-bucket-namespace":                                            "such buckets are refused",
	"s3:isReplicationPauseRequest":                                         "only of the fault injection service",
	"s3:PutObject s3:x-amz-grant-write":                                    "the SDK's PutObject has no such member",
	"s3:CreateAccessPoint s3:x-amz-acl":                                    "the SDK's CreateAccessPoint has no such member",
	"s3:CreateAccessPoint s3:locationconstraint":                           "the SDK's CreateAccessPoint has no such member",
	"iam:RoleTemplateARN":                                                  "there are no role templates",
	"iam:RegisterSecurityKey":                                              "devices are virtual",
	"iam:FIDO-certification":                                               "devices are virtual",
	"iam:FIDO-FIPS-140-2-certification":                                    "devices are virtual",
	"iam:FIDO-FIPS-140-3-certification":                                    "devices are virtual",
	"s3:BypassGovernanceRetention *":                                       "it is asked with deletions and retentions, which have no headers of an upload",
	"s3:ListBucketMultipartUploads s3:AccessPointNetworkOrigin":            "only through an access point",
	"s3:ListBucketMultipartUploads s3:AccessPointTag/${TagKey}":            "only through an access point",
	"s3:ListBucketMultipartUploads s3:DataAccessPointAccount":              "only through an access point",
	"s3:ListBucketMultipartUploads s3:DataAccessPointArn":                  "only through an access point",
	"ssm:resourceTag/aws:ssmmessages:session-id":                           "only of a session that is there: the story engine_sessions",
	"ssm:resourceTag/aws:ssmmessages:target-id":                            "only of a session that is there: the story engine_sessions",
	"ec2:ModifyPrivateDnsNameOptions ec2:NewInstanceProfile":               "other names bring no profile",
	"ssm:DocumentCategories":                                               "no document has one",
	"ssm:AccessRequestId":                                                  "there is no just-in-time access",
}

// keysElsewhere are prefixes of keys that are not declared but found when a policy asks: tags by ResourceTags, and claims in the
// caller's session.
var keysElsewhere = []string{"aws:", "saml:", "accounts.google.com:", "graph.facebook.com:", "www.amazon.com:", "cognito-identity.amazonaws.com:"}

// TestEveryConditionKeyIsGiven: of the condition keys that AWS's service authorization reference has for an action on a
// type of resource, each is known when the action is asked for: the declaration of some example has it.
func TestEveryConditionKeyIsGiven(t *testing.T) {
	made := testCloud(t)
	createExamples(t, made)
	ids := createResources(t, made)
	wanted, had := map[string]bool{}, map[string]bool{} // "ACTION TYPE KEY"
	for _, service := range made.api.Coverage() {
		m := awsapi.ServiceNamed(service.Service)
		for _, name := range service.Implemented {
			r := &awsapi.Request{
				Time: time.Now(), Service: m, Operation: name, Region: "us-east-1", Header: http.Header{}, HTTP: exampleRequest(),
				Principal: awsapi.Principal{Type: awsapi.User, Account: "000000000000", ARN: "arn:aws:iam::000000000000:user/example", ID: "AIDAEXAMPLE", UserName: "example"},
			}
			declared, err := made.api.Declared(t.Context(), r, func(in any) { fillWhole(reflect.ValueOf(in).Elem(), ids) })
			if err != nil {
				t.Errorf("%s:%s: %v", service.Service, name, err)
			}
			for _, access := range declared {
				collectKeys(access, wanted, had)
			}
		}
	}
	rest := maps.Clone(keysNobodyHas)
	for _, entry := range slices.Sorted(maps.Keys(wanted)) {
		if had[entry] {
			continue
		}
		fields := strings.Fields(entry)
		action, key := fields[0], fields[2]
		known := false
		for _, name := range []string{key, action + " " + key, action + " *"} {
			known = known || keysNobodyHas[name] != ""
			delete(rest, name)
		}
		if known {
			continue
		}
		t.Errorf("%s: the key is not given", entry)
	}
	for entry := range rest {
		t.Errorf("%s is not missing", entry)
	}
}

// collectKeys notes the keys that AWS has for an access, and those that it has.
func collectKeys(access awsapi.Access, wanted, had map[string]bool) {
	action, ok := reference.Find(access.Action)
	if !ok {
		return
	}
	collect := func(typ string, keys []string) {
		for _, key := range keys {
			if slices.ContainsFunc(keysElsewhere, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) || strings.HasSuffix(strings.ToLower(key), "resourcetag/${tagkey}") {
				continue
			}
			prefix, _, _ := strings.Cut(strings.ReplaceAll(key, "<", "${"), "${")
			entry := access.Action + " " + typ + " " + key
			wanted[entry] = true
			for name := range access.Conditions {
				if strings.EqualFold(name, key) || prefix != key && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
					had[entry] = true
				}
			}
		}
	}
	collect("-", action.ConditionKeys)
	for _, resource := range action.Resources {
		for _, arn := range access.Resources {
			if resource.Is(arn) && arn != "*" && access.Conditions["ec2:CreateAction"] == nil { // what is tagged while it is made is not known yet
				collect(resource.Type, resource.ConditionKeys)
			}
		}
	}
}

func exampleRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://127.0.0.1/?X-Amz-Signature=x&X-Amz-Date=20260101T000000Z", nil)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	return r
}

// fillWhole is fillExample with ids of resources that are there, and with everything that has a simple type.
func fillWhole(value reflect.Value, ids map[string]string) {
	switch in := value.Addr().Interface().(type) {
	case *ec2.RunInstancesInput:
		*in = exampleLaunch()
		return
	case *ec2.RequestSpotInstancesInput:
		in.LaunchSpecification = &ec2types.RequestSpotLaunchSpecification{ImageId: aws.String(exampleImage), InstanceType: "t3.micro", KeyName: aws.String("example")}
		return
	}
	fillExample(value)
	for i := range value.NumField() {
		field, name := value.Field(i), value.Type().Field(i).Name
		if !value.Type().Field(i).IsExported() {
			continue
		}
		switch at := field.Addr().Interface().(type) {
		case **string:
			switch {
			case name == "ServiceSpecificCredentialId":
				*at = aws.String(ids["credential-"])
			case name == "ResourceId" && strings.HasSuffix(value.Type().PkgPath(), "/organizations"):
				*at = aws.String(ids["p-"])
			}
			if id := ids[prefixOf(aws.ToString(*at))]; id != "" {
				*at = aws.String(id)
			}
		case *[]string:
			for i, text := range *at {
				if id := ids[prefixOf(text)]; id != "" {
					(*at)[i] = id
				}
			}
		case **int32:
			*at = aws.Int32(1)
		case **bool:
			*at = aws.Bool(true)
		case **time.Time:
			*at = aws.Time(time.Now().Add(time.Hour))
		case **ec2types.AttributeBooleanValue:
			*at = &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}
		case **ec2types.IamInstanceProfileSpecification:
			*at = &ec2types.IamInstanceProfileSpecification{Name: aws.String("example")}
		case **s3types.CreateBucketConfiguration:
			*at = &s3types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}
		case **s3types.ObjectLockRetention:
			*at = &s3types.ObjectLockRetention{Mode: "GOVERNANCE", RetainUntilDate: aws.Time(time.Now().Add(time.Hour))}
		case **s3types.InventoryConfiguration:
			*at = &s3types.InventoryConfiguration{OptionalFields: []s3types.InventoryOptionalField{"Size"}}
		case **ec2types.AttributeValue:
			*at = &ec2types.AttributeValue{Value: aws.String("example")}
		default:
			values := field.MethodByName("Values")
			if field.Kind() == reflect.String && values.IsValid() {
				field.Set(values.Call(nil)[0].Index(0))
			}
			if field.Kind() == reflect.Slice && name == "InstanceCreditSpecifications" {
				field.Index(0).FieldByName("InstanceId").Set(reflect.ValueOf(aws.String(ids["i-"])))
			}
		}
	}
}

func prefixOf(id string) string {
	prefix, rest, found := strings.Cut(id, "-")
	if !found || rest != "0123456789abcdef0" {
		return ""
	}
	return prefix + "-"
}

// exampleImage is a public image, exampleLaunch a launch that says everything that policies can know of one.
var exampleImage string

func exampleLaunch() ec2.RunInstancesInput {
	return ec2.RunInstancesInput{
		ImageId: aws.String(exampleImage), InstanceType: "c5.large", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), KeyName: aws.String("example"),
		IamInstanceProfile: &ec2types.IamInstanceProfileSpecification{Name: aws.String("example")}, EbsOptimized: aws.Bool(true),
		Placement:         &ec2types.Placement{GroupName: aws.String("example")},
		MetadataOptions:   &ec2types.InstanceMetadataOptionsRequest{HttpTokens: "required", HttpEndpoint: "enabled", HttpPutResponseHopLimit: aws.Int32(1), InstanceMetadataTags: "enabled"},
		NetworkInterfaces: []ec2types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(true)}},
		LaunchTemplate:    &ec2types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("example")},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: "instance", Tags: []ec2types.Tag{{Key: aws.String("example"), Value: aws.String("example")}}}},
	}
}

// createResources makes one of each kind of resource of EC2, and what else condition keys are about. It answers ids by
// their prefixes.
func createResources(t *testing.T, made *cloud) map[string]string {
	t.Helper()
	name := aws.String("example")
	invoke[ssm.CreateDocumentOutput](t, made, &ssm.CreateDocumentInput{Name: aws.String("example"), Content: aws.String(
		`{"schemaVersion": "2.2", "mainSteps": [{"action": "aws:runShellScript", "name": "example", "inputs": {"runCommand": ["true"]}}]}`)})
	parameter := invoke[ssm.GetParameterOutput](t, made, &ssm.GetParameterInput{Name: aws.String("/aws/service/debian/release/12/latest/amd64")})
	exampleImage = aws.ToString(parameter.Parameter.Value)
	ids := map[string]string{"ami-": exampleImage}
	vpc := invoke[ec2.DescribeVpcsOutput](t, made, &ec2.DescribeVpcsInput{}).Vpcs[0].VpcId
	ids["vpc-"] = *vpc
	ids["subnet-"] = *invoke[ec2.DescribeSubnetsOutput](t, made, &ec2.DescribeSubnetsInput{}).Subnets[0].SubnetId
	ids["sg-"] = *invoke[ec2.DescribeSecurityGroupsOutput](t, made, &ec2.DescribeSecurityGroupsInput{}).SecurityGroups[0].GroupId
	ids["rtb-"] = *invoke[ec2.DescribeRouteTablesOutput](t, made, &ec2.DescribeRouteTablesInput{}).RouteTables[0].RouteTableId
	ids["acl-"] = *invoke[ec2.DescribeNetworkAclsOutput](t, made, &ec2.DescribeNetworkAclsInput{}).NetworkAcls[0].NetworkAclId
	ids["igw-"] = *invoke[ec2.DescribeInternetGatewaysOutput](t, made, &ec2.DescribeInternetGatewaysInput{}).InternetGateways[0].InternetGatewayId
	ids["eipalloc-"] = *invoke[ec2.AllocateAddressOutput](t, made, &ec2.AllocateAddressInput{}).AllocationId
	ids["eni-"] = *invoke[ec2.CreateNetworkInterfaceOutput](t, made, &ec2.CreateNetworkInterfaceInput{SubnetId: aws.String(ids["subnet-"])}).NetworkInterface.NetworkInterfaceId
	ids["nat-"] = *invoke[ec2.CreateNatGatewayOutput](t, made, &ec2.CreateNatGatewayInput{SubnetId: aws.String(ids["subnet-"]), AllocationId: aws.String(ids["eipalloc-"])}).NatGateway.NatGatewayId
	second := invoke[ec2.CreateVpcOutput](t, made, &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")}).Vpc.VpcId
	ids["pcx-"] = *invoke[ec2.CreateVpcPeeringConnectionOutput](t, made, &ec2.CreateVpcPeeringConnectionInput{VpcId: vpc, PeerVpcId: second}).VpcPeeringConnection.VpcPeeringConnectionId
	ids["vpce-"] = *invoke[ec2.CreateVpcEndpointOutput](t, made, &ec2.CreateVpcEndpointInput{VpcId: vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3")}).VpcEndpoint.VpcEndpointId
	ids["h-"] = invoke[ec2.AllocateHostsOutput](t, made, &ec2.AllocateHostsInput{InstanceType: aws.String("m5.large"), AvailabilityZone: aws.String("us-east-1a"), Quantity: aws.Int32(1)}).HostIds[0]
	ids["cr-"] = *invoke[ec2.CreateCapacityReservationOutput](t, made, &ec2.CreateCapacityReservationInput{
		InstanceType: aws.String("m5.large"), InstancePlatform: "Linux/UNIX", AvailabilityZone: aws.String("us-east-1a"), InstanceCount: aws.Int32(1),
	}).CapacityReservation.CapacityReservationId
	ids["dopt-"] = *invoke[ec2.DescribeDhcpOptionsOutput](t, made, &ec2.DescribeDhcpOptionsInput{}).DhcpOptions[0].DhcpOptionsId

	boundary := aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")
	ids["p-"] = *invoke[organizations.CreatePolicyOutput](t, made, &organizations.CreatePolicyInput{Name: name, Description: name, Type: "SERVICE_CONTROL_POLICY", Content: aws.String(
		`{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:CreateBucket", "Resource": "*"}}`)}).Policy.PolicySummary.Id
	invoke[awsiam.CreateUserOutput](t, made, &awsiam.CreateUserInput{UserName: name, PermissionsBoundary: boundary})
	credential := invoke[awsiam.CreateServiceSpecificCredentialOutput](t, made, &awsiam.CreateServiceSpecificCredentialInput{UserName: name, ServiceName: aws.String("codecommit.amazonaws.com")})
	ids["credential-"] = *credential.ServiceSpecificCredential.ServiceSpecificCredentialId

	invoke[ec2.CreateKeyPairOutput](t, made, &ec2.CreateKeyPairInput{KeyName: name})
	invoke[ec2.CreatePlacementGroupOutput](t, made, &ec2.CreatePlacementGroupInput{GroupName: name, Strategy: "spread"})
	invoke[awsiam.CreateRoleOutput](t, made, &awsiam.CreateRoleInput{RoleName: name, PermissionsBoundary: boundary, AssumeRolePolicyDocument: aws.String(
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}}`)})
	invoke[awsiam.CreateInstanceProfileOutput](t, made, &awsiam.CreateInstanceProfileInput{InstanceProfileName: name})
	invoke[awsiam.AddRoleToInstanceProfileOutput](t, made, &awsiam.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: name})
	template := invoke[ec2.CreateLaunchTemplateOutput](t, made, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "c5.large"}})
	ids["lt-"] = *template.LaunchTemplate.LaunchTemplateId
	launch := exampleLaunch()
	ids["i-"] = *invoke[ec2.RunInstancesOutput](t, made, &launch).Instances[0].InstanceId
	ids["vol-"] = *invoke[ec2.DescribeVolumesOutput](t, made, &ec2.DescribeVolumesInput{}).Volumes[0].VolumeId
	invoke[s3control.CreateAccessPointOutput](t, made, &s3control.CreateAccessPointInput{AccountId: aws.String("000000000000"), Name: name, Bucket: aws.String("example-bucket"),
		Tags: []controltypes.Tag{{Key: name, Value: name}}})
	invoke[s3.PutObjectOutput](t, made, &s3.PutObjectInput{Bucket: aws.String("example-bucket"), Key: name, Body: strings.NewReader("x"), Tagging: aws.String("example=example")})
	return ids
}
