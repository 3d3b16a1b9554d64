package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

func (c *cli) bench() *cobra.Command {
	var file string
	l := load{Concurrency: 16, Duration: 5 * time.Second, Stores: 1}
	cmd := &cobra.Command{
		Use:   "bench ADDRESS [JSON]",
		Short: "Load a host and measure it",
		Long: "Send the same action again and again, and print the rate and the latencies.\n" +
			"The action defaults to the module's first command. With --in-process there is no host and no HTTP: the file's module is served here.",
		Example: "crhost bench counter '{\"type\":\"increment\"}' --concurrency 64",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return takes("ADDRESS")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.check(); err != nil {
				return err
			}
			a, err := address(args[0])
			if err != nil {
				return err
			}
			var action []byte
			if len(args) == 2 {
				action = []byte(args[1])
			}
			ctx := cmd.Context()
			var send func(ctx context.Context, key string) error
			if file != "" {
				var end func()
				send, end, err = c.inProcess(ctx, file, a, action)
				if err != nil {
					return err
				}
				defer end()
			} else if send, err = c.overHTTP(ctx, a, action, l.Concurrency); err != nil {
				return err
			}
			return c.report(l.run(ctx, a.Key, send))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "in-process", "", "FILE.wasm to serve here instead of asking a host")
	flags.IntVar(&l.Concurrency, "concurrency", l.Concurrency, "how many send at the same time")
	flags.DurationVar(&l.Duration, "duration", l.Duration, "how long")
	flags.Uint64Var(&l.Count, "count", 0, "how many actions at most (default: as many as the duration allows)")
	flags.IntVar(&l.Stores, "stores", l.Stores, "spread them over this many stores: KEY, KEY-1, KEY-2, ...")
	return cmd
}

// overHTTP sends over connections of its own.
func (c *cli) overHTTP(ctx context.Context, a abi.Address, action []byte, connections int) (func(context.Context, string) error, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = connections
	c.transport = transport
	if action == nil {
		reply, err := c.get(ctx, modulePath(a.Tenant, a.Module), nil)
		if err != nil {
			return nil, err
		}
		var m httpapi.Module
		if err := json.Unmarshal(reply, &m); err != nil {
			return nil, fmt.Errorf("read the module: %w", err)
		}
		types := make([]abi.Action, len(m.Actions))
		for i, t := range m.Actions {
			types[i] = abi.Action{Type: t.Type, Kind: abi.ActionKind(t.Kind)}
		}
		if action, err = firstCommand(types); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, key string) error {
		to := a
		to.Key = key
		resp, err := c.open(ctx, request{
			method: http.MethodPost, path: storePath(to, "actions"), content: "application/json", body: bytes.NewReader(action),
		})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body) // else the connection is not used again
		return err
	}, nil
}

// inProcess serves a module here and sends to it. The caller calls end.
func (c *cli) inProcess(ctx context.Context, file string, a abi.Address, action []byte) (send func(context.Context, string) error, end func(), err error) {
	wasm, err := c.wasm(file)
	if err != nil {
		return nil, nil, err
	}
	h, err := host.Open(ctx, host.Config{})
	if err != nil {
		return nil, nil, fmt.Errorf("open the host: %w", err)
	}
	shutdown := func() {
		if fault := h.Shutdown(context.WithoutCancel(ctx)); fault != nil {
			fmt.Fprintf(c.stderr, "crhost: shut down: %s\n", fault)
		}
	}
	defer func() {
		if err != nil {
			shutdown()
		}
	}()
	d, err := h.Deploy(ctx, host.DeployRequest{Tenant: a.Tenant, Module: a.Module, Wasm: wasm})
	if err != nil {
		return nil, nil, fmt.Errorf("deploy %s: %w", file, err)
	}
	if action == nil {
		if action, err = firstCommand(d.Manifest.Actions); err != nil {
			return nil, nil, err
		}
	}
	packed, err := jsonpack.ToMsgpack(nil, action)
	if err != nil {
		return nil, nil, usage(`for example: '{"type":"increment"}'`, "the action is not JSON: %s", err)
	}
	return func(ctx context.Context, key string) error {
		to := a
		to.Key = key
		_, err := h.Store(to).Send(ctx, packed)
		return err
	}, shutdown, nil
}

// firstCommand is an action of the first command of a module.
func firstCommand(actions []abi.Action) ([]byte, error) {
	for _, a := range actions {
		if a.Kind == abi.Command {
			return json.Marshal(map[string]string{"type": a.Type})
		}
	}
	return nil, usage("", "the module takes no commands")
}

// report prints a result.
func (c *cli) report(r result) error {
	if r.Actions == 0 && r.err != nil {
		return r.err
	}
	if c.output == "json" {
		b, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
		c.printf("%s\n", b)
		return nil
	}
	c.printf("%d actions in %.2f s: %s a second, %d at a time on %d stores\n", r.Actions, r.Seconds, strconv.FormatFloat(r.Rate, 'f', 0, 64), r.Concurrency, r.Stores)
	c.printf("latency: p50 %v, p90 %v, p99 %v, p99.9 %v, longest %v\n", r.P50, r.P90, r.P99, r.P999, r.Longest)
	if r.Refused > 0 {
		c.printf("%d refused; the first: %s\n", r.Refused, r.First)
	}
	return nil
}

// isRefusal reports whether err is an answer of the host, rather than the lack of one.
func isRefusal(err error) bool {
	var problem *httpapi.Problem
	var code *abi.Error
	return errors.As(err, &problem) || errors.As(err, &code)
}
