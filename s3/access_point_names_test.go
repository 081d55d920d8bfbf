package s3

import (
	"testing"

	"miniaws/backend/store"
)

// TestAccessPointsAreFound: an ARN names its access point, whatever the name and the key behind it end in; whoever writes an
// object chooses its key, and must not get around the access point's policy by that.
func TestAccessPointsAreFound(t *testing.T) {
	db := store.OpenMemory(store.Options{})
	if err := store.Migrate(t.Context(), db, accessPoints, buckets); err != nil {
		t.Fatal(err)
	}
	const account, region = "111122223333", "us-east-1"
	err := db.Update(t.Context(), func(tx store.Tx) error {
		for _, name := range []string{"red", "logs-444455556666", "x-s3alias"} {
			if err := accessPoints.In(tx, store.Scope{}).Insert(&accessPoint{Account: account, Region: region, Name: name, Alias: name + "-abc" + aliasSuffix, Bucket: "b"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	red, logs := accessPointARN(account, region, "red"), accessPointARN(account, region, "logs-444455556666")
	for name, want := range map[string]string{
		red: "red", red + "/object/log": "red", red + "/object/log-202611261030": "red", red + "/object/x-s3alias": "red",
		logs: "logs-444455556666", logs + "/object/k": "logs-444455556666", accessPointARN(account, region, "x-s3alias"): "x-s3alias",
		"red-abc-s3alias": "red", "red-" + account: "red", "logs-444455556666-" + account: "logs-444455556666",
		accessPointARN(account, region, "blue") + "/object/red-" + account: "", "red": "", "arn:aws:s3:::red": "",
	} {
		err := db.View(t.Context(), func(tx store.Tx) error {
			p, err := findAccessPoint(tx, name)
			if got := p; err == nil && (got == nil) != (want == "") || got != nil && got.Name != want {
				t.Errorf("%s is %v", name, got)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
