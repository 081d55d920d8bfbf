// Package enginetest is the suite that every engine passes: what [backend.Compute] and [backend.Images] promise, case
// by case. An engine's own test calls [Run] and nothing else. Cases that need a process behind a container run where
// [Setup.Real] says so.
package enginetest
