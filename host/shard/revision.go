package shard

import (
	"fmt"
	"sync"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard/resident"
)

var _ Guest = (*engine.Instance)(nil)

// Guest is an instance of a revision's module. package engine has the real one.
type Guest interface {
	resident.Guest
	// Housekeep lets the guest tidy up when that is due. Never called between a call and the last use of its output.
	Housekeep() error
	// Fuel is what the last call used.
	Fuel() int64
	// MemoryBytes and MemoryLimit are the size of the guest's memory and what that may become.
	MemoryBytes() int
	MemoryLimit() int
	// OnLog sets who gets what the guest logs; nil drops it.
	OnLog(func(level int, text string))
	Close() error
}

// Revision is bytes, config and grants of a module, ready to run. It is shared by the module's shards and safe from any goroutine.
type Revision struct {
	Number   uint64
	ID       string // for people
	Manifest *abi.Manifest
	Limits   abi.Limits // the manifest's, defaults filled in

	// Hooks hear what happens on the revision; their indices are those of its manifest.
	Hooks *observe.ModuleHooks

	// Instantiate makes a new instance. It takes milliseconds.
	Instantiate func() (Guest, error)

	actions map[string]uint16 // nil for a manifest of few actions

	mu      sync.Mutex // guards what follows
	spare   Guest
	making  bool
	retired bool
	makers  sync.WaitGroup
}

// NewRevision returns a revision that makes its instances with instantiate and reports to hooks, which may be nil.
func NewRevision(number uint64, id string, m *abi.Manifest, hooks *observe.ModuleHooks, instantiate func() (Guest, error)) *Revision {
	r := &Revision{Number: number, ID: id, Manifest: m, Limits: m.Limits.OrDefault(), Hooks: hooks, Instantiate: instantiate}
	if hooks == nil {
		r.Hooks = &observe.ModuleHooks{}
	}
	if len(m.Actions) > fewActions {
		r.actions = make(map[string]uint16, len(m.Actions))
		for i, a := range m.Actions {
			r.actions[a.Type] = uint16(i)
		}
	}
	return r
}

// fewActions are found faster one after another.
const fewActions = 16

// Action finds an action type.
func (r *Revision) Action(typ []byte) (index uint16, known bool) {
	if r.actions != nil {
		index, known = r.actions[string(typ)]
		return index, known
	}
	for i := range r.Manifest.Actions {
		if r.Manifest.Actions[i].Type == string(typ) {
			return uint16(i), true
		}
	}
	return 0, false
}

// Keep makes sure that a spare instance is ready soon, so that a trap costs its shard no start-up.
func (r *Revision) Keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spare != nil || r.making || r.retired {
		return
	}
	r.making = true
	r.makers.Go(func() {
		g, err := r.Instantiate()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.making = false
		if err != nil {
			return // whoever needs an instance next gets the error
		}
		if r.retired {
			_ = g.Close()
			return
		}
		r.spare = g
	})
}

// guest returns the spare, or a new instance.
func (r *Revision) guest() (Guest, error) {
	r.mu.Lock()
	g := r.spare
	r.spare = nil
	r.mu.Unlock()
	defer r.Keep()
	if g != nil {
		return g, nil
	}
	g, err := r.Instantiate()
	if err != nil {
		return nil, &abi.Error{Code: abi.CodeInternal, Text: fmt.Sprintf("instantiate revision %s", r.ID), Err: err}
	}
	return g, nil
}

// Retire gives up the spare, also one that is being made. The revision can still be used, without one.
func (r *Revision) Retire() {
	r.mu.Lock()
	r.retired = true
	r.mu.Unlock()
	r.makers.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spare != nil {
		_ = r.spare.Close()
		r.spare = nil
	}
}

func (r *Revision) isRetired() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retired
}

// generation is a revision on one shard: an instance and who sits in it. There may be two of one revision, while an instance whose memory has grown too
// large is left for a fresh one. Guarded by the shard's lock.
type generation struct {
	revision *Revision
	max      int           // cells at most
	served   int           // actions
	instance Guest         // nil until one is needed, and after a trap
	set      *resident.Set // of the instance
}

// open makes sure that there is an instance.
func (g *generation) open(log func(level int, text string)) error {
	if g.set != nil {
		if !g.instance.Poisoned() {
			return nil
		}
		g.discard()
	}
	guest, err := g.revision.guest()
	if err != nil {
		return err
	}
	guest.OnLog(log)
	max := g.max
	if slots := int(g.revision.Manifest.Slots); slots > 0 {
		max = min(max, slots)
	}
	g.instance, g.set = guest, resident.NewSet(guest, g.revision.Manifest.Residency, max)
	return nil
}

// discard gives up the instance. Whoever sat in it is rebuilt when it is needed.
func (g *generation) discard() {
	if g.set == nil {
		return
	}
	g.set.Empty()
	_ = g.instance.Close()
	g.instance, g.set = nil, nil
}
