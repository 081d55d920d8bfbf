package iam

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/lazyregexp"
)

// tag of a resource. Keys keep their case and are compared without it.
type tag struct{ Key, Value string }

// tagList keeps the order in which keys came first.
type tagList []tag

// AWS: "IAM and STS quotas".
const maxTags = 50

// AWS: "Rules for tagging" in the IAM user guide.
var tagPattern = lazyregexp.New(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// tagTexts is what the pattern is made of.
const tagTexts = `[\p{L}\p{Z}\p{N}_.:/=+\-@]`

// checkTagTexts refuses characters that tags cannot have.
// AWS: the patterns of "Tag" in the IAM and STS API references; the words are as clients report them.
func checkTagTexts[T any](tags []T, of func(T) (key, value string)) error {
	for i, t := range tags {
		key, value := of(t)
		if !tagPattern.MatchString(key) {
			return errPattern(key, fmt.Sprintf("tags.%d.member.key", i+1), tagTexts+"+")
		}
		if !tagPattern.MatchString(value) {
			return errPattern(value, fmt.Sprintf("tags.%d.member.value", i+1), tagTexts+"*")
		}
	}
	return nil
}

func errPattern(value, at, pattern string) error {
	return errValidation("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", value, at, pattern)
}

// with answers the list with the given tags added or replaced.
func (l tagList) with(tags []types.Tag) (tagList, error) {
	list := append(tagList(nil), l...)
	seen := map[string]bool{}
	if err := checkTagTexts(tags, func(t types.Tag) (string, string) { return aws.ToString(t.Key), aws.ToString(t.Value) }); err != nil {
		return nil, err
	}
	for _, t := range tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case seen[folded(key)]:
			return nil, errInvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case strings.HasPrefix(folded(key), "aws:"):
			return nil, errInvalidInput("Tag keys starting with 'aws:' are reserved for system use.")
		}
		seen[folded(key)] = true
		if i := list.index(key); i >= 0 {
			list[i] = tag{key, value}
		} else {
			list = append(list, tag{key, value})
		}
	}
	if len(list) > maxTags {
		return nil, errLimitExceeded("The number of tags has reached the maximum limit.")
	}
	return list, nil
}

// without answers the list without the keys; absent ones are no error.
func (l tagList) without(keys []string) (tagList, error) {
	for _, key := range keys {
		if !tagPattern.MatchString(key) {
			return nil, errValidation("1 validation error detected: Value '[%s]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: %s+]", strings.Join(keys, ", "), tagTexts)
		}
	}
	var list tagList
	for _, t := range l {
		if !containsFold(keys, t.Key) {
			list = append(list, t)
		}
	}
	return list, nil
}

func (l tagList) index(key string) int {
	for i, t := range l {
		if strings.EqualFold(t.Key, key) {
			return i
		}
	}
	return -1
}

func (l tagList) values() map[string]string {
	values := make(map[string]string, len(l))
	for _, t := range l {
		values[t.Key] = t.Value
	}
	return values
}

func (l tagList) toAPI() []types.Tag {
	var list []types.Tag
	for _, t := range l {
		list = append(list, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return list
}

func containsFold(list []string, want string) bool {
	for _, s := range list {
		if strings.EqualFold(s, want) {
			return true
		}
	}
	return false
}
