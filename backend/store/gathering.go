package store

import "time"

const (
	// enough transactions share a sync well: a group of so many waits for no more.
	enough = 12
	// several transactions a group tell that there are writers at once; below that, waiting would only be late.
	several = 3
	// gatherAtMost bounds what a slow disk makes a group wait.
	gatherAtMost = time.Millisecond
	// mostFruitless waits in a row count: then one group in 32 waits.
	mostFruitless = 5
)

// gathering decides how long a group waits for more transactions before it is made durable. While one sync runs the next
// group gathers by itself; a quick disk is done before many have come, and would sync for few. So where the last groups
// had several transactions, a smaller one than enough waits, at most three quarters as long as they took to become
// durable. A writer who is alone never waits; and where a wait brought nobody, because all writers are in the group, the next
// groups do without, twice as many each time.
type gathering struct {
	size float64       // of the last groups, the newest with a weight of a quarter
	took time.Duration // the last one, to become durable

	timer *time.Timer
	over  bool // the time of this group is up
	came  bool // somebody, while it waited

	skip, fruitless int // groups that do not wait, and the waits in a row that brought nobody
}

// begin forgets how long the group before has waited.
func (g *gathering) begin() {
	g.over, g.came = false, false
	g.skip = max(0, g.skip-1)
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

// done notes a group that is durable.
func (g *gathering) done(transactions int, took time.Duration) {
	g.size += (float64(transactions) - g.size) / 4
	g.took = took
}

// patience is how long a group waits for more; 0 is not at all.
func (g *gathering) patience() time.Duration {
	if g.size < several || g.skip > 0 {
		return 0
	}
	return min(g.took*3/4, gatherAtMost)
}

// next answers the next request for a group that has some transactions already, or nil if it is complete.
func (g *gathering) next(requests <-chan *request, transactions int) *request {
	select {
	case r := <-requests: // nil when closed
		return r
	default:
	}
	if transactions == 0 || transactions >= enough || g.over {
		return nil
	}
	if g.timer == nil {
		patience := g.patience()
		if patience == 0 {
			return nil
		}
		g.timer = time.NewTimer(patience)
	}
	select {
	case r := <-requests:
		g.came, g.fruitless = true, 0
		return r
	case <-g.timer.C:
		g.over = true
		if !g.came {
			g.fruitless = min(g.fruitless+1, mostFruitless)
			g.skip = 1 << g.fruitless
		}
		return nil
	}
}
