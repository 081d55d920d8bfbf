// Package backend holds what the services stand on: the contract of the engines that run things, and, in its
// sub-packages, the engines themselves, the store, the byte store and the reconcile loop.
//
// The story of one instance start: a service writes the wanted state in a transaction and returns; a reconciler reads
// it; the reconciler calls [Compute.Ensure] and [Compute.Start]; the engine makes it so, or answers an [Error] whose
// [Kind] says whether to try again; the reconciler writes what the engine confirmed.
//
//	              Ensure            Start
//	(not found) ----------> created ------> running
//	     ^                     |  Start ^      | Stop, or its PID 1 ends
//	     |      Remove         v        |      v
//	     +---------------------+------ exited <+
//
// Engines: backend/docker (containers), backend/sim (records only, said so wherever it shows). Both pass the suite of
// backend/enginetest. The package knows nothing of AWS, of accounts beyond a label, or of the store.
package backend
