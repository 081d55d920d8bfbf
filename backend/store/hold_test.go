package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// TestHold: the Views of a held context see one snapshot, until something is written with it, it is released, or it is old.
func TestHold(t *testing.T) {
	disk, err := Open(t.Context(), filepath.Join(t.TempDir(), "store"), DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, db := range map[string]DB{"memory": OpenMemory(Options{}), "disk": disk} {
		t.Run(name, func(t *testing.T) {
			put := func(ctx context.Context, value string) {
				t.Helper()
				if err := db.Update(ctx, func(tx Tx) error { return tx.Put("/k", []byte(value)) }); err != nil {
					t.Fatal(err)
				}
			}
			want := func(ctx context.Context, what, value string) {
				t.Helper()
				err := db.View(ctx, func(tx Tx) error {
					got, err := tx.Get("/k")
					if err == nil && string(got) != value {
						t.Errorf("%s: %q, want %q", what, got, value)
					}
					return err
				})
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			put(t.Context(), "1")
			held, release := Hold(t.Context())
			put(t.Context(), "2")
			want(held, "a snapshot is taken by the first look", "2")
			put(t.Context(), "3")
			want(held, "the next look shares it", "2")
			want(t.Context(), "others do not", "3")
			if err := db.View(held, func(Tx) error { want(held, "a look inside another", "3"); return nil }); err != nil {
				t.Error(err)
			}
			failure := errors.New("no")
			if err := db.View(held, func(Tx) error { return failure }); !errors.Is(err, failure) {
				t.Error(err)
			}
			want(held, "after a failure", "2")
			put(held, "4")
			want(held, "after an own update", "4")
			put(t.Context(), "5")
			want(held, "and from then on", "5")
			release()

			held, release = Hold(t.Context())
			want(held, "again", "5")
			h := held.Value(holdKey{}).(*hold)
			h.taken = time.Now().Add(-maxHeld)
			put(t.Context(), "6")
			want(held, "an old one is not shared", "6")
			h.taken = time.Now()
			want(held, "though it lives", "5")
			release()
			want(held, "after the release", "6")
			release()

			held, release = Hold(t.Context())
			closed := make(chan error)
			want(held, "before the end", "6")
			go func() { closed <- db.Close() }()
			select {
			case err := <-closed:
				t.Error("closed under a snapshot that is held:", err)
			case <-time.After(50 * time.Millisecond):
			}
			release()
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	}
}
