package policy

import "strings"

func (p *parser) resources(n *node, s *Statement) error {
	list := n.member("Resource")
	if list == nil {
		list, s.notResources = n.member("NotResource"), true
	}
	if p.document.kind == Trust {
		switch {
		case list != nil && s.notResources:
			return &Malformed{"AssumeRole policy must not contain resources."} // Seen: versity/versitygw
		case list != nil:
			return &Malformed{"Has prohibited field Resource"} // Seen: devopsacademyau/academy pull request 1368
		}
		s.notResources = false
		return nil
	}
	if list == nil {
		if p.document.kind == Resource {
			return missingField("Resource")
		}
		// Seen: terraform-aws-modules/terraform-aws-iam issue 603
		return &Malformed{"Policy statement must contain resources."}
	}
	texts, _ := list.strings()
	if len(texts) == 0 {
		return &Malformed{"Policy statement must contain resources."}
	}
	for _, text := range texts {
		if err := checkResource(text); err != nil && !p.stored {
			return err
		}
		s.resources = append(s.resources, compileARN(text, p.document.version))
	}
	return nil
}

// ownPartition is the one that all accounts here are in: policies of an account name resources of its partition.
// AWS: "Amazon Resource Names (ARNs)".
const ownPartition = "aws"

func checkResource(text string) error {
	if text == "*" {
		return nil
	}
	rest, found := strings.CutPrefix(text, "arn:")
	if !found {
		// Seen: trussworks/terraform-aws-s3-anti-virus issue 21
		return malformed(`Resource %s must be in ARN format or "*".`, text)
	}
	partition, rest, _ := strings.Cut(rest, ":")
	if !strings.ContainsAny(partition, "*?") && partition != ownPartition {
		// Seen: cloudera-labs/cloudera.exe issue 112
		padded := text
		for range 5 - strings.Count(text, ":") {
			padded += ":*"
		}
		return malformed(`Partition "%s" is not valid for resource "%s".`, partition, padded)
	}
	vendor, _, _ := strings.Cut(rest, ":")
	if !strings.Contains(vendor, "${") && (vendor == "" || strings.ContainsAny(vendor, "*?")) {
		// Seen: PutRolePolicy in public notes
		return &Malformed{"Resource vendor must be fully qualified and cannot contain regexes."}
	}
	a := make([]string, 0, 6)
	for field := range splitFields(text, Version2012) {
		a = append(a, field)
	}
	for len(a) < 6 {
		a = append(a, "*") // AWS: missing fields are completed with wildcards
	}
	if account := a[4]; account != "" && account != "aws" && !isAccount(account) && !strings.ContainsAny(account, "*?$") {
		return errLegacy
	}
	if vendor == "s3" && !strings.ContainsAny(a[5], ":/*") || vendor == "route53" {
		if err := checkPlaceless(text, a[3], a[4]); err != nil {
			return err
		}
	}
	if vendor == "iam" {
		return checkIAMResource(text, a[3], a[5])
	}
	return nil
}

// checkPlaceless refuses a region and an account in the ARN of what has neither.
// Seen: PutRolePolicy for a hosted zone, in public notes.
func checkPlaceless(text, region, account string) error {
	switch {
	case region != "" && !strings.ContainsAny(region, "*?$"):
		return malformed("Resource %s can not contain region information.", text)
	case account != "" && !strings.ContainsAny(account, "*?$"):
		return malformed("Resource %s cannot contain an account id.", text)
	}
	return nil
}

// iamPaths are what the resource of IAM's own ARNs begins with.
var iamPaths = []string{"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/",
	"policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"}

func checkIAMResource(text, region, path string) error {
	if region != "" && region != "*" {
		// Seen: cloud-gov/terraform-provision pull request 1838
		return malformed("IAM resource %s cannot contain region information.", text)
	}
	// Only a whole wildcard stands for any of the beginnings.
	known := path == "*" || path == "root" || strings.HasPrefix(path, "${")
	for _, begin := range iamPaths {
		known = known || strings.HasPrefix(path, begin)
	}
	if !known {
		// Seen: PutRolePolicy and CreatePolicyVersion in 2026, in public notes, for "*/NAME" and "*NAME*", too
		return malformed(`IAM resource path must either be "*", root, or start with %s.`, strings.Join(iamPaths, ", "))
	}
	return nil
}
