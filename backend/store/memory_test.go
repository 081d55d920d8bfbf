package store_test

import (
	"testing"

	"miniaws/backend/store"
	"miniaws/backend/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, o store.Options) store.DB { return store.OpenMemory(o) })
}
