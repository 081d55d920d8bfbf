package awsapi

import "testing"

// AWS: "Virtual hosting of general purpose buckets"; "Accessing buckets through access points".
func TestHostBucket(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1:4566": "", "127.0.0.1": "", "[::1]:4566": "", "localhost:4566": "", "1.2.3": "", "": "", "s3.cloud.test": "",
		"b.s3.cloud.test": "b", "a.b.s3.us-east-1.cloud.test:4566": "a.b", "b.api.cloud.test": "b", "b.s3.amazonaws.com": "b",
		"B.localhost:4566": "b", "b.s3.localhost": "b",
		"point-123456789012.s3-accesspoint.us-east-1.cloud.test": "arn:aws:s3:us-east-1:123456789012:accesspoint/point",
		"a.b.s3.dualstack.eu-west-1.amazonaws.com":               "a.b", "b.s3-fips.us-east-1.amazonaws.com": "b", "b.s3-fips.dualstack.us-east-1.cloud.test": "b",
		"s3.dualstack.us-east-1.amazonaws.com": "", "dualstack.s3.us-east-1.cloud.test": "dualstack", "x.dualstack.s3.cloud.test": "x.dualstack", "a-fips.s3.cloud.test": "a-fips",
		"point-123456789012.s3-accesspoint.dualstack.us-east-1.cloud.test":      "arn:aws:s3:us-east-1:123456789012:accesspoint/point",
		"point-123456789012.s3-accesspoint-fips.dualstack.us-east-1.cloud.test": "arn:aws:s3:us-east-1:123456789012:accesspoint/point",
		"assets.s3-fips.s3.cloud.test":                                          "assets.s3-fips", "x.s3.dualstack.s3.cloud.test": "x.s3.dualstack", "s3-fips.foo.localhost": "s3-fips.foo",
		"b.127.0.0.1:4566": "b", "a.b1.127.0.0.1": "a.b1", "point-123456789012.10.1.2.3": "point-123456789012", "b.1.2.3.256": "", "b.c.d.e.1": "",
	} {
		if got := hostBucket(host, "cloud.test"); got != want {
			t.Errorf("%q names %q, want %q", host, got, want)
		}
	}
}
