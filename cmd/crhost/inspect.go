package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/abitest"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

// inspected is what a module's file says of itself.
type inspected struct {
	File        string                  `json:"file"`
	Digest      string                  `json:"digest"`
	Bytes       int                     `json:"bytes"`
	Name        string                  `json:"name"`
	Version     string                  `json:"version"`
	Schema      uint32                  `json:"schema"`
	Residency   abi.Residency           `json:"residency"`
	Actions     []httpapi.ActionType    `json:"actions"`
	Effects     []httpapi.EffectPattern `json:"effects,omitempty"`
	Conformance *abitest.Report         `json:"conformance,omitempty"`
}

func (c *cli) inspect() *cobra.Command {
	var conformance bool
	var cache, config string
	var samples []string
	cmd := &cobra.Command{
		Use:     "inspect FILE.wasm",
		Short:   "Show what a module is, without a host",
		Example: "crhost inspect counter.wasm --conformance",
		Args:    takes("FILE.wasm"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			wasm, err := c.wasm(args[0])
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			eng, err := engine.New(ctx, engine.Config{CacheDir: cache})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, eng.Close()) }()
			m, err := eng.Load(ctx, abi.DefaultTenant, wasm)
			if err != nil {
				return &failure{exit: exitGate, detail: fmt.Sprintf("%s: %s", args[0], err), hint: "no host takes this module"}
			}
			defer func() { err = errors.Join(err, m.Close()) }()
			out := inspectedModule(args[0], m)
			if conformance {
				if out.Conformance, err = c.conformance(ctx, m, config, samples); err != nil {
					return err
				}
			}
			return c.inspected(out)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&conformance, "conformance", false, "run it against the contract of the ABI")
	flags.StringArrayVar(&samples, "action", nil, "JSON of an action that --conformance tries besides those it makes up; may be repeated")
	flags.StringVar(&config, "config", "", "FILE.json with the config to run it with (default: none)")
	flags.StringVar(&cache, "cache", "", "DIR for compiled code (default: none)")
	return cmd
}

// conformance runs a module against the contract of the ABI.
func (c *cli) conformance(ctx context.Context, m *engine.Module, configFile string, samples []string) (*abitest.Report, error) {
	var cfg abitest.Config
	for _, s := range samples {
		action, err := jsonpack.ToMsgpack(nil, []byte(s))
		if err != nil {
			return nil, usage(`for example: --action '{"type":"increment","by":3}'`, "the action is not JSON: %s", err)
		}
		cfg.Actions = append(cfg.Actions, action)
	}
	var config []byte
	if configFile != "" {
		json, err := c.config(configFile)
		if err != nil {
			return nil, err
		}
		if config, err = jsonpack.ToMsgpack(nil, json); err != nil {
			return nil, fmt.Errorf("%s: %w", configFile, err)
		}
	}
	fuel := int64(m.Limits().OrDefault().Fuel)
	report, err := abitest.Run(ctx, func(ctx context.Context) (abitest.Guest, error) { return m.Conformance(ctx, config, fuel) }, cfg)
	if err != nil {
		return nil, fmt.Errorf("run the module: %w", err)
	}
	return report, nil
}

func inspectedModule(file string, m *engine.Module) inspected {
	manifest := m.Manifest()
	out := inspected{
		File: file, Digest: m.Digest(), Bytes: m.Size(), Name: manifest.Name, Version: manifest.Version, Schema: manifest.Schema,
		Residency: manifest.Residency,
	}
	for _, a := range manifest.Actions {
		out.Actions = append(out.Actions, httpapi.ActionType{Type: a.Type, Kind: string(a.Kind), Doc: a.Doc})
	}
	for _, e := range manifest.Effects {
		out.Effects = append(out.Effects, httpapi.EffectPattern{Kind: string(e.Kind), Targets: e.Targets})
	}
	return out
}

// inspected prints it. A guest that breaks the contract is refused by this gate.
func (c *cli) inspected(m inspected) error {
	if c.output == "json" {
		b, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("print the module: %w", err)
		}
		c.printf("%s\n", b)
	} else {
		c.printf("%s %s  schema %d  residency %s  %d bytes\n%s\n\n", m.Name, m.Version, m.Schema, m.Residency, m.Bytes, m.Digest)
		c.actions(m.Actions)
		for _, e := range m.Effects {
			c.printf("effect %s %s\n", e.Kind, strings.Join(e.Targets, " "))
		}
		if m.Conformance != nil {
			c.printf("\n%s", m.Conformance)
		}
	}
	if m.Conformance != nil && !m.Conformance.OK() {
		return &failure{exit: exitGate, detail: m.File + " breaks the contract", hint: "each finding says what was seen and how to see it again"}
	}
	return nil
}
