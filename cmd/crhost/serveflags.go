package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
	"github.com/crhost/crhost/host/observe/prometheus"
)

// serveFlags are serve's settings, every one a flag.
type serveFlags struct {
	listen, hostname string
	insecure         bool
	data             string

	plugins, configs, grants, secrets, policies []string

	host host.Config

	keepAlive, writeTimeout, waitTimeout, shutdownTimeout time.Duration

	logLevel, logFormat, metricsPrefix string
}

func (f *serveFlags) register(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&f.listen, "listen", defaultListen, "where to listen; port 0 takes a free one")
	flags.StringVar(&f.hostname, "host", "", "a name besides loopback addresses that Host and Origin headers may bear")
	flags.BoolVar(&f.insecure, "insecure", false, "listen on an address that others can reach, without authentication")
	flags.StringVar(&f.data, "data", "", "DIR that keeps everything; made when it is not there (default: none, all ends with the process)")
	flags.StringArrayVar(&f.plugins, "plugin", nil, "NAME=FILE.wasm to deploy at start; may be repeated")
	flags.StringArrayVar(&f.configs, "config", nil, "NAME=FILE.json with the config of a --plugin; may be repeated")
	flags.StringArrayVar(&f.grants, "grant", nil, "NAME:EFFECT=TARGET that a --plugin may cause; may be repeated")

	flags.StringArrayVar(&f.secrets, "secret", nil, "NAME=FILE with a secret that http calls may name, or TENANT/NAME=FILE; may be repeated")
	flags.StringArrayVar(&f.policies, "policy", nil, "NAME=FILE.json with a policy that every tenant begins with; may be repeated")

	h := &f.host
	flags.StringVar(&h.CacheDir, "cache", "", "DIR for compiled code, so that a restart need not compile (default: none)")
	flags.IntVar(&h.Shards, "shards", 0, "shards per module, each with a guest of its own (default: one per CPU)")
	flags.IntVar(&h.QueueDepth, "queue-depth", host.DefaultQueueDepth, "actions that may wait for one store, or for the journal")
	flags.IntVar(&h.Residents, "residents", host.DefaultResidents, "decoded states that one shard's guest keeps")
	flags.IntVar(&h.Stores, "stores", host.DefaultStores, "stores that one shard keeps in memory; idle ones beyond are read from the journal when they are used")
	flags.IntVar(&h.TailBytes, "tail-bytes", host.DefaultTailBytes, "actions since a store was last encoded, in bytes, that make it be encoded anew")
	flags.Uint64Var(&h.RebuildFuel, "rebuild-fuel", host.DefaultRebuildFuel, "fuel of the actions since a store was last encoded that makes it be encoded anew")
	flags.IntVar(&h.History, "history", 0, "actions kept of each store without --data; below 0 none (default: 1000)")
	flags.IntVar(&h.SubscriberBuffer, "subscriber-buffer", host.DefaultSubscriberBuffer, "actions a subscriber may lag before it gets a gap")
	flags.Float64Var(&h.TrapRate, "trap-rate", host.DefaultTrapRate, "traps a second of one module before the stores that trapped lately are refused")
	flags.BoolVar(&h.HaltOnCommandTrap, "halt-on-command-trap", false, "let a command that traps halt its store")

	flags.IntVar(&h.TrapLimit, "trap-limit", host.DefaultTrapLimit, "traps on one feedback, one after another, that halt its store")
	flags.IntVar(&h.MaxDeadLetters, "max-dead-letters", host.DefaultMaxDeadLetters, "dead letters that a module may have; beyond, none are kept")
	flags.Int64Var(&h.ReserveBytes, "reserve-bytes", 0, "room on the disk of --data that is left to what is under way; below 0 none (default: 1 GiB, or 5 % if that is less)")
	flags.Uint64Var(&h.KeyActions, "key-actions", host.DefaultKeyActions, "for how many of its actions a store remembers the idempotency keys of its callers")
	flags.DurationVar(&h.KeyAge, "key-age", host.DefaultKeyAge, "and for how long")
	flags.IntVar(&h.CascadeLimit, "cascade-limit", host.DefaultCascadeLimit, "actions that may cause one another, one after another")
	flags.IntVar(&h.HostConcurrency, "effect-concurrency", host.DefaultHostConcurrency, "effects attempted at a time")
	flags.IntVar(&h.TenantConcurrency, "tenant-concurrency", host.DefaultTenantConcurrency, "effects of one tenant attempted at a time")

	flags.DurationVar(&f.keepAlive, "keep-alive", httpapi.DefaultKeepAlive, "how often an idle stream says that it is alive")
	flags.DurationVar(&f.writeTimeout, "write-timeout", httpapi.DefaultWriteTimeout, "how long a stream's client may take nothing")
	flags.DurationVar(&f.waitTimeout, "wait-timeout", httpapi.DefaultWaitTimeout, "how long to wait for what a caller waits for without a timeout")
	flags.DurationVar(&f.shutdownTimeout, "shutdown-timeout", host.DefaultShutdownTimeout, "how long what runs may go on after an interrupt")
	flags.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn, error or off; to standard error")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&f.metricsPrefix, "metrics-prefix", prometheus.DefaultPrefix, "begins the name of each metric")
}

// plugin is a module to deploy at start.
type plugin struct {
	name, file string
	wasm       []byte
	config     []byte   // msgpack; nil = none
	grants     []string // nil = what its manifest declares
}

// readPlugins reads every file that the flags name, so that a mistake shows before anything runs.
func (s *server) readPlugins() ([]plugin, error) {
	f := &s.flags
	var plugins []plugin
	find := func(flag, name string) (*plugin, error) {
		for i := range plugins {
			if plugins[i].name == name {
				return &plugins[i], nil
			}
		}
		return nil, usage("name it first: --plugin "+name+"=FILE.wasm", "--%s is for %s, which is no --plugin", flag, name)
	}
	for _, arg := range f.plugins {
		name, file, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, usage("for example: --plugin counter=bin/plugins/counter.wasm", "--plugin %q is not NAME=FILE.wasm", arg)
		}
		if _, err := find("plugin", name); err == nil {
			return nil, usage("give the second one another name", "--plugin %s is there twice", name)
		}
		wasm, err := s.wasm(file)
		if err != nil {
			return nil, err
		}
		plugins = append(plugins, plugin{name: name, file: file, wasm: wasm})
	}
	for _, arg := range f.configs {
		name, file, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage("for example: --config counter=counter.json", "--config %q is not NAME=FILE.json", arg)
		}
		p, err := find("config", name)
		if err != nil {
			return nil, err
		}
		json, err := s.config(file)
		if err != nil {
			return nil, err
		}
		if p.config, err = jsonpack.ToMsgpack(nil, json); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	for _, arg := range f.grants {
		name, grant, ok := strings.Cut(arg, ":")
		if !ok || !strings.Contains(grant, "=") {
			return nil, usage("for example: --grant orders:publish=orders.*", "--grant %q is not NAME:EFFECT=TARGET", arg)
		}
		p, err := find("grant", name)
		if err != nil {
			return nil, err
		}
		p.grants = append(p.grants, grant)
	}
	return plugins, nil
}

// say prints a line about the run: an event with -o json, else the words.
func (s *server) say(e event, format string, args ...any) {
	if s.output != "json" {
		s.printf(format+"\n", args...)
		return
	}
	b, err := json.Marshal(e)
	if err != nil { // strings only
		panic(err)
	}
	s.printf("%s\n", b)
}

// version is that of the build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "dev"
}
