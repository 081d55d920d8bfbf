package main

import "testing"

func TestAPINames(t *testing.T) {
	for name, want := range map[string]bool{
		"api.mini-aws.internal.": true, "bucket.api.mini-aws.internal.": true, "s3.mini-aws.internal.": true,
		"my.bucket.s3.mini-aws.internal.": true, "bucket.s3.eu-west-1.mini-aws.internal.": true, "S3.us-east-1.mini-aws.internal.": true,
		"bucket.mini-aws.internal.": false, "mini-aws.internal.": false, "api.example.com.": false,
	} {
		records, exists := apiNames("mini-aws.internal", name, "A")
		if exists != want || (len(records) == 1) != want {
			t.Errorf("%s: %q, %v", name, records, exists)
		}
	}
	if records, exists := apiNames("mini-aws.internal", "api.mini-aws.internal.", "AAAA"); !exists || len(records) != 0 {
		t.Errorf("AAAA: %q, %v", records, exists)
	}
}
