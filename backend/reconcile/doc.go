// Package reconcile makes wanted state true: it calls, again and again if need be, the function that knows how to bring
// one resource from what is to what is wanted.
//
// The story of one stop of an instance:
//
//  1. StopInstances writes "stopping" and, in the same transaction, [Want]s the instance: a row of the todo table.
//  2. The commit shows in the store's feed; the loop reads the due rows and calls the handler of that kind.
//  3. The handler asks the engine, writes "stopped" and answers; it may as well ask to be called again later.
//  4. The loop removes the row, unless somebody wanted the resource again meanwhile: then it stays due.
//  5. An error keeps the row, with the error in it, and puts it off a little longer each time.
//
// The todo table is durable, so a crash between any two steps loses nothing, and a lost wake-up costs one interval:
// the loop goes by what is in the table, never by who woke it. Sweeps are functions called at start and now and then,
// to remove what the installation owns and no record knows.
//
// Table: /0/_/_/reconcile/todo/<kind>,<account>,<region>,<id>, with an index by the time at which a row is due.
//
// It does not know what the resources are, and does not assign their states: handlers do.
package reconcile
