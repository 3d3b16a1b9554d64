// Package goplugin is what a host and a plug-in process agree on when a counter is served by hashicorp/go-plugin over gRPC: the handshake
// and a service of two methods.
//
// The messages are protobuf's own wrappers, so that no code has to be generated; an action is the same msgpack as everywhere else, and an
// accepted one is answered by the empty message. A client is safe from any goroutine; the server takes one action at a time.
package goplugin

import (
	"context"
	"sync"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/crhost/crhost/bench/counter"
)

// Name is what the plug-in is dispensed under.
const Name = "counter"

const (
	service      = "crhost.bench.Counter"
	reduceMethod = "/" + service + "/Reduce"
	readMethod   = "/" + service + "/Read"
)

// Handshake tells a host and a plug-in that they are meant for each other.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CRHOST_BENCH_PLUGIN", MagicCookieValue: "counter"}
}

// Plugins is what both sides give to go-plugin.
func Plugins() plugin.PluginSet { return plugin.PluginSet{Name: &counterPlugin{}} }

type counterPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

var _ plugin.GRPCPlugin = (*counterPlugin)(nil)

// GRPCServer serves a new counter.
func (*counterPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&description, &server{})
	return nil
}

// GRPCClient returns a *Client.
func (*counterPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &Client{conn: conn}, nil
}

// Client calls a counter in another process.
type Client struct{ conn *grpc.ClientConn }

// Reduce applies an action. Errors are of package status; InvalidArgument when the counter refused it.
func (c *Client) Reduce(ctx context.Context, action []byte) error {
	return c.conn.Invoke(ctx, reduceMethod, &wrapperspb.BytesValue{Value: action}, new(emptypb.Empty))
}

// Read returns the encoded state. Errors are of package status.
func (c *Client) Read(ctx context.Context) ([]byte, error) {
	state := new(wrapperspb.BytesValue)
	err := c.conn.Invoke(ctx, readMethod, new(emptypb.Empty), state)
	return state.GetValue(), err
}

type server struct {
	mu    sync.Mutex // guards state
	state counter.Counter
}

func (s *server) reduce(_ context.Context, action *wrapperspb.BytesValue) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.state.Reduce(action.GetValue()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return new(emptypb.Empty), nil
}

func (s *server) read(context.Context, *emptypb.Empty) (*wrapperspb.BytesValue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &wrapperspb.BytesValue{Value: s.state.Append(nil)}, nil
}

// description is what protoc would generate.
var description = grpc.ServiceDesc{
	ServiceName: service,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Reduce", Handler: unary(reduceMethod, (*server).reduce)},
		{MethodName: "Read", Handler: unary(readMethod, (*server).read)},
	},
}

// unary makes a handler as protoc generates them.
func unary[In, Out any](method string, f func(*server, context.Context, *In) (*Out, error)) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := new(In)
		if err := decode(in); err != nil {
			return nil, err
		}
		if intercept == nil {
			return f(srv.(*server), ctx, in)
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, func(ctx context.Context, in any) (any, error) {
			return f(srv.(*server), ctx, in.(*In))
		})
	}
}
