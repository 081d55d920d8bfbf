// Package iam knows who calls, and decides what they may do: identities, credentials, STS and authorization.
//
// The story of one call: the pipeline asks [Service.Find] whose access key signed; verifies the signature with the
// secret; decodes; asks [Service.Authorize] whether that principal may do what the operation declared; and only then
// calls the handler.
//
// Served: the root user of one account, and sts:GetCallerIdentity. Everybody else does not exist yet, so nobody else
// gets in.
package iam
