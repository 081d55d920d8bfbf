// Package policy decides whether AWS would allow a request: the grammar of policy documents and the evaluation of
// them. It is pure: no store, no clock, no network. Everything that a decision depends on is in its [Input].
//
// The story of one decision:
//
//  1. [Parse] turns a document into statements whose patterns and values are compiled; keep it, it is immutable.
//  2. The caller gathers the policies that apply: the identity's, its boundary, the session's, the resource's, and
//     those of the organizations on both sides.
//  3. [Evaluate] asks every statement of every policy whether it matches (action, principal, resource, conditions). It
//     never stops early, so that the [Decision] can explain itself.
//  4. A matching Deny anywhere denies. Then every layer that applies must allow, from the outside to the inside.
//
// Context keys are looked up by name and only when a statement needs them: a key that is expensive to know costs
// nothing where no policy mentions it.
//
// It does not know which policies belong to whom, does not find resources' tags, and knows no service's actions.
package policy
