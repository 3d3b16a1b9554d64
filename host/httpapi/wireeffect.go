package httpapi

import (
	"cmp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/effects/breaker"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
)

// Effect is a leaf that is not done.
type Effect struct {
	Seq         uint64     `json:"seq" doc:"The action that described it."`
	Index       int        `json:"index" doc:"Which leaf of that action, from 0."`
	Key         string     `json:"key" doc:"The idempotency key that the outside is given."`
	Target      string     `json:"target" doc:"EFFECT=TARGET, as in a grant."`
	ID          string     `json:"id,omitempty" doc:"That the reducer gave it."`
	Drive       int        `json:"drive" doc:"Which run it is: 1, and one more for each retry of its dead letter."`
	Due         *time.Time `json:"due,omitempty" doc:"Of a delay: when it fires."`
	Held        bool       `json:"held,omitempty" doc:"Something before it in a sequential is not done."`
	Parked      *time.Time `json:"parked,omitempty" doc:"Since when it waits for its target: a breaker, a budget, or the module of a dispatch."`
	Correlation string     `json:"correlation" doc:"The id that it shares with everything of the same origin."`
}

// Effects is the list of a store's leaves that are not done.
type Effects struct {
	Effects []Effect `json:"effects"`
}

// DeadLetter is an effect that was given up, or whose feedback nobody took.
type DeadLetter struct {
	ID          string        `json:"id"`
	Address     string        `json:"address" doc:"tenant/module/key"`
	Seq         uint64        `json:"seq" doc:"The action that described the effect."`
	Target      string        `json:"target" doc:"EFFECT=TARGET, as in a grant."`
	Reason      string        `json:"reason" doc:"Why it is dead."`
	Time        time.Time     `json:"time" doc:"When it died."`
	Drive       int           `json:"drive" doc:"Which run of the effect ended here, from 1."`
	Correlation string        `json:"correlation" doc:"The id that it shares with everything of the same origin."`
	Fed         bool          `json:"fed" doc:"The reducer has taken action, and may have compensated: to retry does the effect all the same."`
	Overtaken   bool          `json:"overtaken,omitempty" doc:"Of a publish or append: later ones of the store to the target were done; to retry it puts it behind them."`
	Effect      Value         `json:"effect" doc:"The whole effect."`
	Action      Value         `json:"action,omitempty" doc:"What was, or would have been, fed back."`
	Attempts    []DeadAttempt `json:"attempts" doc:"Those that failed."`
}

// DeadAttempt is an attempt at an effect that failed.
type DeadAttempt struct {
	Time  time.Time `json:"time"`
	Error string    `json:"error"`
}

// DeadLetters is a list of dead letters, oldest first.
type DeadLetters struct {
	DeadLetters []DeadLetter `json:"deadletters"`
	More        bool         `json:"more,omitempty" doc:"There are more of them: narrow the filter, or retry or discard these first."`
}

// Retried is how far a retry of many dead letters is.
type Retried struct {
	Retried int `json:"retried"`
	Fed     int `json:"fed" doc:"How many of them had fed back, so that the reducer may have compensated."`
	Of      int `json:"of" doc:"How many matched when it began."`
}

// Breaker is a target of effects with its circuit breaker.
type Breaker struct {
	Target    string     `json:"target" doc:"EFFECT=TARGET, as in a grant."`
	State     string     `json:"state" enum:"closed,open,half-open"`
	Manual    bool       `json:"manual" doc:"It was set by hand, and stays so until it is set to auto."`
	Since     time.Time  `json:"since" doc:"Of the last change."`
	Until     *time.Time `json:"until,omitempty" doc:"Of an open one: when it asks for a probe."`
	Failures  int        `json:"failures" doc:"Of a closed one: in a row or, with a rate, in the window."`
	Results   int        `json:"results" doc:"Of a closed one with a rate: in the window."`
	Successes int        `json:"successes" doc:"Of a half-open one: probes that went well."`
	Probes    int        `json:"probes" doc:"Of a half-open one: that are out."`
	Running   int        `json:"running" doc:"Attempts under way."`
	Waiting   int        `json:"waiting" doc:"Effects that are ready, or parked."`
	Parked    bool       `json:"parked" doc:"They wait for the breaker."`
}

// Breakers is the list of a tenant's targets, by name.
type Breakers struct {
	Breakers []Breaker `json:"breakers"`
}

// Policy says how effects are tried and their targets spared. What is absent or 0 is the default; an answer has what is in force.
type Policy struct {
	Retry       RetryPolicy   `json:"retry,omitzero"`
	Budget      BudgetPolicy  `json:"budget,omitzero"`
	Breaker     BreakerPolicy `json:"breaker,omitzero"`
	Concurrency int           `json:"concurrency,omitzero" doc:"Attempts at a time at one target. Defaults to 64."`
}

// RetryPolicy says when a leaf is tried again.
type RetryPolicy struct {
	Initial    Duration `json:"initial,omitzero" doc:"The longest delay before the first retry. Defaults to 100ms."`
	Multiplier float64  `json:"multiplier,omitzero" doc:"Makes the longest delay before a retry out of that before it. Defaults to 2."`
	Max        Duration `json:"max,omitzero" doc:"Bounds the delays. Defaults to 30s."`
	Retries    int      `json:"retries,omitzero" doc:"How many attempts may follow the first one; below 0 none. Defaults to 5."`
	Timeout    Duration `json:"timeout,omitzero" doc:"Bounds an attempt. Defaults to 30s."`
	OnOpen     string   `json:"on_open,omitzero" enum:"park,deadletter" doc:"What a leaf does while the breaker is open or the budget spent. Defaults to park."`
	ParkLimit  Duration `json:"park_limit,omitzero" doc:"How long a leaf may be parked. Defaults to 24h."`
}

// BudgetPolicy bounds the retries of a target.
type BudgetPolicy struct {
	Ratio     float64 `json:"ratio,omitzero" doc:"How many retries a first attempt earns; below 0 none. Defaults to 0.2."`
	PerSecond float64 `json:"per_second,omitzero" doc:"How many there are a second besides. Defaults to 10."`
	Reserve   float64 `json:"reserve,omitzero" doc:"How many unused ones are kept. Defaults to 100."`
}

// BreakerPolicy says when a target's circuit breaker opens and closes.
type BreakerPolicy struct {
	Failures  int      `json:"failures,omitzero" doc:"How many in a row open it. Defaults to 5."`
	Rate      int      `json:"rate,omitzero" doc:"The percentage of failures in the window that opens it instead. Defaults to 0: failures counts."`
	Window    Duration `json:"window,omitzero" doc:"How far back rate looks. Defaults to 60s."`
	Minimum   int      `json:"minimum,omitzero" doc:"How few results say nothing about rate. Defaults to 20."`
	Open      Duration `json:"open,omitzero" doc:"How long it stays open before it asks for probes. Defaults to 60s."`
	Successes int      `json:"successes,omitzero" doc:"How many probes close it. Defaults to 2."`
	Probes    int      `json:"probes,omitzero" doc:"How many are out at a time. Defaults to 1."`
}

// NamedPolicy is a policy with its name.
type NamedPolicy struct {
	Name   string `json:"name" doc:"One that effects give with retry, a target EFFECT=TARGET, an EFFECT, or default."`
	Policy Policy `json:"policy" doc:"What is in force."`
}

// Policies is the list of a tenant's policies, by name.
type Policies struct {
	Policies []NamedPolicy `json:"policies"`
}

// Duration is a time.Duration that is text on the wire, such as 100ms or 24h.
type Duration time.Duration

// MarshalText is time.Duration.String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText is time.ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	*d = Duration(parsed)
	return err
}

// Schema says for the OpenAPI document that a duration is text.
func (Duration) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Examples: []any{"100ms", "24h"}}
}

// Host is the policy as the host has it.
func (p Policy) Host() host.Policy {
	return host.Policy{
		Retry: retry.Policy{
			Initial: time.Duration(p.Retry.Initial), Multiplier: p.Retry.Multiplier, Max: time.Duration(p.Retry.Max), Retries: p.Retry.Retries,
			Timeout: time.Duration(p.Retry.Timeout), OnOpen: retry.OnOpen(p.Retry.OnOpen), ParkLimit: time.Duration(p.Retry.ParkLimit),
		},
		Budget: retry.BudgetConfig{Ratio: p.Budget.Ratio, PerSecond: p.Budget.PerSecond, Reserve: p.Budget.Reserve},
		Breaker: breaker.Config{
			Failures: p.Breaker.Failures, Rate: p.Breaker.Rate, Window: time.Duration(p.Breaker.Window), Minimum: p.Breaker.Minimum,
			Open: time.Duration(p.Breaker.Open), Successes: p.Breaker.Successes, Probes: p.Breaker.Probes,
		},
		Concurrency: p.Concurrency,
	}
}

// showPolicy is a policy with its defaults filled in: what is in force, and what makes the same policy when it is put back.
func showPolicy(p host.Policy) Policy {
	r, b, k := p.Retry.OrDefault(), p.Budget.OrDefault(), p.Breaker.OrDefault()
	return Policy{
		Retry: RetryPolicy{
			Initial: Duration(r.Initial), Multiplier: r.Multiplier, Max: Duration(r.Max), Retries: r.Retries, Timeout: Duration(r.Timeout),
			OnOpen: string(r.OnOpen), ParkLimit: Duration(r.ParkLimit),
		},
		Budget: BudgetPolicy{Ratio: b.Ratio, PerSecond: b.PerSecond, Reserve: b.Reserve},
		Breaker: BreakerPolicy{
			Failures: k.Failures, Rate: k.Rate, Window: Duration(k.Window), Minimum: k.Minimum, Open: Duration(k.Open),
			Successes: k.Successes, Probes: k.Probes,
		},
		Concurrency: cmp.Or(p.Concurrency, host.DefaultTargetConcurrency),
	}
}
