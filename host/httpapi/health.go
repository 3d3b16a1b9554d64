package httpapi

import (
	"net/http"
)

// status is the answer of a probe.
type status struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

func (a *api) healthRoutes() []route {
	probe := []string{contentJSON}
	routes := []route{
		{
			method: http.MethodGet, path: "/healthz", id: "alive", summary: "Whether the process answers",
			reply: status{}, gives: probe,
			serve: func(x *exchange) error { return x.reply(http.StatusOK, status{Status: "alive"}) },
		},
		{
			method: http.MethodGet, path: "/readyz", id: "ready", summary: "Whether the host can take traffic",
			doc:   "503 until everything that it was started with is deployed, and again from the beginning of its shutdown.",
			reply: status{}, gives: probe,
			serve: serveReady,
		},
		{
			method: http.MethodGet, path: "/v1/health", id: "health", summary: "How the host is",
			doc:   "Always 200: the status is in the body.",
			reply: Health{},
			serve: serveHealth,
		},
	}
	if a.cfg.Metrics != nil {
		routes = append(routes, route{
			method: http.MethodGet, path: "/metrics", id: "metrics", summary: "Metrics in Prometheus' format",
			reply: "", gives: []string{"text/plain"},
			serve: func(x *exchange) error { a.cfg.Metrics.ServeHTTP(x.w, x.r); return nil },
		})
	}
	return routes
}

func serveReady(x *exchange) error {
	if x.cfg.Ready != nil {
		if err := x.cfg.Ready(); err != nil {
			return x.reply(http.StatusServiceUnavailable, status{Status: "not ready", Reason: err.Error()})
		}
	}
	return x.reply(http.StatusOK, status{Status: "ready"})
}

func serveHealth(x *exchange) error {
	h := x.host.Health()
	reasons := h.Reasons
	if reasons == nil {
		reasons = []string{}
	}
	return x.reply(http.StatusOK, Health{Status: string(h.Status), Reasons: reasons, Durability: string(h.Durability)})
}
