package httpapi

import (
	"bytes"
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
	h := x.w.Header()
	h.Set("Content-Type", contentEvents)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // else nginx keeps the events
	out := http.NewResponseController(x.w)
	send := func(b []byte) error {
		if err := out.SetWriteDeadline(time.Now().Add(x.cfg.WriteTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return errClientGone
		}
		if _, err := x.w.Write(b); err != nil {
			return errClientGone
		}
		if err := out.Flush(); err != nil {
			return errClientGone
		}
		return nil
	}
	if err := send([]byte(": subscribed\n\n")); err != nil {
		return nil
	}
	err = x.pump(ctx, sub,
		func(f Frame) error {
			b, err := appendEvent(nil, f)
			if err != nil {
				return err
			}
			return send(b)
		},
		func() error { return send([]byte(": alive\n\n")) },
	)
	if errors.Is(err, errClientGone) || x.r.Context().Err() != nil {
		return nil
	}
	b, err := appendEvent(nil, x.errorFrame(err, nil, s.Address()))
	if err != nil {
		return nil // the status line is long gone
	}
	send(b)
	return nil
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
