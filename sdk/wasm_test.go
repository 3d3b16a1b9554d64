package sdk_test

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// builds holds the guests built by this process: one path (or error) for each package.
var builds sync.Map

// build compiles a package to a guest, once per process, and returns the module's bytes.
func build(t testing.TB, pkg string) []byte {
	t.Helper()
	once, _ := builds.LoadOrStore(pkg, sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "guest")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		out := filepath.Join(dir, "guest.wasm")
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "github.com/crhost/crhost/"+pkg)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, err
		}
		return os.ReadFile(out)
	}))
	wasm, err := once.(func() ([]byte, error))()
	require.NoError(t, err, "build %s", pkg)
	return wasm
}

// wasmGuest is an instance, called the way a host does but without metering.
type wasmGuest struct {
	t    testing.TB
	mod  api.Module
	in   uint32 // the input buffer
	fn   map[string]api.Function
	call [2]uint64
}

func instantiate(t testing.TB, wasm []byte) *wasmGuest {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { require.NoError(t, r.Close(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	_, err := r.NewHostModuleBuilder("crhost").NewFunctionBuilder().
		WithFunc(func(level, ptr, n uint32) {}).Export("log").Instantiate(ctx)
	require.NoError(t, err)
	mod, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithStderr(os.Stderr).WithName(""))
	require.NoError(t, err)
	g := &wasmGuest{t: t, mod: mod, fn: make(map[string]api.Function)}
	for name := range mod.ExportedFunctionDefinitions() {
		g.fn[name] = mod.ExportedFunction(name)
	}
	ptr, err := g.fn["cr1_buffer"].Call(ctx, 1<<16)
	require.NoError(t, err)
	g.in = uint32(ptr[0])
	require.Zero(t, g.in%8)
	return g
}

// invoke calls an export that answers a frame.
func (g *wasmGuest) invoke(name string, args ...uint64) (abi.Output, error) {
	var out abi.Output
	result, err := g.fn[name].Call(context.Background(), args...)
	if err != nil {
		return out, err
	}
	ptr, n := abi.SpanOf(result[0])
	require.Zero(g.t, ptr%8)
	view, ok := g.mod.Memory().Read(ptr, n)
	require.True(g.t, ok)
	require.NoError(g.t, out.Decode(view))
	return out, nil
}

func (g *wasmGuest) reduce(in *abi.ReduceInput) (abi.Output, error) {
	buffer, ok := g.mod.Memory().Read(g.in, 1<<16)
	require.True(g.t, ok)
	return g.invoke("cr1_reduce", uint64(in.Encode(buffer)))
}

func action(typ string, by int64) []byte {
	b := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 2), "type"), typ)
	return pack.AppendInt(pack.AppendString(b, "by"), by)
}

func TestCounter_wasm(t *testing.T) {
	g := instantiate(t, build(t, "plugins/counter"))
	out, err := g.invoke("cr1_describe")
	require.NoError(t, err)
	var m abi.Manifest
	require.NoError(t, m.Decode(out.Body))
	require.Equal(t, "counter", m.Name)

	out, err = g.reduce(&abi.ReduceInput{Mode: abi.Fresh, Seq: 1, Ticket: 7, Body: action("increment", 40)})
	require.NoError(t, err)
	require.Equal(t, abi.OK, out.Status)
	out, err = g.reduce(&abi.ReduceInput{Mode: abi.Resident, Seq: 2, Ticket: 7, Body: action("increment", 2)})
	require.NoError(t, err)
	require.Equal(t, abi.OK, out.Status)
	out, err = g.invoke("cr1_state", 0, 7)
	require.NoError(t, err)
	require.Equal(t, "\x81\xa5count\x2a", string(out.Body))
}

func BenchmarkReduce(b *testing.B) {
	for _, guest := range []string{"plugins/counter"} {
		b.Run("guest="+filepath.Base(guest), func(b *testing.B) {
			g := instantiate(b, build(b, guest))
			_, err := g.reduce(&abi.ReduceInput{Mode: abi.Fresh, Ticket: 7, Body: action("increment", 1)})
			require.NoError(b, err)
			in := abi.ReduceInput{Mode: abi.Resident, Ticket: 7, Body: action("increment", 1)}
			buffer, _ := g.mod.Memory().Read(g.in, 1<<16)
			n := uint64(in.Encode(buffer))
			fn, idle, ctx := g.fn["cr1_reduce"], g.fn["cr1_idle"], context.Background()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				g.call[0] = n
				if err := fn.CallWithStack(ctx, g.call[:]); err != nil {
					b.Fatal(err)
				}
				binary.LittleEndian.PutUint64(buffer[24:], uint64(i))
				if i%1000 == 0 {
					g.call[0] = 1 << 40
					if err := idle.CallWithStack(ctx, g.call[:]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
