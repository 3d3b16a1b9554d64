package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
)

const (
	tenantPath = "/v1/tenants/{tenant}"
	modulePath = tenantPath + "/modules/{module}"
	storePath  = modulePath + "/stores/{key}"
)

// A page of a list ends at the first of these.
const (
	maxPage      = 1000
	maxPageBytes = 4 << 20
)

func (a *api) actionRoutes() []route {
	timeout := param{name: "timeout", kind: huma.TypeString, doc: "How long the answer may take, such as 5s or 250ms."}
	return []route{
		{
			method: http.MethodPost, path: storePath + "/actions", id: "send", summary: "Send an action to a store",
			doc: "Answers when the action is accepted and durable. 409 is the reducer's own no; its code is the reason.",
			query: []param{
				{name: "wait_for", kind: huma.TypeString, doc: "Answer with the first action of this type that this one causes, itself included."},
				{name: "any", kind: huma.TypeBoolean, doc: "With wait_for: any action of the store counts, whatever caused it."},
				timeout,
			},
			headers: []param{{name: "Idempotency-Key", kind: huma.TypeString, doc: "Makes the action happen once: with a key that the store accepted an action under lately, the receipt is that one's. Up to 256 bytes."}},
			takes:   []string{contentJSON, contentMsgpack}, body: Value(nil), limit: abi.HardActionBytes,
			reply: Receipt{}, serve: serveSend,
		},
		{
			method: http.MethodGet, path: storePath + "/actions", id: "history", summary: "List a store's committed actions",
			query: []param{
				{name: "from", kind: huma.TypeInteger, doc: "The first wanted; 0 = the oldest kept."},
				{name: "to", kind: huma.TypeInteger, doc: "The last wanted; 0 = the newest."},
				{name: "limit", kind: huma.TypeInteger, doc: "How many at most, up to 1000."},
			},
			reply: History{}, serve: serveHistory,
		},
		{
			method: http.MethodGet, path: storePath + "/actions/{seq}", id: "action", summary: "Show one committed action",
			query: []param{
				{name: "wait", kind: huma.TypeString, enum: []string{"direct", "all"}, doc: "Answer when its effects are done; all: and everything that they caused."},
				timeout,
			},
			reply: Action{}, serve: serveAction,
		},
	}
}

func serveSend(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	waitFor := x.query.Get("wait_for")
	wide, err := x.flag("any")
	if err != nil {
		return err
	}
	if wide && waitFor == "" {
		return refusal(abi.CodeBadRequest, "query parameter any goes with wait_for")
	}
	def := x.cfg.WaitTimeout
	if waitFor == "" {
		def = 0 // what bounds a send is its queue
	}
	ctx, cancel, err := x.bounded(def)
	if err != nil {
		return err
	}
	defer cancel()
	options := host.SendOptions{Key: x.r.Header.Get("Idempotency-Key")}
	return x.read(func(action []byte) error { return x.send(ctx, s, action, options, waitFor, wide) })
}

// send does the rest of serveSend. The host does not keep the action.
func (x *exchange) send(ctx context.Context, s *host.Store, action []byte, options host.SendOptions, waitFor string, wide bool) error {
	if waitFor == "" {
		r, err := s.SendWith(ctx, action, options)
		if err != nil {
			return err
		}
		return x.reply(http.StatusOK, receipt(r))
	}
	match := func(a host.Action) bool { return a.Type == waitFor }
	matched, r, err := s.SendAndWaitFor(ctx, action, match, host.WaitOptions{SendOptions: options, Any: wide})
	if err != nil {
		if r.Seq != 0 {
			err = &accepted{seq: r.Seq, err: err}
		}
		return err
	}
	out := receipt(r)
	shown := showAction(&matched)
	out.Matched = &shown
	return x.reply(http.StatusOK, out)
}

func receipt(r host.Receipt) Receipt {
	return Receipt{Seq: r.Seq, Revision: r.Revision, Correlation: r.Correlation(), Replayed: r.Replayed}
}

func showAction(a *host.Action) Action {
	return Action{
		Seq: a.Seq, Time: a.Time, Action: a.Body, Revision: a.Revision, Cause: a.Cause, Correlation: a.Correlation,
		Principal: a.Principal, Fuel: a.Fuel,
	}
}

func serveHistory(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	from, err := x.number("from")
	if err != nil {
		return err
	}
	to, err := x.number("to")
	if err != nil {
		return err
	}
	limit, err := x.limit()
	if err != nil {
		return err
	}
	page := History{Actions: []Action{}}
	bytes := 0
	for a, err := range s.History(x.r.Context(), from, to) {
		var gap *host.GapError
		switch {
		case errors.As(err, &gap):
			page.Gap = &Gap{From: gap.From, To: gap.To}
			continue
		case err != nil:
			return err
		}
		if uint64(len(page.Actions)) == limit || bytes > maxPageBytes {
			page.Next = a.Seq
			break
		}
		bytes += len(a.Body)
		page.Actions = append(page.Actions, showAction(&a))
	}
	return x.reply(http.StatusOK, page)
}

func serveAction(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	seq, err := parseNumber("seq", x.r.PathValue("seq"))
	if err != nil {
		return err
	}
	if seq == 0 {
		return refusal(abi.CodeBadRequest, "seq: the first action is 1")
	}
	wait, err := x.oneOf("wait", "direct", "all")
	if err != nil {
		return err
	}
	ctx, cancel, err := x.bounded(x.cfg.WaitTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	if err := waitFor(ctx, s, seq, wait); err != nil {
		return err
	}
	return x.find(ctx, s, seq)
}

// waitFor waits until the effects of an action are done.
func waitFor(ctx context.Context, s *host.Store, seq uint64, wait string) (err error) {
	switch wait {
	case "direct":
		err = s.Wait(ctx, seq)
	case "all":
		err = s.WaitAll(ctx, seq)
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &abi.Error{Code: abi.CodeTimeout, Text: fmt.Sprintf("the effects of action %d are not done yet", seq)}
	}
	return err
}

// find answers with one action of the history.
func (x *exchange) find(ctx context.Context, s *host.Store, seq uint64) error {
	for a, err := range s.History(ctx, seq, seq) {
		var gap *host.GapError
		switch {
		case errors.As(err, &gap):
			return refusal(abi.CodeNotFound, fmt.Sprintf("action %d is not kept any more", seq))
		case err != nil:
			return err
		}
		return x.reply(http.StatusOK, showAction(&a))
	}
	return refusal(abi.CodeNotFound, fmt.Sprintf("the store has no action %d yet", seq))
}
