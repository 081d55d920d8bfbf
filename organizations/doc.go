// Package organizations keeps organizations: which accounts belong together, the tree of units that they are in, and the
// policies that limit them. The authorizer asks [Service.Membership] on every call; nothing else enforces a policy.
//
//	o-... organization ── r-... root ──┬── account (management: no policy limits it)
//	                                   └── ou-... unit ── account
//
// An account is made by the identities (Config.Accounts) and real at once: it has a root user and a role for the
// management account. Served are service control and resource control policies; other types are refused. Invitations
// (handshakes), delegated administrators and billing are not there.
//
// Tables: organizations (the settings of each), nodes, policy-infos, requests (the tree: see records.go), policies (the
// documents).
package organizations
