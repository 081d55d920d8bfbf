package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"miniaws/backend/store"
)

type host struct {
	Name, Net, Address string
	Labels             []string `json:",omitempty"`
}

func hostSpec() store.Spec[host] {
	return store.Spec[host]{
		Service: "test", Name: "hosts",
		ID: func(h *host) store.ID { return store.ID{h.Name} },
		Indexes: []store.Index[host]{
			{Name: "net", Values: func(h *host) []store.ID { return []store.ID{{h.Net}} }},
			{Name: "address", Unique: true, Values: func(h *host) []store.ID {
				if h.Address == "" {
					return nil
				}
				return []store.ID{{h.Net, h.Address}}
			}},
			{Name: "label", Values: func(h *host) (ids []store.ID) {
				for _, l := range h.Labels {
					ids = append(ids, store.ID{l})
				}
				return ids
			}},
		},
	}
}

var (
	hosts = store.NewTable(hostSpec())
	here  = store.Scope{Account: "123456789012", Region: "eu-central-1"}
	there = store.Scope{Account: "123456789012", Region: "us-east-1"}
)

func names(list []*host, _ store.Cursor, err error) string {
	if err != nil {
		return err.Error()
	}
	var ns []string
	for _, h := range list {
		ns = append(ns, h.Name)
	}
	return strings.Join(ns, " ")
}

func tables(t *testing.T, db store.DB) {
	update(t, db, func(tx store.Tx) error {
		rows := hosts.In(tx, here)
		return errors.Join(
			rows.Insert(&host{Name: "b", Net: "n1", Labels: []string{"x", "y"}}),
			rows.Put(&host{Name: "a", Net: "n1"}),
			rows.Put(&host{Name: "c", Net: "n10"}),
			hosts.In(tx, there).Put(&host{Name: "d", Net: "n1"}),
			hosts.In(tx, store.Scope{}).Put(&host{Name: "global", Net: "n1"}),
		)
	})
	view(t, db, func(tx store.Tx) error {
		rows := hosts.In(tx, here)
		b, err := rows.Get("b")
		want(t, "b", b, &host{Name: "b", Net: "n1", Labels: []string{"x", "y"}})
		want(t, "err", err, nil)
		_, err = rows.Get("d")
		wantErr(t, err, store.ErrNotFound)
		for _, impossible := range []string{"", strings.Repeat("d", store.MaxKey)} {
			_, err = rows.Get(impossible)
			wantErr(t, err, store.ErrNotFound)
			_, err = rows.GetShared(impossible)
			wantErr(t, err, store.ErrNotFound)
		}
		none, err := rows.Find("d")
		want(t, "find", none, (*host)(nil))
		want(t, "err", err, nil)
		want(t, "list", names(rows.List(store.Query{})), "a b c")
		want(t, "n1", names(rows.Index("net").List(store.Query{Parts: store.ID{"n1"}})), "a b")
		want(t, "n1*", names(rows.Index("net").List(store.Query{Prefix: "n1"})), "a b c")
		want(t, "label", names(rows.Index("label").List(store.Query{Parts: store.ID{"y"}})), "b")
		want(t, "global", names(hosts.In(tx, store.Scope{}).List(store.Query{})), "global")
		want(t, "bad scope", names(hosts.In(tx, store.Scope{Account: "a/b"}).List(store.Query{})), `invalid key: name "a/b"`)
		first, err := rows.Index("net").Get("n10")
		want(t, "first", first.Name, "c")
		want(t, "err", err, nil)
		return nil
	})
	update(t, db, func(tx store.Tx) error {
		rows := hosts.In(tx, here)
		wantErr(t, rows.Insert(&host{Name: "a"}), store.ErrExists)
		wantErr(t, rows.Insert(&host{}), store.ErrInvalidKey)
		return errors.Join(
			rows.Put(&host{Name: "b", Net: "n2", Labels: []string{"y", "z"}}),
			rows.Delete("c"), rows.Delete("c"))
	})
	view(t, db, func(tx store.Tx) error {
		rows := hosts.In(tx, here)
		want(t, "moved", names(rows.Index("net").List(store.Query{})), "a b")
		want(t, "labels", names(rows.Index("label").List(store.Query{})), "b b")
		want(t, "x", names(rows.Index("label").List(store.Query{Parts: store.ID{"x"}})), "")
		return nil
	})
	update(t, db, func(tx store.Tx) error {
		return errors.Join(hosts.In(tx, here).Delete("a"), hosts.In(tx, here).Delete("b"),
			hosts.In(tx, there).Delete("d"), hosts.In(tx, store.Scope{}).Delete("global"))
	})
	want(t, "nothing is left", db.Stats().Rows, int64(0))
}

type object struct{ Bucket, Name string }

var objects = store.NewTable(store.Spec[object]{
	Service: "test", Name: "objects", ID: func(o *object) store.ID { return store.ID{o.Bucket, o.Name} },
})

// tableOrder: any bytes in an id keep their order, also across the separator of parts.
func tableOrder(t *testing.T, db store.DB) {
	ids := []string{"\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "!", "/", "//", "a", "a\x00", "a\x00b", "a\x01", "a/", "a/b", "ab", "é", "日本", "\xff", "\xff\xff"}
	update(t, db, func(tx store.Tx) error {
		for _, i := range rand.Perm(len(ids)) {
			for _, bucket := range []string{"b", "b\x00", "b/c"} {
				if err := objects.In(tx, here).Put(&object{bucket, ids[i]}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	slices.Sort(ids)
	view(t, db, func(tx store.Tx) error {
		var got []string
		for key, err := range hostsKeys(tx) {
			if err != nil {
				return err
			}
			got = append(got, key)
		}
		want(t, "rows", len(got), 3*len(ids))
		for _, bucket := range []string{"b", "b\x00", "b/c"} {
			list, _, err := objects.In(tx, here).List(store.Query{Parts: store.ID{bucket}})
			if err != nil {
				return err
			}
			if len(list) != len(ids) {
				t.Fatalf("bucket %q has %d objects, want %d", bucket, len(list), len(ids))
			}
		}
		list, _, err := objects.In(tx, here).List(store.Query{Parts: store.ID{"b"}, Prefix: "a"})
		want(t, "prefix", len(list), 7)
		want(t, "err", err, nil)
		folder, _, err := objects.In(tx, here).List(store.Query{Parts: store.ID{"b"}, After: store.AfterPrefix("b", "a/"), Limit: 1})
		want(t, "behind the folder", folder, []*object{{"b", "ab"}})
		return err
	})
}

func hostsKeys(tx store.Tx) func(func(string, error) bool) {
	return func(yield func(string, error) bool) {
		last := ""
		for o, err := range objects.In(tx, here).Scan(store.Query{}) {
			if err == nil && o.Bucket == "b" && last >= o.Name && last != "" {
				err = fmt.Errorf("%q before %q", last, o.Name)
			}
			if err == nil && o.Bucket == "b" {
				last = o.Name
			}
			name := ""
			if o != nil {
				name = o.Name
			}
			if !yield(name, err) {
				return
			}
		}
	}
}

func uniqueIndex(t *testing.T, db store.DB) {
	update(t, db, func(tx store.Tx) error {
		return hosts.In(tx, here).Put(&host{Name: "a", Net: "n", Address: "10.0.0.1"})
	})
	update(t, db, func(tx store.Tx) error {
		rows := hosts.In(tx, here)
		wantErr(t, rows.Put(&host{Name: "b", Net: "n", Address: "10.0.0.1"}), store.ErrExists)
		return nil
	})
	update(t, db, func(tx store.Tx) error {
		rows := hosts.In(tx, here)
		a, err := rows.Index("address").Get("n", "10.0.0.1")
		want(t, "holder", a.Name, "a")
		return errors.Join(err,
			rows.Put(&host{Name: "a", Net: "n", Address: "10.0.0.2"}),
			rows.Put(&host{Name: "b", Net: "n", Address: "10.0.0.1"}))
	})
	// Two at once: one of them must see the other.
	attempts := 0
	err := db.Update(t.Context(), func(tx store.Tx) error {
		err := hosts.In(tx, here).Put(&host{Name: "c", Net: "n", Address: "10.0.0.9"})
		if attempts++; attempts == 1 {
			update(t, db, func(tx store.Tx) error {
				return hosts.In(tx, here).Put(&host{Name: "d", Net: "n", Address: "10.0.0.9"})
			})
		}
		return err
	})
	wantErr(t, err, store.ErrExists)
}

func pages(t *testing.T, db store.DB) {
	update(t, db, func(tx store.Tx) error {
		for i := range 10 {
			if err := hosts.In(tx, here).Put(&host{Name: fmt.Sprint(i), Net: fmt.Sprint(i % 2)}); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, db, func(tx store.Tx) error {
		var got []string
		q := store.Query{Limit: 3}
		for {
			list, next, err := hosts.In(tx, here).List(q)
			got = append(got, names(list, "", err))
			if q.After = next; next == "" {
				break
			}
		}
		want(t, "pages", got, []string{"0 1 2", "3 4 5", "6 7 8", "9"})
		list, next, err := hosts.In(tx, here).Index("net").List(store.Query{Parts: store.ID{"1"}, Limit: 4})
		want(t, "index page", names(list, "", err), "1 3 5 7")
		want(t, "rest", names(hosts.In(tx, here).Index("net").List(store.Query{Parts: store.ID{"1"}, After: next})), "9")
		want(t, "after", names(hosts.In(tx, here).List(store.Query{After: store.After("7")})), "8 9")
		return nil
	})
}

func migrations(t *testing.T, db store.DB) {
	ctx := t.Context()
	old := store.NewTable(hostSpec())
	if err := store.Migrate(ctx, db, old); err != nil {
		t.Fatal(err)
	}
	scopes := []store.Scope{here, there, {}, {Fork: "copy", Account: "1", Region: "r"}}
	const n = 300 // more than one batch
	for _, s := range scopes {
		update(t, db, func(tx store.Tx) error {
			for i := range n {
				if err := old.In(tx, s).Put(&host{Name: fmt.Sprintf("%03d", i), Net: "n"}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	spec := hostSpec()
	calls := 0
	spec.Migrations = []func([]byte) ([]byte, error){
		func(b []byte) ([]byte, error) {
			if calls++; calls == n+10 {
				return nil, errors.New("power cut")
			}
			if bytes.Contains(b, []byte(`"Name":"007"`)) {
				return nil, nil // the record goes
			}
			return bytes.Replace(b, []byte(`"Net":"n"`), []byte(`"Net":"m"`), 1), nil
		},
	}
	spec.Indexes = append(spec.Indexes[:1:1], store.Index[host]{Name: "reverse", Unique: true, Values: func(h *host) []store.ID {
		b := []byte(h.Name)
		slices.Reverse(b)
		return []store.ID{{string(b)}}
	}})
	newer := store.NewTable(spec)
	if err := store.Migrate(ctx, db, newer); err == nil || !strings.Contains(err.Error(), "power cut") {
		t.Fatalf("error %v", err)
	}
	for range 2 { // goes on, then has nothing to do
		if err := store.Migrate(ctx, db, newer); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "each record once, and again only the ten of the batch that failed", calls, len(scopes)*n+10)
	view(t, db, func(tx store.Tx) error {
		for _, s := range scopes {
			list, _, err := newer.In(tx, s).Index("net").List(store.Query{Parts: store.ID{"m"}})
			want(t, "err", err, nil)
			want(t, "records", len(list), n-1)
			h, err := newer.In(tx, s).Index("reverse").Get("210")
			want(t, "err", err, nil)
			want(t, "reversed", h.Name, "012")
		}
		return nil
	})
	want(t, "rows", db.Stats().Rows, int64(len(scopes)*(n-1)*3+1))
	wantErr(t, store.Migrate(ctx, db, old), store.ErrNewer)
}
