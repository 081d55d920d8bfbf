package awsapi

// PassRole is what handing a role to a service needs, beside the action itself: service is its name, such as
// ec2.amazonaws.com. Add it to the accesses of every operation that takes a role or an instance profile.
// AWS: "Granting a user permissions to pass a role to an AWS service".
func PassRole(roleARN, service string) Access {
	return Access{Action: "iam:PassRole", Resources: []string{roleARN}, Conditions: map[string][]string{"iam:PassedToService": {service}}}
}

// WithTags answers the access with the condition keys of tags that the request brings: aws:RequestTag and aws:TagKeys.
// AWS: "AWS global condition context keys".
func (a Access) WithTags(tags map[string]string) Access {
	conditions := make(map[string][]string, len(a.Conditions)+len(tags)+1)
	for key, values := range a.Conditions {
		conditions[key] = values
	}
	for key, value := range tags {
		conditions["aws:RequestTag/"+key] = []string{value}
	}
	return a.with(conditions).WithTagKeys(keysOf(tags)...)
}

// WithTagKeys is WithTags for operations that name only keys, such as those that remove tags.
func (a Access) WithTagKeys(keys ...string) Access {
	if len(keys) == 0 {
		return a
	}
	conditions := make(map[string][]string, len(a.Conditions)+1)
	for key, values := range a.Conditions {
		conditions[key] = values
	}
	conditions["aws:TagKeys"] = keys
	return a.with(conditions)
}

func (a Access) with(conditions map[string][]string) Access {
	a.Conditions = conditions
	return a
}

func keysOf(tags map[string]string) []string {
	keys := make([]string, 0, len(tags))
	for key := range tags {
		keys = append(keys, key)
	}
	return keys
}
