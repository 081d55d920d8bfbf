package store_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"miniaws/backend/store"
)

// BenchmarkUpdate reads one of 100,000 keys and writes it, as the spike did.
func BenchmarkUpdate(b *testing.B) {
	pool := make([]byte, 1<<20)
	for i := range pool {
		pool[i] = byte(rand.Uint32())
	}
	for _, writers := range []int{1, 32} {
		for _, size := range []int{500, 4096} {
			b.Run(fmt.Sprintf("writers=%d/bytes=%d", writers, size), func(b *testing.B) {
				db, err := store.Open(b.Context(), b.TempDir(), store.DiskOptions{})
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				var left atomic.Int64
				left.Store(int64(b.N))
				done := make(chan error, writers)
				b.ResetTimer()
				for range writers {
					go func() {
						for left.Add(-1) >= 0 {
							key := store.Key(fmt.Sprintf("/0/000000000000/us-east-1/s3/objects/bucket/%08d", rand.IntN(100_000)))
							at := rand.IntN(len(pool) - size)
							err := db.Update(b.Context(), func(tx store.Tx) error {
								tx.Get(key)
								return tx.Put(key, pool[at:at+size])
							})
							if err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range writers {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
				b.ReportMetric(float64(db.Stats().Syncs)/float64(b.N), "syncs/op")
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, rows := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			dir := b.TempDir()
			db, err := store.Open(b.Context(), dir, store.DiskOptions{})
			if err != nil {
				b.Fatal(err)
			}
			value := make([]byte, 440)
			for i := 0; i < rows; i += 500 {
				err := db.Update(b.Context(), func(tx store.Tx) error {
					for j := i; j < i+500; j++ {
						key := store.Key(fmt.Sprintf("/0/000000000000/us-east-1/s3/objects/bucket/%08d", j))
						if err := tx.Put(key, value); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				db, err := store.Open(b.Context(), dir, store.DiskOptions{})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	db, err := store.Open(b.Context(), b.TempDir(), store.DiskOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for i := range 20 {
		err := db.Update(b.Context(), func(tx store.Tx) error {
			for j := range 1000 {
				if err := tx.Put(store.Key(fmt.Sprintf("/bucket/%04d/%04d", i, j)), make([]byte, 440)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		err := db.View(b.Context(), func(tx store.Tx) error {
			n := 0
			for _, err := range tx.Scan(store.PrefixRange(store.Key(fmt.Sprintf("/bucket/%04d/", rand.IntN(20))))) {
				if err != nil {
					return err
				}
				n++
			}
			if n != 1000 {
				return fmt.Errorf("%d rows", n)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
