package ssm_test

import (
	"strings"
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

func (w *world) update(t *testing.T, name, content string) {
	t.Helper()
	if _, err := w.UpdateDocument(t.Context(), &api.UpdateDocumentInput{Name: &name, Content: &content, DocumentVersion: aws.String("$LATEST")}); err != nil {
		t.Fatal(err)
	}
}

// TestSharedVersion: who has a document shared uses the versions that were shared, and sees no others.
func TestSharedVersion(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.document(t, "shared", script)
	for _, said := range []string{"two", "three"} {
		w.update(t, "shared", strings.Replace(script, `"one"`, `"`+said+`"`, 1))
	}
	if _, err := w.UpdateDocumentDefaultVersion(ctx, &api.UpdateDocumentDefaultVersionInput{Name: aws.String("shared"), DocumentVersion: aws.String("2")}); err != nil {
		t.Fatal(err)
	}
	arn := aws.String("arn:aws:ssm:us-east-1:111122223333:document/shared")
	for grant, want := range map[string]string{"$DEFAULT": "2", "$LATEST": "3", "$ALL": "3 2 1"} {
		w.gate.account = ""
		if _, err := w.ModifyDocumentPermission(ctx, &api.ModifyDocumentPermissionInput{
			Name: aws.String("shared"), PermissionType: types.DocumentPermissionTypeShare, AccountIdsToAdd: []string{"444455556666"}, SharedDocumentVersion: &grant,
		}); err != nil {
			t.Fatal(err)
		}
		w.gate.account = "444455556666"
		for _, number := range []string{"1", "2", "3"} {
			_, err := w.GetDocument(ctx, &api.GetDocumentInput{Name: arn, DocumentVersion: &number})
			_, failure := w.DescribeDocument(ctx, &api.DescribeDocumentInput{Name: arn, DocumentVersion: &number})
			_, sent := w.SendCommand(ctx, &api.SendCommandInput{DocumentName: arn, DocumentVersion: &number, InstanceIds: []string{"i-0123456789abcdef0"}})
			if strings.Contains(want, number) {
				if err != nil || failure != nil {
					t.Errorf("%s, version %s: %v, %v", grant, number, err, failure)
				}
				wantCode(t, sent, "InvalidInstanceId")
				continue
			}
			wantCode(t, err, "InvalidDocumentVersion")
			wantCode(t, failure, "InvalidDocumentVersion")
			wantCode(t, sent, "InvalidDocumentVersion")
		}
		list, err := w.ListDocumentVersions(ctx, &api.ListDocumentVersionsInput{Name: arn})
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, v := range list.DocumentVersions {
			have = append(have, *v.DocumentVersion)
		}
		if got := strings.Join(have, " "); got != want {
			t.Errorf("%s lists %s, want %s", grant, got, want)
		}
	}
}

// TestDeleteLatestVersion: the one before it is the latest then, and its number is not used again.
func TestDeleteLatestVersion(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.document(t, "doc", script)
	w.update(t, "doc", strings.Replace(script, `"one"`, `"two"`, 1))
	w.update(t, "doc", strings.Replace(script, `"one"`, `"three"`, 1))
	for _, number := range []string{"2", "3"} {
		if _, err := w.DeleteDocument(ctx, &api.DeleteDocumentInput{Name: aws.String("doc"), DocumentVersion: &number}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := w.DescribeDocument(ctx, &api.DescribeDocumentInput{Name: aws.String("doc"), DocumentVersion: aws.String("$LATEST")})
	if err != nil || *out.Document.DocumentVersion != "1" || *out.Document.LatestVersion != "1" {
		t.Errorf("the latest is %+v, %v", out, err)
	}
	_, err = w.UpdateDocument(ctx, &api.UpdateDocumentInput{Name: aws.String("doc"), Content: aws.String(script), DocumentVersion: aws.String("1")})
	wantCode(t, err, "DuplicateDocumentContent")
	w.update(t, "doc", strings.Replace(script, `"one"`, `"four"`, 1))
	out, err = w.DescribeDocument(ctx, &api.DescribeDocumentInput{Name: aws.String("doc"), DocumentVersion: aws.String("$LATEST")})
	if err != nil || *out.Document.DocumentVersion != "4" || *out.Document.LatestVersion != "4" || *out.Document.Description != "four" {
		t.Errorf("the latest is %+v, %v", out, err)
	}
}

// TestDocumentSize: what passes has room in its record, and the rest is refused in AWS's words.
func TestDocumentSize(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	for name, c := range map[string]struct {
		instead, with, code string
	}{
		"plain":       {"true", strings.Repeat("x", 55_000), ""},
		"much":        {"true", strings.Repeat("x", 63_000), "MaxDocumentSizeExceeded"},
		"markup":      {"true", strings.Repeat("<", 20_000), "MaxDocumentSizeExceeded"},
		"description": {`"one"`, `"` + strings.Repeat("x", 33_000) + `"`, "MaxDocumentSizeExceeded"},
	} {
		content := strings.Replace(script, c.instead, c.with, 1)
		_, err := w.CreateDocument(ctx, &api.CreateDocumentInput{Name: &name, Content: &content, DocumentType: types.DocumentTypeCommand})
		if c.code != "" {
			wantCode(t, err, c.code)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
