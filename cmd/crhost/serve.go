package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/orders"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/journal/pebble"
)

// Defaults of serve's own flags.
const (
	defaultListen = "127.0.0.1:8420"
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// server is one run of serve.
type server struct {
	*cli
	flags   serveFlags
	plugins []plugin

	host     *host.Host
	journal  *pebble.Backend // nil: in memory
	died     chan struct{}   // closed when the journal takes nothing any more
	watchers *watchers
	url      string
	cutOff   context.CancelFunc    // ends the streams that are left
	starting atomic.Pointer[error] // why it cannot take traffic; nil when it can
}

func (c *cli) serve() *cobra.Command {
	s := &server{cli: c}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve modules",
		Long: "Serve modules over HTTP, until it is interrupted. There is no authentication: it listens on loopback addresses only, unless --insecure.\n" +
			"With --data, nothing is acknowledged before it is on disk, and the next start goes on from there.",
		Example: "crhost serve --data data --plugin counter=bin/plugins/counter.wasm",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	s.flags.register(cmd.Flags())
	return cmd
}

// run serves until ctx ends, then shuts down: the host first, which ends the streams, then the connections.
func (s *server) run(ctx context.Context) (err error) {
	if err := s.check(); err != nil {
		return err
	}
	if s.watchers, err = s.watch(ctx); err != nil {
		return err
	}
	defer s.watchers.close()
	cfg := s.flags.host
	cfg.Observer = s.watchers.observer
	cfg.Projections = []projection.Projection{orders.ByCustomer{}} // the example's; others take a program of one's own
	if err := s.open(ctx, cfg); err != nil {
		return err
	}
	s.notReady(errors.New("starting"))
	web, ended, err := s.listen()
	if err == nil {
		if err = s.start(ctx); err == nil {
			select {
			case <-ctx.Done():
			case err = <-ended:
			case <-s.died:
			}
		}
		if ctx.Err() != nil {
			err = nil // it was asked to stop
		}
	}
	return s.because(errors.Join(err, s.shutdown(ctx, web), s.closeJournal()))
}

// check refuses what cannot be right, before anything is started.
func (s *server) check() error {
	f := &s.flags
	name, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return usage("for example: --listen "+defaultListen, "--listen %s: %s", f.listen, err)
	}
	if !httpapi.IsLoopback(name) && !f.insecure {
		return &failure{
			exit:   exitNotAllowed,
			detail: fmt.Sprintf("--listen %s is open to others, and there is no authentication", f.listen),
			hint:   "listen on " + defaultListen + ", or accept that anybody can do anything: --insecure --host NAME",
		}
	}
	if f.data != "" && f.host.History != 0 {
		return usage("leave --history away: all of it is kept", "--history is for a host without --data")
	}
	if err := f.host.Validate(); err != nil {
		return usage("see the flags: crhost serve --help", "%s", err)
	}
	if s.plugins, err = s.readPlugins(); err != nil {
		return err
	}
	if f.host.Policies, err = s.readPolicies(); err != nil {
		return err
	}
	known, err := s.readSecrets()
	f.host.Secret = known.lookup
	return err
}

// listen opens the door. The channel brings why it closed by itself.
func (s *server) listen() (*http.Server, <-chan error, error) {
	f := &s.flags
	handler, err := httpapi.New(httpapi.Config{
		Host: s.host, Metrics: s.watchers.metrics, Hostname: f.hostname, Ready: s.ready, Context: s.watchers.context,
		Version: version(), KeepAlive: f.keepAlive, WriteTimeout: f.writeTimeout, WaitTimeout: f.waitTimeout,
	})
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return nil, nil, &failure{exit: exitUnavailable, detail: err.Error(), hint: "is another one running? choose another port: --listen 127.0.0.1:0"}
	}
	s.url = reachable(l.Addr())
	base, cutOff := context.WithCancel(context.Background())
	s.cutOff = cutOff
	web := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return base },
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	s.say(event{Event: "listening", URL: s.url}, "listening on http://%s", l.Addr())
	return web, ended, nil
}

// reachable is the URL of an address as seen from this machine: all interfaces are reached by the loopback one, which the door knows.
func reachable(a net.Addr) string {
	at := a.String()
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		at = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return "http://" + at
}

// start deploys the plugins, then says that it is ready and what to try.
func (s *server) start(ctx context.Context) error {
	for _, p := range s.plugins {
		start := time.Now()
		d, err := s.host.Deploy(ctx, host.DeployRequest{
			Tenant: abi.DefaultTenant, Module: p.name, Wasm: p.wasm, Config: p.config, Grants: p.grants, Plugin: true,
		})
		if err != nil {
			return &failure{
				exit: show(err).Exit, detail: fmt.Sprintf("--plugin %s=%s: %s", p.name, p.file, err), hint: "look into it: crhost inspect " + p.file,
			}
		}
		s.say(event{Event: "deployed", Module: d.Module, Revision: d.Revision, Outcome: d.Outcome},
			"%s  %s  %s in %.1f s", d.Module, d.Revision, d.Outcome, time.Since(start).Seconds())
	}
	s.starting.Store(nil)
	s.say(event{Event: "ready", URL: s.url}, "ready; try:%s", s.suggest())
	return nil
}

func (s *server) ready() error {
	if why := s.starting.Load(); why != nil {
		return *why
	}
	return nil
}

func (s *server) notReady(why error) { s.starting.Store(&why) }

// shutdown ends everything within the timeout. Its error says what did not end in time.
func (s *server) shutdown(ctx context.Context, web *http.Server) error {
	s.notReady(errors.New("shutting down"))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.flags.shutdownTimeout)
	defer cancel()
	err := s.host.Shutdown(ctx)
	if web != nil {
		err = errors.Join(err, s.closeDoor(ctx, web))
		s.say(event{Event: "stopped"}, "stopped")
	}
	return err
}

// streamGrace is how long streams have for their last words.
const streamGrace = 2 * time.Second

// closeDoor ends the connections. The host has ended the streams of its stores, and each says why before it goes; what has not gone by itself then, as a
// socket that never subscribed, is cut off.
func (s *server) closeDoor(ctx context.Context, web *http.Server) error {
	grace, cancel := context.WithTimeout(ctx, streamGrace)
	defer cancel()
	err := web.Shutdown(grace)
	s.cutOff()
	if err != nil {
		err = web.Shutdown(ctx)
	}
	return err
}

// event is a line of serve's output with -o json.
type event struct {
	Event    string `json:"event"`
	URL      string `json:"url,omitempty"`
	Module   string `json:"module,omitempty"`
	Revision string `json:"revision,omitempty"`
	Outcome  string `json:"outcome,omitempty"`
	File     string `json:"file,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
}

// suggest is three commands to try.
func (s *server) suggest() string {
	at := ""
	if s.url != defaultURL {
		at = " --url " + s.url
	}
	typed := func(command string) string { return "\n  " + s.name + " " + command + at }
	modules := s.host.Modules(abi.DefaultTenant)
	if len(modules) == 0 {
		return typed("deploy counter bin/plugins/counter.wasm") + typed("modules") + typed("send counter '{\"type\":\"increment\"}'")
	}
	m := modules[0]
	action := "ACTION"
	for _, a := range m.Manifest.Actions {
		if a.Kind == abi.Command {
			action = a.Type
			break
		}
	}
	return typed("send "+m.Module+` '{"type":"`+action+`"}'`) + typed("state "+m.Module) + typed("watch "+m.Module+" --from 1")
}
