package reconcile

import (
	"context"
	"fmt"
	"time"

	"miniaws/backend/store"
)

// Item names a resource that is to be looked at.
type Item struct {
	// Kind selects the handler, such as "ec2.instance".
	Kind string
	// Account and Region are empty for resources that have none.
	Account, Region string
	ID              string
}

func (i Item) String() string { return fmt.Sprintf("%s %s/%s/%s", i.Kind, i.Account, i.Region, i.ID) }

func (i Item) key() store.ID { return store.ID{i.Kind, i.Account, i.Region, i.ID} }

// todo is one row: the item, and when it is due.
type todo struct {
	Item
	Due time.Time
	// Wanted counts the calls of Want: a handler that ran for an older count has not seen the newest wish.
	Wanted uint64
	// Attempts counts the failures since the last success or wish; Failure is the last one's text.
	Attempts int    `json:",omitempty"`
	Failure  string `json:",omitempty"`
}

var todos = store.NewTable(store.Spec[todo]{
	Service: "reconcile",
	Name:    "todo",
	ID:      func(t *todo) store.ID { return t.key() },
	Indexes: []store.Index[todo]{{
		Name:   "due",
		Values: func(t *todo) []store.ID { return []store.ID{{sortable(t.Due)}} },
	}},
})

// sortable is a time as text whose order is that of time. Times before 1970 do not occur.
func sortable(t time.Time) string { return fmt.Sprintf("%016x", uint64(max(0, t.UnixNano()))) }

// Tables are the tables of this package, for [store.Migrate].
func Tables() []store.Schema { return []store.Schema{todos} }

// Want asks for a look at the item, as part of the transaction that changed what is wanted of it. Earlier failures are
// forgotten. Wanting an item that is being looked at leads to another look.
func Want(tx store.Tx, item Item) error { return WantAfter(tx, item, 0) }

// WantAfter is [Want] for a look at some later time, such as the end of a grace period. An earlier look that is due
// anyway stays due.
func WantAfter(tx store.Tx, item Item, delay time.Duration) error {
	rows := todos.In(tx, store.Scope{})
	row, err := rows.Find(item.key()...)
	if err != nil {
		return err
	}
	due := tx.Now().Add(delay)
	if row == nil {
		row = &todo{Item: item, Due: due}
	}
	if due.Before(row.Due) {
		row.Due = due
	}
	row.Wanted++
	row.Attempts, row.Failure = 0, ""
	return rows.Put(row)
}

// Work is a row of the todo table, for people who look behind a resource.
type Work struct {
	Item
	Due      time.Time
	Attempts int
	Failure  string
}

// Pending answers what is still to be done about a resource of that id.
func Pending(ctx context.Context, db store.DB, id string) (list []Work, err error) {
	err = db.View(ctx, func(tx store.Tx) error {
		list = nil
		for row, err := range todos.In(tx, store.Scope{}).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			if row.ID == id {
				list = append(list, Work{Item: row.Item, Due: row.Due, Attempts: row.Attempts, Failure: row.Failure})
			}
		}
		return nil
	})
	return list, err
}

// Failure answers why the last look at the item failed, and "" if it did not or none is due.
func Failure(tx store.Tx, item Item) (string, error) {
	row, err := todos.In(tx, store.Scope{}).Find(item.key()...)
	if row == nil || err != nil {
		return "", err
	}
	return row.Failure, nil
}
