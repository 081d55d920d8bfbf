package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// TestPoliciesCountAtOnce: a change of a policy that was acknowledged before a call begins is honoured by it, on disk,
// while others change the same account without pause and still others are decided on.
func TestPoliciesCountAtOnce(t *testing.T) {
	made, _ := diskCloud(t)
	wanted, err := answeringAccess(t.Context(), &ssm.GetParameterInput{Name: aws.String("/app/color")})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var others, changers sync.WaitGroup
	defer func() { close(done); others.Wait() }()
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				invoke[awsiam.CreateUserOutput](t, made, &awsiam.CreateUserInput{UserName: aws.String(fmt.Sprint("other-", i))})
			}
		}
	})
	for i := range 3 {
		name := aws.String(fmt.Sprint("changed-", i))
		invoke[awsiam.CreateUserOutput](t, made, &awsiam.CreateUserInput{UserName: name})
		key := invoke[awsiam.CreateAccessKeyOutput](t, made, &awsiam.CreateAccessKeyInput{UserName: name}).AccessKey
		decide := func() error {
			_, who, err := made.identities.Find(t.Context(), *key.AccessKeyId, "")
			if err != nil {
				return err
			}
			r := &awsapi.Request{Time: time.Now(), Service: meta.SSM, Operation: "GetParameter", Region: "us-east-1", Principal: who, Header: http.Header{}}
			return made.identities.Authorize(t.Context(), r, wanted)
		}
		changers.Go(func() {
			var denied *awsapi.Denied
			for n := range 60 {
				effect := []string{"Allow", "Deny"}[n%2]
				invoke[awsiam.PutUserPolicyOutput](t, made, &awsiam.PutUserPolicyInput{
					UserName: name, PolicyName: aws.String("p"),
					PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Action":"ssm:*","Resource":"*"}}`),
				})
				for range 3 {
					if err := decide(); (effect == "Deny") != errors.As(err, &denied) || effect == "Allow" && err != nil {
						t.Errorf("after %s was acknowledged: %v", effect, err)
						return
					}
				}
			}
			invoke[awsiam.UpdateAccessKeyOutput](t, made, &awsiam.UpdateAccessKeyInput{UserName: name, AccessKeyId: key.AccessKeyId, Status: "Inactive"})
			if err := decide(); !errors.Is(err, awsapi.ErrUnknownAccessKey) {
				t.Errorf("an inactive key: %v", err)
			}
		})
	}
	changers.Wait()
}
