package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
)

func (a *api) streamRoutes() []route {
	return []route{{
		method: http.MethodGet, path: storePath + "/subscribe", id: "subscribe", summary: "Follow a store's actions as they are committed",
		doc: "A WebSocket when the request asks for the upgrade: JSON frames both ways, a Request from the client, a Frame from the host; with " +
			"from in the URL the subscription begins at once, else with a subscribe frame. Server-sent events otherwise: each has a Frame for " +
			"its data and, for an action, its seq for its id, so that Last-Event-ID goes on where the stream broke. " +
			"WebSocket close codes from 3000 to 3499 mean reconnect, from 3500 to 3999 do not.",
		query:   []param{{name: "from", kind: huma.TypeInteger, doc: "The first action wanted; 0 = from now on."}},
		headers: []param{{name: "Last-Event-ID", kind: huma.TypeInteger, doc: "Server-sent events: the last action seen; stands in for from."}},
		reply:   Frame{}, gives: []string{contentEvents, contentJSON},
		serve: serveSubscribe,
	}}
}

func serveSubscribe(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	from, err := x.number("from")
	if err != nil {
		return err
	}
	if strings.EqualFold(x.r.Header.Get("Upgrade"), "websocket") {
		return serveSocket(x, s, from, x.query.Has("from"))
	}
	last, err := parseNumber("Last-Event-ID", x.r.Header.Get("Last-Event-ID"))
	if err != nil {
		return err
	}
	if last > 0 {
		from = last + 1
	}
	return serveEvents(x, s, from)
}

// frame shows an item of a subscription.
func frame(it host.Item) Frame {
	switch {
	case it.Action != nil:
		return Frame{Type: "event", Seq: it.Action.Seq, Action: it.Action.Body}
	case it.Gap != nil:
		return Frame{Type: "gap", From: it.Gap.From, To: it.Gap.To}
	default:
		return Frame{Type: "version", Revision: it.Version}
	}
}

// errorFrame shows an error; id is the command's, if it is about one.
func (a *api) errorFrame(err error, id json.RawMessage, address abi.Address) Frame {
	p := a.problem(err, place{tenant: address.Tenant, module: address.Module, key: address.Key})
	message := p.Detail
	if message == "" {
		message = p.Title
	}
	return Frame{Type: "error", ID: id, Code: p.Code, Reason: p.Reason, Message: message, Hint: p.Hint, Seq: p.Seq}
}

// encode is a frame in JSON.
func encode(f Frame) ([]byte, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode a frame: %w", err)
	}
	return b, nil
}

// pump gives each item of sub to write, and calls idle when there was none for KeepAlive. It returns why it ended, never nil.
func (a *api) pump(ctx context.Context, sub *host.Subscription, write func(Frame) error, idle func() error) error {
	for {
		wait, cancel := context.WithTimeout(ctx, a.cfg.KeepAlive)
		item, err := sub.Next(wait)
		cancel()
		switch {
		case err == nil:
			err = write(frame(item))
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			err = idle()
		}
		if err != nil {
			return err
		}
	}
}
