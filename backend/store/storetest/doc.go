// Package storetest is the conformance suite of store.DB: every implementation passes it.
//
//	storetest.Run(t, func(t *testing.T, o store.Options) store.DB { … })
package storetest
