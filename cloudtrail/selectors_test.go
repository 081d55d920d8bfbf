package cloudtrail

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/store"
)

// TestOldSnapshotsSelectNothing: a call that looks at a moment before a trail wanted data events, as a long listing does, is
// not what later calls are judged by.
func TestOldSnapshotsSelectNothing(t *testing.T) {
	s, _ := newService(t, nil)
	listing := &awsapi.Outcome{
		Request: &awsapi.Request{Service: meta.S3, Operation: "ListObjectsV2", Principal: awsapi.Principal{Account: testAccount}},
		Input:   &s3.ListObjectsV2Input{},
	}
	held, release := store.Hold(t.Context())
	defer release()
	if err := s.config.DB.View(held, func(store.Tx) error { return nil }); err != nil { // the moment is chosen
		t.Fatal(err)
	}
	err := s.config.DB.Update(t.Context(), func(tx store.Tx) error {
		return trails.In(tx, store.Scope{Account: testAccount}).Put(&trail{
			Name: "data", Logging: true, Selectors: []types.EventSelector{{DataResources: []types.DataResource{{}}}},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.selecting.forget(testAccount)
	if !s.selectsData(held, listing) || !s.selectsData(t.Context(), listing) {
		t.Error("data events are lost after a call that began before the trail")
	}

	// What was read before a change is not kept after it.
	_, _, mark := s.selecting.of(testAccount)
	s.selecting.forget(testAccount)
	s.selecting.keep(testAccount, nil, mark)
	if _, known, _ := s.selecting.of(testAccount); known {
		t.Error("what was read before a change is remembered")
	}
}
