package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/crhost/crhost/host"
)

// errClientGone ends a stream whose client takes nothing more.
var errClientGone = errors.New("the client is gone")

// serveEvents streams a store's actions as server-sent events. The comment that comes first says that the subscription stands.
func serveEvents(x *exchange, s *host.Store, from uint64) error {
	ctx := x.r.Context()
	sub, err := s.Subscribe(ctx, host.SubscribeOptions{From: from})
	if err != nil {
		return err
	}
	defer sub.Close()
	out := x.events()
	if err := out.comment("subscribed"); err != nil {
		return nil
	}
	err = x.pump(ctx, sub,
		func(f Frame) error {
			b, err := appendEvent(nil, f)
			if err != nil {
				return err
			}
			return out.send(b)
		},
		func() error { return out.comment("alive") },
	)
	if errors.Is(err, errClientGone) || x.r.Context().Err() != nil {
		return nil
	}
	b, err := appendEvent(nil, x.errorFrame(err, nil, s.Address()))
	if err != nil {
		return nil // the status line is long gone
	}
	out.send(b)
	return nil
}

// events is the answer to one request as server-sent events.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration // how long the client may take nothing
}

// events begins such an answer.
func (x *exchange) events() *events {
	h := x.w.Header()
	h.Set("Content-Type", contentEvents)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // else nginx keeps the events
	return &events{w: x.w, control: http.NewResponseController(x.w), timeout: x.cfg.WriteTimeout}
}

// send writes b, at once. Its error is errClientGone.
func (e *events) send(b []byte) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errClientGone
	}
	if _, err := e.w.Write(b); err != nil {
		return errClientGone
	}
	if err := e.control.Flush(); err != nil {
		return errClientGone
	}
	return nil
}

// comment sends a line that clients skip.
func (e *events) comment(text string) error { return e.send([]byte(": " + text + "\n\n")) }

// event sends one event with v, in JSON, for its data.
func (e *events) event(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	return e.send(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data))
}

// appendEvent appends one event: the frame's type, its seq as id, and the frame.
func appendEvent(dst []byte, f Frame) ([]byte, error) {
	data, err := encode(f)
	if err != nil {
		return nil, err
	}
	if bytes.ContainsAny(data, "\r\n") {
		return nil, fmt.Errorf("the frame %s does not fit a line", f.Type)
	}
	if f.Type == "event" {
		dst = append(dst, "id: "...)
		dst = strconv.AppendUint(dst, f.Seq, 10)
		dst = append(dst, '\n')
	}
	dst = append(dst, "event: "...)
	dst = append(dst, f.Type...)
	dst = append(dst, "\ndata: "...)
	dst = append(dst, data...)
	return append(dst, "\n\n"...), nil
}
