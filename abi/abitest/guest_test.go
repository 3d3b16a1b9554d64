package abitest_test

import (
	"context"
	_ "embed"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/crhost/crhost/abi/abitest"
	"github.com/crhost/crhost/internal/wat"
)

//go:embed testdata/counter.wat
var counter string

// A module is a guest compiled by bare wazero, without metering or limits: the kit's own tests must not stand on the engine that it
// is there to test.
type module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// compile assembles a guest. It may import a clock that ticks with every look, in whichever instance.
func compile(ctx context.Context, src string) (*module, error) {
	binary, err := wat.Compile(src)
	if err != nil {
		return nil, err
	}
	m := &module{runtime: wazero.NewRuntime(ctx)}
	ticks := int64(0)
	if _, err = m.runtime.NewHostModuleBuilder("clock").NewFunctionBuilder().
		WithFunc(func() int64 { ticks++; return ticks }).Export("now").Instantiate(ctx); err != nil {
		return nil, err
	}
	m.compiled, err = m.runtime.CompileModule(ctx, binary)
	return m, err
}

func (m *module) close(ctx context.Context) error { return m.runtime.Close(ctx) }

func (m *module) open(ctx context.Context) (abitest.Guest, error) {
	instance, err := m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, err
	}
	return &guest{ctx: ctx, instance: instance, exports: map[string]api.Function{}}, nil
}

// open compiles a guest for one test and returns what opens its instances.
func open(t *testing.T, src string) func(context.Context) (abitest.Guest, error) {
	t.Helper()
	ctx := context.Background()
	m, err := compile(ctx, src)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.close(ctx)) })
	return m.open
}

type guest struct {
	ctx      context.Context
	instance api.Module
	exports  map[string]api.Function // looking one up is dear
}

var _ abitest.Guest = (*guest)(nil)

func (g *guest) call(export string, args ...uint64) (uint64, error) {
	f, ok := g.exports[export]
	if !ok {
		if f = g.instance.ExportedFunction(export); f == nil {
			return 0, errors.New("no export " + export)
		}
		g.exports[export] = f
	}
	results, err := f.Call(g.ctx, args...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return results[0], nil
}

func (g *guest) Buffer(size uint32) (uint32, error) {
	ptr, err := g.call("cr1_buffer", uint64(size))
	return uint32(ptr), err
}

func (g *guest) Describe() (uint64, error) { return g.call("cr1_describe") }

func (g *guest) Reduce(n uint32) (uint64, error) { return g.call("cr1_reduce", uint64(n)) }

func (g *guest) State(slot uint32, ticket uint64) (uint64, error) {
	return g.call("cr1_state", uint64(slot), ticket)
}

func (g *guest) Evict(slot uint32, ticket uint64) error {
	_, err := g.call("cr1_evict", uint64(slot), ticket)
	return err
}

func (g *guest) Idle(budget int64) error {
	if g.instance.ExportedFunction("cr1_idle") == nil {
		return nil
	}
	_, err := g.call("cr1_idle", uint64(budget))
	return err
}

func (g *guest) Memory() []byte {
	memory := g.instance.Memory()
	view, _ := memory.Read(0, memory.Size())
	return view
}

func (g *guest) Close() error { return g.instance.Close(g.ctx) }
