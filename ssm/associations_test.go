package ssm_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// TestAssociationOfOneInstance: its document and its instance name it as long as it has them, and no other.
func TestAssociationOfOneInstance(t *testing.T) {
	w := newWorld(t)
	const instance, shell, other = "i-0123456789abcdef0", "AWS-RunShellScript", "Other"
	if _, err := w.CreateDocument(t.Context(), &api.CreateDocumentInput{Name: aws.String(other), DocumentType: types.DocumentTypeCommand, Content: aws.String(
		`{"schemaVersion":"2.2","parameters":{"commands":{"type":"StringList"}},"mainSteps":[{"action":"aws:runShellScript","name":"one","inputs":{"runCommand":"{{ commands }}"}}]}`)}); err != nil {
		t.Fatal(err)
	}
	parameters := map[string][]string{"commands": {"true"}}
	create := func(document string) (*api.CreateAssociationOutput, error) {
		return w.CreateAssociation(t.Context(), &api.CreateAssociationInput{Name: aws.String(document), InstanceId: aws.String(instance), Parameters: parameters})
	}
	made, err := create(shell)
	if err != nil {
		t.Fatal(err)
	}
	_, err = create(shell)
	wantCode(t, err, "AssociationAlreadyExists")
	second, err := create(other)
	if err != nil {
		t.Fatal(err)
	}
	update := func(document string, targets ...types.Target) (*types.AssociationDescription, error) {
		out, err := w.UpdateAssociation(t.Context(), &api.UpdateAssociationInput{
			AssociationId: made.AssociationDescription.AssociationId, Name: aws.String(document), Parameters: parameters, Targets: targets,
		})
		if err != nil {
			return nil, err
		}
		return out.AssociationDescription, nil
	}
	same := types.Target{Key: aws.String("InstanceIds"), Values: []string{instance}}
	_, err = update(other)
	wantCode(t, err, "InvalidUpdate")
	if got, err := update(shell, same); err != nil || aws.ToString(got.InstanceId) != instance {
		t.Errorf("the same targets: %+v, %v", got, err)
	}
	if got, err := update(other, types.Target{Key: aws.String("tag:Role"), Values: []string{"web"}}); err != nil || got.InstanceId != nil {
		t.Errorf("other targets: %+v, %v", got, err)
	}
	found, err := w.DescribeAssociation(t.Context(), &api.DescribeAssociationInput{Name: aws.String(other), InstanceId: aws.String(instance)})
	if err != nil || *found.AssociationDescription.AssociationId != *second.AssociationDescription.AssociationId {
		t.Errorf("%+v, %v", found, err)
	}
	_, err = w.DescribeAssociation(t.Context(), &api.DescribeAssociationInput{Name: aws.String(shell), InstanceId: aws.String(instance)})
	wantCode(t, err, "AssociationDoesNotExist")
	if _, err := create(shell); err != nil {
		t.Error(err)
	}
}
