package ec2

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestMalformedDHCPOptions: only what begins like an id is malformed.
func TestMalformedDHCPOptions(t *testing.T) {
	_, client, _ := newCloud(t)
	for id, code := range map[string]string{"does-not-exist": "InvalidDhcpOptionID.NotFound", "dopt-odd": "InvalidDhcpOptionsId.Malformed", "dopt-0123456789abcdef0": "InvalidDhcpOptionID.NotFound"} {
		_, err := client.DescribeDhcpOptions(t.Context(), &ec2.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{id}})
		wantCode(t, err, code)
	}
}
