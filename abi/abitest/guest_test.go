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

// A guest runs an instance in bare wazero: no metering, no limits. The kit's own tests must not stand on the engine that it is there to test.
type guest struct {
	ctx     context.Context
	module  api.Module
	memory  api.Memory
	exports map[string]api.Function // looking one up is dear
}

var _ abitest.Guest = (*guest)(nil)

// open compiles a guest and returns what opens its instances. Its imports are a clock that ticks with every look, in whichever instance.
func open(t *testing.T, src string) func(context.Context) (abitest.Guest, error) {
	t.Helper()
	binary, err := wat.Compile(src)
	require.NoError(t, err)
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig())
	t.Cleanup(func() { require.NoError(t, r.Close(ctx)) })
	ticks := int64(0)
	_, err = r.NewHostModuleBuilder("clock").NewFunctionBuilder().
		WithFunc(func() int64 { ticks++; return ticks }).Export("now").Instantiate(ctx)
	require.NoError(t, err)
	compiled, err := r.CompileModule(ctx, binary)
	require.NoError(t, err)
	return func(ctx context.Context) (abitest.Guest, error) {
		module, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			return nil, err
		}
		return &guest{ctx: ctx, module: module, memory: module.Memory(), exports: map[string]api.Function{}}, nil
	}
}

func (g *guest) call(export string, args ...uint64) (uint64, error) {
	f, ok := g.exports[export]
	if !ok {
		if f = g.module.ExportedFunction(export); f == nil {
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
func (g *guest) Describe() (uint64, error)       { return g.call("cr1_describe") }
func (g *guest) Reduce(n uint32) (uint64, error) { return g.call("cr1_reduce", uint64(n)) }
func (g *guest) State(slot uint32, ticket uint64) (uint64, error) {
	return g.call("cr1_state", uint64(slot), ticket)
}
func (g *guest) Evict(slot uint32, ticket uint64) error {
	_, err := g.call("cr1_evict", uint64(slot), ticket)
	return err
}
func (g *guest) Idle(budget int64) error {
	if g.module.ExportedFunction("cr1_idle") == nil {
		return nil
	}
	_, err := g.call("cr1_idle", uint64(budget))
	return err
}
func (g *guest) Memory() []byte {
	view, _ := g.memory.Read(0, g.memory.Size())
	return view
}
func (g *guest) Close() error { return g.module.Close(g.ctx) }

func TestRun_counterWithoutSDK(t *testing.T) {
	report, err := abitest.Run(context.Background(), open(t, counter), abitest.Config{})
	require.NoError(t, err)
	require.Empty(t, report.Findings, "%s", report)
	require.Len(t, report.Passed, len(abitest.Rules()), "%s", report)
	t.Log(report)
}
