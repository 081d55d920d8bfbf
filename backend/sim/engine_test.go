package sim_test

import (
	"testing"
	"time"

	"miniaws/backend"
	"miniaws/backend/enginetest"
	"miniaws/backend/sim"
)

func TestEngine(t *testing.T) {
	enginetest.Run(t, enginetest.Setup{
		Image: "debian:12",
		Open: func(t *testing.T, _ string) backend.Engine {
			return sim.Open(time.Now, func(reference string) bool { return reference == "debian:12" })
		},
	})
}
