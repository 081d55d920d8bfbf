package organizations

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/backend/store"
)

// An organization is one record for its own settings and one for each node, policy and request: together they would outgrow
// what a value of the store may be. Those who change an organization change the tree in memory, and save writes the rows
// that are other than they were.
//
// Organizations of before had everything in one record. They are read as they are, and split when they are saved.

// nodeRow is one node of an organization.
type nodeRow struct {
	Organization, ID string
	node
}

var nodeTable = store.NewTable(store.Spec[nodeRow]{
	Service: "organizations",
	Name:    "nodes",
	ID:      func(r *nodeRow) store.ID { return store.ID{r.Organization, r.ID} },
	Indexes: []store.Index[nodeRow]{{Name: "account", Unique: true, Values: func(r *nodeRow) []store.ID {
		if r.Kind != types.TargetTypeAccount {
			return nil
		}
		return []store.ID{{r.ID}}
	}}},
})

// infoRow is one policy of an organization, without its document.
type infoRow struct {
	Organization, ID string
	policyInfo
}

var infoTable = store.NewTable(store.Spec[infoRow]{
	Service: "organizations",
	Name:    "policy-infos",
	ID:      func(r *infoRow) store.ID { return store.ID{r.Organization, r.ID} },
})

// requestRow is one CreateAccount of an organization.
type requestRow struct {
	Organization, ID string
	request
}

var requestTable = store.NewTable(store.Spec[requestRow]{
	Service: "organizations",
	Name:    "requests",
	ID:      func(r *requestRow) store.ID { return store.ID{r.Organization, r.ID} },
})

// stored is what the rows of an organization were when they were read, as JSON, by their ids.
type stored struct {
	nodes, policies, requests map[string]string
}

// organizationOf answers the organization of an account, or nil, for one who may change it.
func organizationOf(tx store.Tx, account string) (*organization, error) {
	o, err := organizationOn(tx, account)
	if err != nil || o == nil || o.Nodes != nil {
		return o, err
	}
	o.Nodes, o.stored.nodes, err = loadRows(tx, nodeTable, o.ID, nodeOf)
	if err != nil {
		return nil, err
	}
	o.Policies, o.stored.policies, err = loadRows(tx, infoTable, o.ID, infoOf)
	if err != nil {
		return nil, err
	}
	o.Requests, o.stored.requests, err = loadRows(tx, requestTable, o.ID, requestOf)
	return o, err
}

// seenOrganizationOf is organizationOf for one who only reads: what it points to is shared with other readers.
func seenOrganizationOf(tx store.Tx, account string) (*organization, error) {
	o, err := organizationOn(tx, account)
	if err != nil || o == nil || o.Nodes != nil {
		return o, err
	}
	if o.Nodes, err = seeRows(tx, nodeTable, o.ID, nodeOf); err != nil {
		return nil, err
	}
	if o.Policies, err = seeRows(tx, infoTable, o.ID, infoOf); err != nil {
		return nil, err
	}
	o.Requests, err = seeRows(tx, requestTable, o.ID, requestOf)
	return o, err
}

// organizationOn answers the organization of an account without its rows, or nil. One of before has them in it.
func organizationOn(tx store.Tx, account string) (*organization, error) {
	member, err := nodeTable.In(tx, store.Scope{}).Index("account").Find(account)
	if err != nil {
		return nil, err
	}
	if member == nil {
		return organizationTable.In(tx, store.Scope{}).Index("account").Find(account)
	}
	return organizationTable.In(tx, store.Scope{}).Get(member.Organization)
}

func nodeOf(r *nodeRow) (string, *node)          { return r.ID, &r.node }
func infoOf(r *infoRow) (string, *policyInfo)    { return r.ID, &r.policyInfo }
func requestOf(r *requestRow) (string, *request) { return r.ID, &r.request }

func seeRows[R, T any](tx store.Tx, table *store.Table[R], organization string, of func(*R) (id string, value *T)) (map[string]*T, error) {
	values := map[string]*T{}
	for row, err := range table.In(tx, store.Scope{}).Shared(store.Query{Parts: store.ID{organization}}) {
		if err != nil {
			return nil, err
		}
		id, value := of(row)
		values[id] = value
	}
	return values, nil
}

func loadRows[R, T any](tx store.Tx, table *store.Table[R], organization string, of func(*R) (id string, value *T)) (map[string]*T, map[string]string, error) {
	values, texts := map[string]*T{}, map[string]string{}
	for row, err := range table.In(tx, store.Scope{}).Scan(store.Query{Parts: store.ID{organization}}) {
		if err != nil {
			return nil, nil, err
		}
		id, value := of(row)
		text, err := json.Marshal(value)
		if err != nil {
			return nil, nil, err
		}
		values[id], texts[id] = value, string(text)
	}
	return values, texts, nil
}

// save writes what is other than it was.
func (o *organization) save(tx store.Tx) error {
	own := *o
	own.Nodes, own.Policies, own.Requests = nil, nil, nil
	if err := organizationTable.In(tx, store.Scope{}).Put(&own); err != nil {
		return err
	}
	if err := saveRows(tx, nodeTable, o.ID, o.Nodes, o.stored.nodes, func(id string, n *node) *nodeRow { return &nodeRow{o.ID, id, *n} }); err != nil {
		return err
	}
	if err := saveRows(tx, infoTable, o.ID, o.Policies, o.stored.policies, func(id string, p *policyInfo) *infoRow { return &infoRow{o.ID, id, *p} }); err != nil {
		return err
	}
	return saveRows(tx, requestTable, o.ID, o.Requests, o.stored.requests, func(id string, r *request) *requestRow { return &requestRow{o.ID, id, *r} })
}

func saveRows[R, T any](tx store.Tx, table *store.Table[R], organization string, values map[string]*T, before map[string]string, row func(string, *T) *R) error {
	rows := table.In(tx, store.Scope{})
	for _, id := range sortedKeys(values) {
		text, err := json.Marshal(values[id])
		if err != nil {
			return err
		}
		if old, ok := before[id]; ok && old == string(text) {
			continue
		}
		if err := rows.Put(row(id, values[id])); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if _, ok := values[id]; ok {
			continue
		}
		if err := rows.Delete(organization, id); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes all rows.
func (o *organization) remove(tx store.Tx) error {
	gone := &organization{ID: o.ID, stored: o.stored}
	if err := gone.save(tx); err != nil {
		return err
	}
	return organizationTable.In(tx, store.Scope{}).Delete(o.ID)
}
