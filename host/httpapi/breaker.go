package httpapi

import (
	"net/http"
	"slices"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
)

const breakersPath = tenantPath + "/breakers"

func (a *api) breakerRoutes() []route {
	routes := []route{{
		method: http.MethodGet, path: breakersPath, id: "breakers", summary: "List what a tenant's effects are done on, with the circuit breakers",
		reply: Breakers{}, serve: serveBreakers,
	}}
	for _, r := range []struct {
		how          host.Force
		summary, doc string
	}{
		{host.ForceOpen, "Let no effect through to a target",
			"Until it is closed or set to auto; effects park, or die if their policy says so. It can be done before any effect had the target."},
		{host.ForceClose, "Let every effect through to a target", "Until it is opened or set to auto, however often they fail. Parked effects go on."},
		{host.ForceAuto, "Give a circuit breaker back to itself", "What was held open asks for a probe, what was held closed starts anew; one that was not set by hand stays as it is."},
	} {
		routes = append(routes, route{
			method: http.MethodPost, path: breakersPath + "/{target}/" + string(r.how), id: string(r.how) + "Breaker", summary: r.summary, doc: r.doc, about: aboutBreaker,
			reply: Breaker{}, serve: func(x *exchange) error { return serveBreaker(x, r.how) },
		})
	}
	return routes
}

func serveBreakers(x *exchange) error {
	tenant, err := x.tenant()
	if err != nil {
		return err
	}
	list := Breakers{Breakers: []Breaker{}}
	for _, t := range x.host.Targets(tenant) {
		list.Breakers = append(list.Breakers, showBreaker(t))
	}
	return x.reply(http.StatusOK, list)
}

func showBreaker(t host.TargetStatus) Breaker {
	b := Breaker{
		Target: t.Name, State: t.Breaker.State.String(), Manual: t.Breaker.Manual, Since: t.Breaker.Since, Failures: t.Breaker.Failures,
		Results: t.Breaker.Results, Successes: t.Breaker.Successes, Probes: t.Breaker.Probes, Running: t.Running, Waiting: t.Waiting, Parked: t.Parked,
	}
	if !t.Breaker.Until.IsZero() {
		b.Until = &t.Breaker.Until
	}
	return b
}

func serveBreaker(x *exchange, how host.Force) error {
	tenant, err := x.tenant()
	if err != nil {
		return err
	}
	name := x.r.PathValue("target")
	if err := x.host.SetBreaker(tenant, name, how); err != nil {
		return err
	}
	now, known := x.target(tenant, name)
	if !known { // it is there once it was set
		return refusal(abi.CodeInternal, "the target "+name+" is gone")
	}
	return x.reply(http.StatusOK, now)
}

// target finds a target of a tenant.
func (x *exchange) target(tenant, name string) (Breaker, bool) {
	targets := x.host.Targets(tenant)
	i := slices.IndexFunc(targets, func(t host.TargetStatus) bool { return t.Name == name })
	if i < 0 {
		return Breaker{}, false
	}
	return showBreaker(targets[i]), true
}
