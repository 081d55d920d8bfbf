package store

import (
	"testing"
	"time"
)

func TestAWriterAloneNeverWaits(t *testing.T) {
	var g gathering
	for range 100 {
		g.begin()
		g.done(1, time.Second)
		if got := g.patience(); got != 0 {
			t.Fatalf("patience after groups of one = %v, want 0", got)
		}
	}
}

func TestPatienceFollowsTheSyncs(t *testing.T) {
	var g gathering
	for range 20 {
		g.done(6, 400*time.Microsecond)
	}
	if got, want := g.patience(), 300*time.Microsecond; got != want {
		t.Errorf("patience = %v, want three quarters of a sync, %v", got, want)
	}
	g.done(6, time.Minute)
	if got := g.patience(); got != gatherAtMost {
		t.Errorf("patience after a sync of a minute = %v, want %v", got, gatherAtMost)
	}
	for range 20 {
		g.done(1, 400*time.Microsecond)
	}
	if got := g.patience(); got != 0 {
		t.Errorf("patience after the others have gone = %v, want 0", got)
	}
}

func TestAGroupIsCompleteWithEnough(t *testing.T) {
	g := gathering{size: enough, took: time.Hour}
	requests := make(chan *request, 1)
	g.begin()
	if r := g.next(requests, enough); r != nil {
		t.Error("a request out of nothing")
	}
	if g.timer != nil {
		t.Error("a group that has enough waited")
	}
	requests <- &request{}
	if g.next(requests, enough) == nil {
		t.Error("a request that was there was left out")
	}
}

func TestAGroupWaitsOnce(t *testing.T) {
	g := gathering{size: several, took: time.Hour} // patience is gatherAtMost
	requests := make(chan *request)
	go func() { requests <- &request{} }()
	g.begin()
	if g.next(requests, 1) == nil {
		// It did not come in time: then the group is complete, and stays so.
		<-requests
	}
	if g.next(requests, 2) != nil {
		t.Fatal("a request out of nothing")
	}
	if !g.over {
		t.Error("the time is not up")
	}
	timer := g.timer
	if g.next(requests, 2); g.timer != timer {
		t.Error("a group waited twice")
	}
	g.begin()
	if g.over || g.timer != nil {
		t.Error("the next group inherits the wait")
	}
}

func TestAGroupOfLosersDoesNotWait(t *testing.T) {
	g := gathering{size: enough, took: time.Hour}
	g.begin()
	if r := g.next(make(chan *request), 0); r != nil || g.timer != nil {
		t.Error("waited for company without a transaction")
	}
}

func TestAClosedStoreEndsTheWait(t *testing.T) {
	g := gathering{size: enough, took: time.Hour}
	requests := make(chan *request)
	close(requests)
	g.begin()
	if g.next(requests, 1) != nil || g.timer != nil {
		t.Error("waited for requests that cannot come")
	}
}

// TestFruitlessWaitsGetRare: where all writers are in the group, waiting brings nobody.
func TestFruitlessWaitsGetRare(t *testing.T) {
	g := gathering{size: several, took: time.Nanosecond}
	waits := 0
	for range 1000 {
		g.begin()
		g.next(make(chan *request), several)
		if g.timer != nil {
			waits++
		}
		g.done(several, time.Nanosecond*2)
	}
	if waits < 2 || waits > 60 {
		t.Errorf("%d of 1000 groups waited for nobody, want about one in 32", waits)
	}
	// Somebody who comes makes waiting worth it again.
	g.skip = 0
	g.begin()
	requests := make(chan *request)
	g.timer = time.NewTimer(time.Hour)
	go func() { requests <- &request{} }()
	if g.next(requests, several) == nil {
		t.Fatal("the wait ended early")
	}
	if g.fruitless != 0 || !g.came {
		t.Errorf("after somebody came: %+v", g)
	}
}
