package agent

import (
	"net/http"

	"miniaws/backend"
)

// sendFlows streams records until the gateway leaves.
func (a *Agent) sendFlows(w http.ResponseWriter, _ *http.Request) {
	fail(w, "flows", "node", &backend.Error{Kind: backend.KindUnsupported, Op: "flows", Object: "node"})
}
