// Package iam knows who calls, and decides what they may do: identities, credentials, STS and authorization.
//
// The story of one call: the pipeline asks [Service.Find] whose access key signed; verifies the signature with the
// secret; decodes; asks [Service.Authorize] whether that principal may do what the operation declared; and only then
// calls the handler.
//
// Records are in the account's own part of the tree, beside the global tables of what is known by itself alone:
//
//	/0/_/_/iam/accounts/<account>                 @alias @email
//	/0/_/_/iam/access-keys/<access key id>        @owner (account, user id)
//	/0/<account>/_/iam/users/<name, lower case>   @id @group @policy @boundary
//	/0/<account>/_/iam/groups/<name>              @id @policy
//	/0/<account>/_/iam/roles/<name>               @id @policy @boundary
//	/0/<account>/_/iam/instance-profiles/<name>   @role
//	/0/<account>/_/iam/policies/<name>
//	/0/<account>/_/iam/policy-versions/<policy id>,<number>
//	/0/<account>/_/iam/accesses/<identity id>,<service>
//	/0/<account>/_/iam/stamp/now                  changes with every change of the above
//
// Secrets are sealed at rest. Temporary credentials are nowhere at all: everything about a session is sealed in its
// token, which the client brings along.
package iam
