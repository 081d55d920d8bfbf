// Package boot starts the process that serves, as early as a process can.
//
// Parent and worker are the same program, and initializing all its packages takes tens of milliseconds, which a serve that
// first initializes itself and then starts its worker pays twice in a row. Go initializes a package as soon as all that it
// imports is, in the order of import paths (https://go.dev/ref/spec#Program_initialization). This package imports little and its path comes
// early, so that its init runs before those of the large libraries: where the command line says "serve" it starts the
// worker at once, and both initialize side by side. It is a module of its own because its path must come before
// "github.com"; docs/decisions/0005-early-worker.md has the numbers.
package boot
