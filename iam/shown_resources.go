package iam

// listed are what IAM says that its listings are about.
var listed = map[string]string{
	"iam:ListUsers": "user/", "iam:ListRoles": "role/", "iam:ListGroups": "group/", "iam:ListInstanceProfiles": "instance-profile/",
}

// shownResource is how IAM names the resource in a denial: what is there by its name, what is to be made and roles that are
// handed over by their ARN, policies by "policy" and their ARN, and nothing in particular by a star.
//
// AWS says so in denials that people show: aws/aws-cdk issue 27067 (role NAME), aws-samples/rancher-on-aws-workshop issue 28
// (user NAME), ministryofjustice/modernisation-platform pull request 9946 (policy ARN), openshift/installer issue 1073 (the
// ARN of a role that is to be made).
func shownResource(operation, action, resource, account string) string {
	if rest, ok := listed[action]; ok {
		return arn(account, rest)
	}
	_, kind, rest, ok := arnParts(resource)
	switch {
	case action == "iam:ListPolicies":
		return "policy path /"
	case !ok || action == "iam:PassRole":
		return resource
	case kind == "policy":
		if operation == "CreatePolicy" {
			return "policy " + lastName(rest)
		}
		return "policy " + resource
	case tagsCreated["iam:"+operation] != "" || operation == "CreateGroup" || operation == "CreateServiceLinkedRole":
		return resource
	}
	switch kind {
	case users.word, roles.word, groups.word:
		return kind + " " + lastName(rest)
	case "instance-profile":
		return "instance profile " + lastName(rest)
	}
	return resource
}
