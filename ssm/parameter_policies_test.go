package ssm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/reconcile"
)

func expiration(at time.Time) string {
	return fmt.Sprintf(`{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"%s"}}`, at.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// TestExpiration: a parameter is deleted when its newest version says, and other versions' times do not count.
func TestExpiration(t *testing.T) {
	w := newWorld(t)
	// The clock is set, and a machine so busy that a transaction takes too long must not make the loop wait for minutes.
	loop := reconcile.New(w.db, reconcile.Options{Interval: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond})
	w.service.Reconcile(loop)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	put := func(name, policies string, more func(*api.PutParameterInput)) {
		t.Helper()
		in := api.PutParameterInput{Name: &name, Value: aws.String("v"), Policies: &policies, Tier: types.ParameterTierIntelligentTiering}
		if more != nil {
			more(&in)
		}
		w.put(t, in)
	}
	overwrite := func(in *api.PutParameterInput) { in.Overwrite = aws.Bool(true) }
	soon := expiration(time.Now().Add(time.Hour))
	put("goes", "["+soon+"]", nil)
	put("goes-later", "["+expiration(time.Now().Add(48*time.Hour))+"]", nil)
	put("goes-later", "["+soon+"]", overwrite)
	put("preserved", "["+soon+"]", nil)
	put("preserved", "", func(in *api.PutParameterInput) { overwrite(in); in.Policies = nil })
	put("freed", "["+soon+"]", nil)
	put("freed", "[{}]", overwrite)
	put("prolonged", "["+soon+"]", nil)
	put("prolonged", "["+expiration(time.Now().Add(24*time.Hour))+"]", overwrite)
	shown, err := w.DescribeParameters(t.Context(), &api.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{"prolonged"}}}})
	if err != nil || len(shown.Parameters) != 1 || shown.Parameters[0].Tier != types.ParameterTierAdvanced {
		t.Fatalf("%+v, %v", shown, err)
	}
	if p := shown.Parameters[0].Policies; len(p) != 1 || *p[0].PolicyType != "Expiration" || *p[0].PolicyStatus != "Pending" || !strings.Contains(*p[0].PolicyText, `"Timestamp"`) {
		t.Errorf("%+v", p)
	}
	gone := func(name string) {
		t.Helper()
		for { // how long it takes is for the limit of all tests to say
			_, err := w.GetParameter(t.Context(), &api.GetParameterInput{Name: &name})
			var gone *types.ParameterNotFound
			if errors.As(err, &gone) {
				return
			}
			if err != nil {
				t.Fatal(name, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	w.ahead.Store(int64(2 * time.Hour))
	for _, name := range []string{"goes", "goes-later", "preserved"} {
		gone(name)
		if _, err := w.GetParameterHistory(t.Context(), &api.GetParameterHistoryInput{Name: &name}); err == nil {
			t.Errorf("%s left its history", name)
		}
	}
	for _, name := range []string{"freed", "prolonged"} {
		if _, err := w.GetParameter(t.Context(), &api.GetParameterInput{Name: &name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Who came too early came again.
	w.ahead.Store(int64(25 * time.Hour))
	gone("prolonged")
	if _, err := w.GetParameter(t.Context(), &api.GetParameterInput{Name: aws.String("freed")}); err != nil {
		t.Error(err)
	}
}

// TestRefusedPolicies: what is no policy, and what nothing here would do.
func TestRefusedPolicies(t *testing.T) {
	w := newWorld(t)
	later := expiration(time.Now().Add(time.Hour))
	for policies, code := range map[string]string{
		"{}":                                    "InvalidPolicyAttributeException",
		`["Expiration"]`:                        "InvalidPolicyAttributeException",
		"[" + later + "," + later + "]":         "IncompatiblePolicyException",
		"[" + strings.Repeat("{},", 10) + "{}]": "PoliciesLimitExceededException",
		"[" + expiration(time.Now().Add(-time.Hour)) + "]":                                               "InvalidPolicyAttributeException",
		`[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"tomorrow"}}]`:                  "InvalidPolicyAttributeException",
		`[{"Type":"Expiration","Version":"2.0","Attributes":{"Timestamp":"2199-01-01T00:00:00.000Z"}}]`:  "InvalidPolicyAttributeException",
		`[{"Type":"Rotation","Version":"1.0","Attributes":{}}]`:                                          "InvalidPolicyTypeException",
		`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}]`:    "NotImplemented",
		`[{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"30","Unit":"Days"}}]`: "NotImplemented",
	} {
		_, err := w.PutParameter(t.Context(), &api.PutParameterInput{Name: aws.String("p"), Value: aws.String("v"), Type: types.ParameterTypeString, Tier: types.ParameterTierAdvanced, Policies: &policies})
		wantCode(t, err, code)
	}
	_, err := w.PutParameter(t.Context(), &api.PutParameterInput{Name: aws.String("p"), Value: aws.String("v"), Type: types.ParameterTypeString, Policies: aws.String("[" + later + "]")})
	wantCode(t, err, "ValidationException")
	if _, err := w.GetParameter(t.Context(), &api.GetParameterInput{Name: aws.String("p")}); err == nil {
		t.Error("something was made")
	}
}
