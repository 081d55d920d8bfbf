// Package ssm is AWS Systems Manager: the parameter store, documents and the commands that they are, associations, sessions,
// inventory.
//
// The story of one PutParameter:
//
//  1. awsapi asks what must be allowed: ssm:PutParameter on arn:aws:ssm:REGION:ACCOUNT:parameter/NAME.
//  2. The handler checks name, type, tier and pattern as AWS does.
//  3. One transaction reads the parameter, writes its next version and drops the oldest of more than a hundred.
//  4. A SecureString is sealed under the installation's key before it gets anywhere near the store; the box is bound to
//     account, region, name and version, so it cannot be moved.
//
// Parameters below /aws/service/ are public: they belong to nobody, are read-only, and come from whoever publishes them
// (Config.Public): ids of AMIs come from package ec2.
//
// The story of one SendCommand: the handler plans the document's steps and writes an invocation an instance; the reconcile loop
// runs step after step through the link of each instance's init (backend/guestlink) and writes down what became of it. An
// association is a document that the loop sends when it is due (association_runs.go, schedules.go).
//
// Tables, of service "ssm": parameters, one row a parameter with its tags, and parameter-versions, one row a version, by name
// and number; documents and document-versions; commands and command-invocations; associations, association-versions and
// association-executions; sessions and session-homes; inventory, inventory-schemas and inventory-deletions.
//
// It does not do: sharing of parameters across accounts, Automation, maintenance windows, patching, OpsCenter, activations of
// machines that are not EC2's, output to S3. KMS keys other than alias/aws/ssm do not exist until there is a KMS.
package ssm
