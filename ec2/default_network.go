package ec2

import (
	"miniaws/backend/store"
)

// network remembers that an account's default network in a region was made.
type network struct{ ID string }

// networkID is the one row's id.
const networkID = "default"

var networks = store.NewTable(store.Spec[network]{
	Service: "ec2",
	Name:    "networks",
	ID:      func(n *network) store.ID { return store.ID{n.ID} },
})

// ensureNetwork makes, in an account's first transaction in a region, what AWS gives every account.
func ensureNetwork(t tx) error {
	rows := networks.In(t, t.scope)
	made, err := rows.Find(networkID)
	if err != nil || made != nil {
		return err
	}
	return rows.Put(&network{ID: networkID})
}
