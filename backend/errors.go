package backend

import (
	"errors"
	"fmt"
)

// Kind says what a caller can do about an engine's error.
type Kind int

// The kinds of engine errors. The zero Kind means that the error is not an engine's, or nil.
const (
	_ Kind = iota
	// KindNotFound: no such object of this installation.
	KindNotFound
	// KindImageNotFound: the image cannot be had; trying again helps only after somebody brings it.
	KindImageNotFound
	// KindInUse: something else holds the object; try again when it is let go.
	KindInUse
	// KindUnavailable: the engine did not answer, or not in time; try again.
	KindUnavailable
	// KindUnsupported: this engine cannot do it at all.
	KindUnsupported
	// KindPermanent: the engine refused, and will refuse again.
	KindPermanent
)

func (k Kind) String() string {
	switch k {
	case KindNotFound:
		return "not found"
	case KindImageNotFound:
		return "image not found"
	case KindInUse:
		return "in use"
	case KindUnavailable:
		return "unavailable"
	case KindUnsupported:
		return "unsupported"
	case KindPermanent:
		return "permanent"
	default:
		return "unknown"
	}
}

// Error is what every engine method fails with.
type Error struct {
	Kind Kind
	// Op is the method's name in lower case, Object the id or reference it was about.
	Op, Object string
	// Err is the engine's own error; it may be nil.
	Err error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s %s: %s", e.Op, e.Object, e.Kind)
	}
	return fmt.Sprintf("%s %s: %s: %v", e.Op, e.Object, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf answers the kind of the engine error in err's chain, or 0.
func KindOf(err error) Kind {
	var engineError *Error
	if errors.As(err, &engineError) {
		return engineError.Kind
	}
	return 0
}
