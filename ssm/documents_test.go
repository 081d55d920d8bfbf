package ssm_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

const script = `{"schemaVersion":"2.2","description":"one","mainSteps":[{"action":"aws:runShellScript","name":"one","inputs":{"runCommand":["true"]}}]}`

func (w *world) document(t *testing.T, name, content string) {
	t.Helper()
	if _, err := w.CreateDocument(t.Context(), &api.CreateDocumentInput{Name: &name, Content: &content, DocumentType: types.DocumentTypeCommand}); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentNames: what IAM is asked for is the document that is used, and what is no ARN of AWS's is nobody's.
func TestDocumentNames(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.document(t, "Secret", script)
	const own, ours = "arn:aws:ssm:us-east-1:111122223333:document/Secret", "arn:aws:ssm:us-east-1::document/AWS-RunShellScript"
	for name, want := range map[string]string{"Secret": own, own: own, "AWS-RunShellScript": ours, ours: ours} {
		if _, err := w.GetDocument(ctx, &api.GetDocumentInput{Name: &name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(w.gate.wanted) != 1 || len(w.gate.wanted[0].Resources) != 1 || w.gate.wanted[0].Resources[0] != want {
			t.Errorf("%s asks for %v", name, w.gate.wanted)
		}
	}
	for _, name := range []string{
		"Dev:aws:ssm:us-east-1:111122223333:document/Secret",
		"arn:x:ssm:us-east-1:111122223333:document/Secret",
		"arn:aws:ec2:us-east-1:111122223333:document/Secret",
		"arn:aws:ssm:eu-west-1:111122223333:document/Secret",
		"arn:aws:ssm:us-east-1:1111:document/Secret",
		"arn:aws:ssm:us-east-1::document/Secret",
		"arn:aws:ssm:us-east-1:111122223333:parameter/Secret",
		"arn:aws:ssm:us-east-1:111122223333:document/Secret:1",
		"Secret:1",
	} {
		_, err := w.GetDocument(ctx, &api.GetDocumentInput{Name: &name})
		wantCode(t, err, "InvalidDocument")
		_, err = w.SendCommand(ctx, &api.SendCommandInput{DocumentName: &name, InstanceIds: []string{"i-0123456789abcdef0"}})
		wantCode(t, err, "InvalidDocument")
	}
	_, err := w.CreateDocument(ctx, &api.CreateDocumentInput{Name: aws.String("MiniAWS-StartSSH"), Content: aws.String(script)})
	wantCode(t, err, "ValidationException")
}
