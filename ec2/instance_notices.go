package ec2

import "time"

// notices are what was announced to an instance from outside: there is no market and no ageing hardware here, so all of
// them are made by a call of Mini AWS's own.
type instanceNotices struct {
	Events []scheduledEvent `json:",omitempty"`
	// SpotAction is what becomes of a Spot Instance at SpotTime: "terminate", "stop" or "hibernate"; "" for nothing.
	SpotAction string    `json:",omitempty"`
	SpotTime   time.Time `json:",omitzero"`
	// Rebalance is when a rebalance recommendation was given; zero for none.
	Rebalance time.Time `json:",omitzero"`
}

// scheduledEvent is a maintenance that is to come. AWS: "Scheduled events for Amazon EC2 instances".
type scheduledEvent struct {
	ID, Code, Description string
	NotBefore             time.Time
	NotAfter, Deadline    time.Time `json:",omitzero"`
	// State is "active", "completed" or "canceled".
	State string
}

func (e scheduledEvent) active() bool { return e.State == "active" }
