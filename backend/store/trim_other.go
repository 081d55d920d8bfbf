//go:build !linux

package store

// Trim does nothing on this system.
func Trim(DB) error { return nil }

func (d *durable) unmapPages() error { return nil }
