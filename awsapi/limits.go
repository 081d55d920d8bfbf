package awsapi

// Limits on what a request may contain, whatever its size. AWS's own limits are lower, per operation; these
// only keep a hostile body from costing more than a constant factor of its length.
const (
	maxParameters = 20_000  // form parameters
	maxDepth      = 64      // nested structures, lists and maps
	maxElements   = 100_000 // list elements and map entries in one request
	maxUnknown    = 20      // unknown parameters that are reported
	maxShown      = 256     // bytes of a bad value that a message repeats
)

// budget counts down elements while a request is decoded.
type budget struct{ elements int }

func newBudget() *budget { return &budget{elements: maxElements} }

func (b *budget) take() error {
	if b.elements--; b.elements < 0 {
		return malformed("the request has more than %d elements", maxElements)
	}
	return nil
}
