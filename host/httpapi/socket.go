package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
)

// socket is one WebSocket connection.
//
// Two goroutines at most: read takes the client's frames one after the other and answers them, follow sends what the subscription brings.
// The connection orders their writes. Whichever ends first closes the connection, which ends the other.
type socket struct {
	*api
	conn      *websocket.Conn
	store     *host.Store
	following chan struct{} // closed when follow has ended; nil while there is no subscription
}

func serveSocket(x *exchange, s *host.Store, from uint64, subscribe bool) error {
	if _, err := x.host.Module(s.Address().Tenant, s.Address().Module); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	var sub *host.Subscription
	if subscribe { // before the upgrade: whoever sees the connection open is subscribed
		var err error
		if sub, err = s.Subscribe(ctx, host.SubscribeOptions{From: from}); err != nil {
			return err
		}
	}
	// Its own check of the Origin compares with the Host header; the door has checked both.
	conn, err := websocket.Accept(x.w, x.r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		if sub != nil {
			sub.Close()
		}
		return nil // Accept has answered
	}
	k := &socket{api: x.api, conn: conn, store: s}
	defer func() {
		cancel()
		conn.CloseNow()
		if k.following != nil {
			<-k.following
		}
	}()
	conn.SetReadLimit(abi.HardActionBytes + 1<<10)
	stop := context.AfterFunc(ctx, func() { k.end(refusal(abi.CodeShuttingDown, "the host is shutting down")) })
	defer stop()
	if sub != nil {
		k.follow(ctx, sub)
	}
	k.end(k.read(ctx))
	return nil
}

// end tells the client why, and closes. Only the first call does something.
func (k *socket) end(err error) {
	code, _, text := classify(err)
	if status := websocket.CloseStatus(err); status != -1 || errors.Is(err, errClientGone) {
		return
	}
	if len(text) > 120 { // a close frame has 123 bytes for it
		text = text[:120]
	}
	k.conn.Close(k.answers[code].close, text)
}

// read answers the client's frames until the connection ends. It returns why.
func (k *socket) read(ctx context.Context) error {
	for {
		kind, b, err := k.conn.Read(context.WithoutCancel(ctx))
		if err != nil {
			if websocket.CloseStatus(err) != -1 {
				return err
			}
			return errors.Join(errClientGone, err)
		}
		var req Request
		if kind != websocket.MessageText {
			return refusal(abi.CodeBadRequest, "a binary frame: frames are JSON text")
		}
		if err := json.Unmarshal(b, &req); err != nil {
			return &abi.Error{Code: abi.CodeMalformed, Text: "read the frame: " + err.Error(), Err: err}
		}
		out, err := k.answer(ctx, req)
		if err != nil {
			out = k.errorFrame(err, req.ID, k.store.Address())
		}
		if out.Type == "" {
			continue
		}
		if err := k.write(out); err != nil {
			return err
		}
	}
}

// answer does what one frame asks. The frame it returns has no type when there is nothing to say.
func (k *socket) answer(ctx context.Context, req Request) (Frame, error) {
	switch req.Type {
	case "ping":
		return Frame{Type: "pong"}, nil
	case "subscribe":
		return Frame{}, k.subscribe(ctx, req.From)
	case "command":
		action, err := toMsgpack(nil, req.Action)
		if err != nil {
			return Frame{}, err
		}
		r, err := k.store.SendWith(ctx, action, host.SendOptions{Key: req.Key})
		if err != nil {
			return Frame{}, err
		}
		return Frame{Type: "ack", ID: req.ID, Seq: r.Seq, Replayed: r.Replayed}, nil
	}
	return Frame{}, refusal(abi.CodeBadRequest, fmt.Sprintf("no frame type %q, there is command, subscribe and ping", req.Type))
}

// subscribe begins the subscription, of which a connection has at most one.
func (k *socket) subscribe(ctx context.Context, from uint64) error {
	if k.following != nil {
		return refusal(abi.CodeBadRequest, "this connection is subscribed already")
	}
	sub, err := k.store.Subscribe(ctx, host.SubscribeOptions{From: from})
	if err != nil {
		return err
	}
	k.follow(ctx, sub)
	return nil
}

// follow sends what sub brings until it ends, or the connection does.
func (k *socket) follow(ctx context.Context, sub *host.Subscription) {
	k.following = make(chan struct{})
	go func() {
		defer close(k.following)
		defer sub.Close()
		err := k.pump(ctx, sub, k.write, func() error { return k.ping(ctx) })
		if ctx.Err() == nil {
			k.end(err)
		}
	}()
}

// write sends one frame. Errors are errClientGone when it was not taken in time.
func (k *socket) write(f Frame) error {
	b, err := encode(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), k.cfg.WriteTimeout)
	defer cancel()
	if err := k.conn.Write(ctx, websocket.MessageText, b); err != nil {
		return errors.Join(errClientGone, err)
	}
	return nil
}

// ping checks that the client is there.
func (k *socket) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.WriteTimeout)
	defer cancel()
	if err := k.conn.Ping(ctx); err != nil {
		return errors.Join(errClientGone, err)
	}
	return nil
}
