package main

import (
	"slices"
	"testing"

	"miniaws/backend"
)

// TestNamesInside: a VPC's resolver knows what the DNS server on the host knows, at the address that the API has there.
func TestNamesInside(t *testing.T) {
	resolve := namesInside("mini-aws.internal", "us-east-1")
	for name, want := range map[string]bool{
		"api.mini-aws.internal.": true, "bucket.api.mini-aws.internal.": true, "s3.mini-aws.internal.": true,
		"my.bucket.s3.mini-aws.internal.": true, "bucket.s3.eu-west-1.mini-aws.internal.": true, "S3.us-east-1.mini-aws.internal.": true,
		"site.s3-website.mini-aws.internal.": true, "site.s3-website-us-east-1.mini-aws.internal.": true, "000000000000.s3-control.us-east-1.mini-aws.internal.": true,
		"p-000000000000.s3-accesspoint.us-east-1.mini-aws.internal.": true,
		"bucket.mini-aws.internal.":                                  false, "s3.nowhere.mini-aws.internal.": false, "api.example.com.": false,
	} {
		records, exists, err := resolve(t.Context(), "vpc-1", name, "A")
		if err != nil || exists != want || (len(records) == 1) != want {
			t.Errorf("%s: %q, %v, %v", name, records, exists, err)
		}
	}
	if records, _, _ := resolve(t.Context(), "vpc-1", "api.mini-aws.internal.", "A"); !slices.Equal(records, []string{"api.mini-aws.internal.\t60\tIN\tA\t" + backend.APIAddress.String()}) {
		t.Errorf("%q", records)
	}
	for _, name := range []string{"api", "ns", "us-east-1"} {
		if records, exists, err := resolve(t.Context(), "vpc-1", name+".mini-aws.internal.", "AAAA"); err != nil || !exists || len(records) != 0 {
			t.Errorf("%s: %q, %v, %v", name, records, exists, err)
		}
	}
}
