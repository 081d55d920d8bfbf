package iam

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	_ "embed" // for the catalogue
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The catalogue of AWS's own policies, made by iam/gen. It is unpacked when the first call needs it.
//
//go:embed aws_policies.bin
var awsPolicyFile []byte

// awsCatalogue is the index of the file.
type awsCatalogue struct {
	policies []*managedPolicy
	// byARN holds places in policies.
	byARN map[string]int
	// blocks are compressed texts, perBlock in each.
	blocks   [][]byte
	perBlock int
}

var loadAWSPolicies = sync.OnceValue(func() *awsCatalogue {
	var index struct {
		Policies []struct {
			Name, Path       string
			Created, Updated int64
			Version          int
		}
		Blocks   []int
		PerBlock int
	}
	size := int(binary.BigEndian.Uint32(awsPolicyFile))
	if err := unpackJSON(awsPolicyFile[4:4+size], &index); err != nil {
		panic(err) // the file is a part of the program, and a test reads all of it
	}
	c := &awsCatalogue{byARN: make(map[string]int, len(index.Policies)), perBlock: index.PerBlock}
	rest := awsPolicyFile[4+size:]
	for _, length := range index.Blocks {
		c.blocks = append(c.blocks, rest[:length])
		rest = rest[length:]
	}
	for i, p := range index.Policies {
		policy := &managedPolicy{
			Name: p.Name, Path: p.Path, ID: awsPolicyID(p.Name), Default: p.Version, Last: p.Version, aws: true,
			Created: time.Unix(p.Created, 0).UTC(), Updated: time.Unix(p.Updated, 0).UTC(),
		}
		c.policies = append(c.policies, policy)
		c.byARN[policy.arn("")] = i
	}
	return c
})

func unpackJSON(packed []byte, into any) error {
	return json.NewDecoder(flate.NewReader(bytes.NewReader(packed))).Decode(into)
}

// awsPolicyID is ours: the public data does not have AWS's. It is the same in every installation.
func awsPolicyID(name string) string {
	hash := sha256.Sum256([]byte("policy/" + name))
	return prefixPolicy + base32.StdEncoding.EncodeToString(hash[:])[:17]
}

// awsPolicy answers nil for an ARN that the catalogue does not have. What it answers must not be changed.
func awsPolicy(policyARN string) *managedPolicy {
	c := loadAWSPolicies()
	if i, ok := c.byARN[policyARN]; ok {
		return c.policies[i]
	}
	return nil
}

// awsPolicies answers the catalogue, by name.
func awsPolicies() []*managedPolicy { return slices.Clone(loadAWSPolicies().policies) }

func awsPolicyText(p *managedPolicy) (document, error) {
	c := loadAWSPolicies()
	i, ok := c.byARN[p.arn("")]
	if !ok {
		return "", fmt.Errorf("the catalogue has no %s", strings.TrimPrefix(p.Path, "/")+p.Name)
	}
	var texts []document
	if err := unpackJSON(c.blocks[i/c.perBlock], &texts); err != nil {
		return "", err
	}
	return texts[i%c.perBlock], nil
}
