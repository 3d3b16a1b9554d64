package sdk

import (
	"unsafe"

	"github.com/crhost/crhost/abi"
)

// Module is a reducer, ready to answer the calls of the contract: see Guest.
type Module[S any] struct {
	Guest
	states states[S]
}

// Guest answers the calls of the contract. Its methods take and return frames (see package abi); in a guest the exports call them, in a
// native test the test does. Frames that no host sends make them panic, which is the trap that the contract asks for.
//
// A Guest belongs to one goroutine. What it returns is valid until its next call.
type Guest struct {
	manifest abi.Manifest
	settings Settings // nil = no config
	env      Env

	handlers []*handler // by the index of the action's type
	effects  Effects    // what a handler returned, when it was more than nothing
	err      error
	table    table
	slots    []slot
	initial  []byte // the encoded initial state

	in  []uint64 // the input buffer, in words for its alignment
	out []byte   // the last output frame, kept for its room

	accepted []byte // the frame of an accepted action without effects; only its size hint differs
}

const (
	firstBytes = 4 << 10 // of the buffers
	keepBytes  = 1 << 20 // of the output buffer, between calls
)

// New makes a Module of r without registering it. It panics, saying what is wrong, when r cannot be a module: a type that cannot be encoded,
// an action type twice, a bad name.
func New[S any](r Reducer[S]) *Module[S] {
	m := &Module[S]{states: statesOf[S]()}
	g := &m.Guest
	g.table, g.settings, g.out = &m.states, r.Config, make([]byte, 0, firstBytes)
	g.accepted = (&abi.Output{Flags: abi.StateChanged}).Append(make([]byte, 0, abi.OutputHeaderLen))
	g.manifest = abi.Manifest{
		Name: r.Name, Version: r.Version, Schema: max(r.Schema, 1), Effects: r.Effects, Residency: abi.ResidencySlots, Limits: r.Limits,
	}
	for _, a := range r.Actions {
		g.manifest.Actions = append(g.manifest.Actions, a.action)
		g.handlers = append(g.handlers, a.bind(m, a.action))
	}
	if err := g.manifest.Validate(); err != nil {
		panic("sdk: " + err.Error())
	}
	if r.Config != nil {
		g.env.config = r.Config.defaults()
	}
	g.initial = m.states.plan.append(nil, unsafe.Pointer(&r.Initial), 0)
	if err := m.states.decode(&m.states.before, g.initial); err != nil {
		panic("sdk: the initial state does not come back from its encoding: " + err.Error())
	}
	return m
}

// Manifest is what Describe answers. The caller must not change it.
func (g *Guest) Manifest() *abi.Manifest { return &g.manifest }

// Buffer is cr1_buffer: at least size bytes, 8-aligned, valid until the next Buffer.
func (g *Guest) Buffer(size int) []byte {
	if size > 8*len(g.in) {
		g.in = make([]uint64, (max(size, firstBytes)+7)/8)
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(g.in))), 8*len(g.in))
}

// Describe is cr1_describe.
func (g *Guest) Describe() []byte { return g.finish(g.manifest.Append(g.begin()), 0, 0) }

// Configure is cr1_configure. A config that the module cannot use is rejected as bad_config.
func (g *Guest) Configure(frame []byte) []byte {
	var in abi.BytesInput
	if err := in.Decode(frame); err != nil {
		panic(err)
	}
	if g.settings == nil {
		return g.refuse(abi.Rejected, 0, "bad_config", "the module takes no config")
	}
	config, err := g.settings.load(in.Body)
	if err != nil {
		return g.refuse(abi.Rejected, 0, "bad_config", err.Error())
	}
	g.env.config = config
	return g.finish(g.begin(), 0, 0)
}

// Idle is the guest's own part of cr1_idle: a buffer that one large call has grown is given up.
func (g *Guest) Idle() {
	if cap(g.out) > keepBytes {
		g.out = make([]byte, 0, firstBytes)
	}
}

// begin is the start of an output frame: room for its header, after which the body is appended.
func (g *Guest) begin() []byte { return g.out[:abi.OutputHeaderLen] }

// finish completes an OK frame.
func (g *Guest) finish(frame []byte, flags abi.Flags, sizeHint int) []byte {
	abi.PutOutputHeader(frame, abi.OK, flags, uint64(sizeHint), len(frame)-abi.OutputHeaderLen, 0, 0)
	g.out = frame
	return frame
}

// refuse answers with any other status.
func (g *Guest) refuse(status abi.Status, flags abi.Flags, code, text string) []byte {
	text = clip(text)
	frame := append(append(g.begin(), code...), text...)
	abi.PutOutputHeader(frame, status, flags, 0, 0, len(code), len(text))
	g.out = frame
	return frame
}
