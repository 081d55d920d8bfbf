// Package boot is the parent of the process that serves, in a process that does nothing else.
//
// Parent and worker are the same program, and initializing all its packages takes tens of milliseconds and tens of
// megabytes, which the parent needs for nothing. Go initializes a package as soon as all that it imports is, in the order
// of import paths (https://go.dev/ref/spec#Program_initialization). This package imports little and its path comes early, so
// that its init runs before those of the large libraries: where the command line says "serve" it starts the worker at once,
// watches it, and ends the process. It is a module of its own because its path must come before "github.com", and imports
// no more than it does for the same reason; docs/decisions/0005-early-worker.md has the numbers.
package boot
