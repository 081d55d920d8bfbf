package cloudtrail

import (
	"reflect"
	"slices"
	"strings"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/lazyregexp"
)

// arnTypes are the types of resources by service and first part of an ARN's resource.
var arnTypes = map[string]string{
	"iam:user": "AWS::IAM::User", "iam:group": "AWS::IAM::Group", "iam:role": "AWS::IAM::Role", "iam:policy": "AWS::IAM::Policy",
	"iam:instance-profile": "AWS::IAM::InstanceProfile", "iam:mfa": "AWS::IAM::MfaDevice", "iam:saml-provider": "AWS::IAM::SAMLProvider",
	"iam:oidc-provider": "AWS::IAM::OIDCProvider", "iam:server-certificate": "AWS::IAM::ServerCertificate",
	"ec2:instance": "AWS::EC2::Instance", "ec2:vpc": "AWS::EC2::VPC", "ec2:subnet": "AWS::EC2::Subnet", "ec2:security-group": "AWS::EC2::SecurityGroup",
	"ec2:volume": "AWS::EC2::Volume", "ec2:snapshot": "AWS::EC2::Snapshot", "ec2:image": "AWS::EC2::Ami", "ec2:key-pair": "AWS::EC2::KeyPair",
	"ec2:internet-gateway": "AWS::EC2::InternetGateway", "ec2:route-table": "AWS::EC2::RouteTable", "ec2:network-interface": "AWS::EC2::NetworkInterface",
	"ec2:network-acl": "AWS::EC2::NetworkAcl", "ec2:natgateway": "AWS::EC2::NatGateway", "ec2:elastic-ip": "AWS::EC2::EIP",
	"ec2:vpc-endpoint": "AWS::EC2::VPCEndpoint", "ec2:launch-template": "AWS::EC2::LaunchTemplate",
	"ssm:parameter": "AWS::SSM::Parameter", "cloudtrail:trail": "AWS::CloudTrail::Trail",
	"organizations:account": "AWS::Organizations::Account", "organizations:policy": "AWS::Organizations::Policy",
}

// resourceOf answers the type and name of what an ARN names.
func resourceOf(arn string) (resource, bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[5] == "" || strings.ContainsAny(arn, "*?") {
		return resource{}, false
	}
	service, rest := parts[2], parts[5]
	if service == "s3" {
		bucket, key, object := strings.Cut(rest, "/")
		if object && key != "" {
			return resource{"AWS::S3::Object", rest}, true
		}
		return resource{"AWS::S3::Bucket", bucket}, true
	}
	kind, name, found := strings.Cut(rest, "/")
	if !found {
		kind, name, found = strings.Cut(rest, ":")
	}
	typed := arnTypes[service+":"+kind]
	if !found || typed == "" {
		return resource{}, false
	}
	if service == "iam" || service == "organizations" {
		name = name[strings.LastIndexByte(name, '/')+1:] // paths are not part of names
	}
	return resource{typed, name}, true
}

func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// idTypes are the types of resources by the beginning of their ids.
var idTypes = map[string]string{
	"i": "AWS::EC2::Instance", "vpc": "AWS::EC2::VPC", "subnet": "AWS::EC2::Subnet", "sg": "AWS::EC2::SecurityGroup", "vol": "AWS::EC2::Volume",
	"snap": "AWS::EC2::Snapshot", "ami": "AWS::EC2::Ami", "igw": "AWS::EC2::InternetGateway", "rtb": "AWS::EC2::RouteTable",
	"eni": "AWS::EC2::NetworkInterface", "acl": "AWS::EC2::NetworkAcl", "nat": "AWS::EC2::NatGateway", "eipalloc": "AWS::EC2::EIP",
	"vpce": "AWS::EC2::VPCEndpoint", "lt": "AWS::EC2::LaunchTemplate", "key": "AWS::EC2::KeyPair", "pcx": "AWS::EC2::VPCPeeringConnection",
}

var (
	idPattern  = lazyregexp.New(`^([a-z]{1,12})-[0-9a-f]{8,17}$`)
	keyPattern = lazyregexp.New(`^(AKIA|ASIA)[A-Z2-7]{12,16}$`)
)

const maxResources = 20

// resourcesOf answers what the call was about: what it needed to be allowed on, and what a write answered with.
func resourcesOf(o *awsapi.Outcome, readOnly bool) []resource {
	var list []resource
	add := func(r resource) {
		if len(list) < maxResources && !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	for _, a := range o.Accesses {
		for _, arn := range a.Resources {
			if r, ok := resourceOf(arn); ok {
				add(r)
			}
		}
	}
	if o.Err == nil && !readOnly && (o.Service == meta.EC2 || o.Service == meta.IAM) {
		eachText(reflect.ValueOf(o.Output), 0, func(text string) {
			if m := idPattern.FindStringSubmatch(text); m != nil && idTypes[m[1]] != "" {
				add(resource{idTypes[m[1]], text})
			} else if keyPattern.MatchString(text) {
				add(resource{"AWS::IAM::AccessKey", text})
			}
		})
	}
	return list
}

// eachText calls fn with the texts of an output, as far as it is not deep.
func eachText(v reflect.Value, depth int, fn func(string)) {
	if depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachText(v.Elem(), depth, fn)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "ResultMetadata" {
				eachText(v.Field(i), depth+1, fn)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range min(v.Len(), 50) {
				eachText(v.Index(i), depth+1, fn)
			}
		}
	case reflect.String:
		fn(v.String())
	}
}
