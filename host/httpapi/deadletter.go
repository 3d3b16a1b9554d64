package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/negotiation"

	"github.com/crhost/crhost/host"
)

const lettersPath = tenantPath + "/deadletters"

func (a *api) letterRoutes() []route {
	filter := []param{
		{name: "module", kind: huma.TypeString, doc: "Only this module's."},
		{name: "key", kind: huma.TypeString, doc: "Only of stores with this key."},
		{name: "reason", kind: huma.TypeString, doc: "Only those that died of this."},
		{name: "target", kind: huma.TypeString, doc: "Only those for this EFFECT=TARGET."},
	}
	return []route{
		{
			method: http.MethodGet, path: lettersPath, id: "deadletters", summary: "List a tenant's dead letters, oldest first",
			query: append([]param{{name: "limit", kind: huma.TypeInteger, doc: "How many at most, up to 1000."}}, filter...),
			reply: DeadLetters{}, serve: serveLetters,
		},
		{
			method: http.MethodGet, path: lettersPath + "/{id}", id: "deadletter", summary: "Show a dead letter", about: aboutLetter,
			reply: DeadLetter{}, serve: serveLetter,
		},
		{
			method: http.MethodPost, path: lettersPath + "/{id}/retry", id: "retryDeadletter", summary: "Do the effect of a dead letter once more", about: aboutLetter,
			doc: "Or feed its action back once more, where only that was refused. Answers with the letter, which is gone by then. If it was fed, the reducer has been " +
				"told that the effect failed and may have compensated: the host does the effect all the same.",
			reply: DeadLetter{}, serve: serveRetryLetter,
		},
		{
			method: http.MethodDelete, path: lettersPath + "/{id}", id: "discardDeadletter", summary: "Forget a dead letter", about: aboutLetter,
			status: http.StatusNoContent, serve: serveDiscardLetter,
		},
		{
			method: http.MethodPost, path: lettersPath + "/retry", id: "retryDeadletters", summary: "Retry all dead letters that match, oldest first",
			doc: "Those that are there when it begins. Answers when it has ended, or with the first error, after which the rest is as it was; with Accept: text/event-stream " +
				"tells of each: events named progress with a Retried, then done with the last, or error with the problem. It ends when the client goes away.",
			query: append([]param{{name: "rate", kind: huma.TypeNumber, doc: "How many a second at most. Defaults to 100."}}, filter...),
			reply: Retried{}, gives: []string{contentJSON, contentMsgpack, contentEvents}, serve: serveRetryLetters,
		},
	}
}

// filter reads which dead letters are meant.
func (x *exchange) filter() (host.DeadLetterFilter, error) {
	tenant, err := x.tenant()
	return host.DeadLetterFilter{
		Tenant: tenant, Module: x.query.Get("module"), Key: x.query.Get("key"), Reason: x.query.Get("reason"), Target: x.query.Get("target"),
	}, err
}

func serveLetters(x *exchange) error {
	filter, err := x.filter()
	if err != nil {
		return err
	}
	limit, err := x.limit()
	if err != nil {
		return err
	}
	// One more than asked for shows whether there is more.
	found, err := x.host.DeadLetters(filter, int(limit)+1)
	if err != nil {
		return err
	}
	list := DeadLetters{DeadLetters: []DeadLetter{}}
	bytes := 0
	for _, d := range found {
		if uint64(len(list.DeadLetters)) == limit || bytes > maxPageBytes {
			list.More = true
			break
		}
		bytes += len(d.Effect) + len(d.Action)
		list.DeadLetters = append(list.DeadLetters, showLetter(d))
	}
	return x.reply(http.StatusOK, list)
}

func showLetter(d host.DeadLetter) DeadLetter {
	out := DeadLetter{
		ID: d.ID, Address: d.Address.String(), Seq: d.Seq, Target: d.Kind + "=" + d.Target, Reason: d.Reason, Time: d.Time, Drive: d.Drive,
		Correlation: d.Correlation, Fed: d.Fed, Overtaken: d.Overtaken, Effect: d.Effect, Action: d.Action, Attempts: []DeadAttempt{},
	}
	for _, a := range d.Attempts {
		out.Attempts = append(out.Attempts, DeadAttempt{Time: a.Time, Error: a.Error})
	}
	return out
}

// letter finds the dead letter of the path.
func (x *exchange) letter() (tenant string, d host.DeadLetter, err error) {
	if tenant, err = x.tenant(); err != nil {
		return tenant, d, err
	}
	d, err = x.host.DeadLetter(tenant, x.r.PathValue("id"))
	return tenant, d, err
}

func serveLetter(x *exchange) error {
	_, d, err := x.letter()
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, showLetter(d))
}

func serveRetryLetter(x *exchange) error {
	tenant, d, err := x.letter()
	if err != nil {
		return err
	}
	if err := x.host.RetryDeadLetter(x.r.Context(), tenant, d.ID); err != nil {
		return err
	}
	return x.reply(http.StatusOK, showLetter(d))
}

func serveDiscardLetter(x *exchange) error {
	tenant, err := x.tenant()
	if err != nil {
		return err
	}
	if err := x.host.DiscardDeadLetter(x.r.Context(), tenant, x.r.PathValue("id")); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

func serveRetryLetters(x *exchange) error {
	filter, err := x.filter()
	if err != nil {
		return err
	}
	rate, err := x.rate("rate")
	if err != nil {
		return err
	}
	if negotiation.SelectQValueFast(x.r.Header.Get("Accept"), []string{contentJSON, contentMsgpack, contentEvents}) == contentEvents {
		return x.tellRetries(filter, rate)
	}
	var total Retried
	if err := x.host.RetryEachDeadLetter(x.r.Context(), filter, rate, func(d host.DeadLetter, of int) { total.count(d, of) }); err != nil {
		return err
	}
	return x.reply(http.StatusOK, total)
}

// count adds one letter that was retried.
func (r *Retried) count(d host.DeadLetter, of int) {
	r.Retried++
	r.Of = of
	if d.Fed {
		r.Fed++
	}
}

// tellRetries is serveRetryLetters as a stream.
func (x *exchange) tellRetries(filter host.DeadLetterFilter, rate float64) error {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	out := x.events()
	if out.comment("retrying") != nil {
		return nil
	}
	var total Retried
	err := x.host.RetryEachDeadLetter(ctx, filter, rate, func(d host.DeadLetter, of int) {
		total.count(d, of)
		if out.event("progress", total) != nil {
			cancel(errClientGone)
		}
	})
	// An error of these is the client's going away: nobody is left to tell.
	if err != nil {
		out.event("error", x.problem(err, x.place()))
		return nil
	}
	out.event("done", total)
	return nil
}
