// Package organizations keeps organizations: which accounts belong together, the tree of units that they are in, and the
// policies that limit them. The authorizer asks [Service.Membership] on every call; nothing else enforces a policy.
//
//	o-... organization ── r-... root ──┬── account (management: no policy limits it)
//	                                   └── ou-... unit ── account
//
// An account is asked for, and made by the reconcile loop through the identities (Config.Accounts): a root user, and a role
// for the management account. Others join by invitation (handshakes). Delegated administrators read what the management
// account reads; the organization's own resource policy lets members manage policies. Served are service control and
// resource control policies, and of management policies those of tags, backups, AI services and chat applications: they are
// merged into what is effective for an account, and nothing else follows from them here. Other types are refused, and so are
// tag policies that are enforced. Billing and its transfers are not there.
//
// Tables: organizations (the settings of each), nodes, policy-infos, requests (the tree: see records.go), policies (the
// documents), handshakes.
package organizations
