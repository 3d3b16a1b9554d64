package sdk

import (
	"reflect"
	"unsafe"

	"github.com/crhost/crhost/abi"
)

// Module is a reducer, ready to answer the calls of the contract. Its methods take and return frames (see package abi): in a guest the
// exports call them, in a native test the test does. Frames that no host sends make them panic, which is the trap that the contract
// asks for.
//
// A Module belongs to one goroutine. What it returns is valid until its next call.
type Module[S any] struct {
	manifest abi.Manifest
	handlers []handler[S] // by the index of the action's type
	settings Settings     // nil = no config
	env      Env

	plan    *plan  // of S
	initial []byte // the encoded initial state
	undo    undo[S]
	slots   []slot[S]

	in  []uint64 // the input buffer, in words for its alignment
	out []byte   // the last output frame, kept for its room
}

const (
	firstBytes = 4 << 10 // of the buffers
	keepBytes  = 1 << 20 // of the output buffer, between calls
)

// New makes a Module of r without registering it. It panics, saying what is wrong, when r cannot be a module: a type that cannot be encoded,
// an action type twice, a bad name.
func New[S any](r Reducer[S]) *Module[S] {
	m := &Module[S]{settings: r.Config, plan: planOf(reflect.TypeFor[S]()), out: make([]byte, 0, firstBytes)}
	m.manifest = abi.Manifest{
		Name: r.Name, Version: r.Version, Schema: max(r.Schema, 1), Effects: r.Effects, Residency: abi.ResidencySlots, Limits: r.Limits,
	}
	for _, a := range r.Actions {
		m.manifest.Actions = append(m.manifest.Actions, a.action)
		m.handlers = append(m.handlers, a.bind(a.action.Kind == abi.Command))
	}
	if err := m.manifest.Validate(); err != nil {
		panic("sdk: " + err.Error())
	}
	if r.Config != nil {
		m.env.config = r.Config.defaults()
	}
	var back S
	m.initial = m.plan.append(nil, unsafe.Pointer(&r.Initial), 0)
	if err := m.load(m.initial, &back); err != nil {
		panic("sdk: the initial state does not come back from its encoding: " + err.Error())
	}
	m.undo = undoOf[S](m.plan)
	return m
}

// load decodes a state. Fields that the state has no more are skipped.
func (m *Module[S]) load(b []byte, s *S) error {
	var zero S
	*s = zero
	m.plan.prepare(unsafe.Pointer(s))
	return decodeWhole(m.plan, b, s, false)
}

// Manifest is what Describe answers. The caller must not change it.
func (m *Module[S]) Manifest() *abi.Manifest { return &m.manifest }

// Buffer is cr1_buffer: at least size bytes, 8-aligned, valid until the next Buffer.
func (m *Module[S]) Buffer(size int) []byte {
	if size > 8*len(m.in) {
		m.in = make([]uint64, (max(size, firstBytes)+7)/8)
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m.in))), 8*len(m.in))
}

// Describe is cr1_describe.
func (m *Module[S]) Describe() []byte {
	return m.finish(m.manifest.Append(m.frame()), abi.Output{})
}

// Configure is cr1_configure. A config that the module cannot use is rejected as bad_config.
func (m *Module[S]) Configure(frame []byte) []byte {
	var in abi.BytesInput
	if err := in.Decode(frame); err != nil {
		panic(err)
	}
	if m.settings == nil {
		return m.refuse(abi.Output{Status: abi.Rejected}, "bad_config", "the module takes no config")
	}
	config, err := m.settings.load(in.Body)
	if err != nil {
		return m.refuse(abi.Output{Status: abi.Rejected}, "bad_config", err.Error())
	}
	m.env.config = config
	return m.finish(m.frame(), abi.Output{})
}

// Idle is the module's own part of cr1_idle: buffers that one large call has grown are given up.
func (m *Module[S]) Idle() {
	if cap(m.out) > keepBytes {
		m.out = make([]byte, 0, firstBytes)
	}
}

// frame begins an output frame: room for its header, after which the body is appended.
func (m *Module[S]) frame() []byte { return m.out[:abi.OutputHeaderLen] }

// finish completes a frame that has a body only.
func (m *Module[S]) finish(frame []byte, out abi.Output) []byte {
	out.EncodeHeader(frame, len(frame)-abi.OutputHeaderLen, 0, 0)
	m.out = frame
	return frame
}

// refuse answers with a code and text.
func (m *Module[S]) refuse(out abi.Output, code, text string) []byte {
	text = clip(text)
	b := append(append(m.frame(), code...), text...)
	out.EncodeHeader(b, 0, len(code), len(text))
	m.out = b
	return b
}
