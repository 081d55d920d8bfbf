// Package ssm is AWS Systems Manager: the parameter store.
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
// Tables, of service "ssm": parameters, one row a parameter with its tags, and parameter-versions, one row a version,
// by name and number.
//
// It does not do: parameter policies, sharing across accounts, documents, automation, inventory, patching. KMS keys other
// than alias/aws/ssm do not exist until there is a KMS.
package ssm
