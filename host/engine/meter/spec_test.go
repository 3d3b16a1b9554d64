package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// features are those of the ABI.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// specWorld runs a script in one runtime.
type specWorld struct {
	runtime wazero.Runtime
	meter   bool
	named   map[string]api.Module
	last    api.Module
}

func newSpecWorld(t *testing.T, config wazero.RuntimeConfig, cache wazero.CompilationCache, meter bool, spectest []byte) *specWorld {
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	r := wazero.NewRuntimeWithConfig(t.Context(), config.WithCoreFeatures(features))
	t.Cleanup(func() { require.NoError(t, r.Close(context.Background())) })
	_, err := r.InstantiateWithConfig(t.Context(), spectest, wazero.NewModuleConfig())
	require.NoError(t, err)
	return &specWorld{runtime: r, meter: meter, named: map[string]api.Module{}}
}

func (w *specWorld) instantiate(ctx context.Context, original, metered []byte, as string) (api.Module, error) {
	b := original
	if w.meter {
		b = metered
	}
	return w.runtime.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithName(as))
}

func (w *specWorld) target(a specAction) api.Module {
	if a.Module != "" {
		return w.named[a.Module]
	}
	return w.last
}

func counter(m api.Module, name string) int64 { return int64(m.ExportedGlobal(name).Get()) }

const specFuel = 1 << 60

var specLimits = Limits{MemoryPages: memoryPages, TableEntries: math.MaxUint32, BrTargets: 100_000, StartFuel: specFuel}

// specCounts are exact: a difference means that a suite changed or that metering refuses something else than before.
type specCounts struct {
	sync.Mutex
	n map[string]int
}

func (c *specCounts) add(what string, n int) {
	c.Lock()
	defer c.Unlock()
	c.n[what] += n
}

// TestRewrite_spec runs the WebAssembly spec suites three times over: original, metered, and metered in the interpreter.
// Results and traps of all three agree, and so does the fuel of the last two. Invalid modules stay invalid.
func TestRewrite_spec(t *testing.T) {
	dir := specDir(t)
	spectest, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	require.NoError(t, err)
	counts := &specCounts{n: map[string]int{}}
	t.Run("suite", func(t *testing.T) {
		suites := []string{"v1", "v2", "extended-const", "tail-call", "threads", "exception-handling", "typed-function-references"}
		if underRace {
			suites = []string{"extended-const"}
		}
		for _, suite := range suites {
			scripts, err := filepath.Glob(filepath.Join(dir, suite, "testdata", "*.json"))
			require.NoError(t, err)
			require.NotEmpty(t, scripts)
			for _, script := range scripts {
				t.Run(suite+"/"+strings.TrimSuffix(filepath.Base(script), ".json"), func(t *testing.T) {
					t.Parallel()
					runSpec(t, script, spectest, counts)
				})
			}
		}
	})
	for _, what := range slices.Sorted(maps.Keys(counts.n)) {
		t.Logf("%6d %s", counts.n[what], what)
	}
	if !underRace {
		require.Equal(t, wantSpecCounts, counts.n)
	}
}

var wantSpecCounts = map[string]int{
	"action":                                   199,
	"action: of a module refused":              67,
	"assert_exception: of a module refused":    18,
	"assert_exhaustion":                        30,
	"assert_invalid: refused by meter":         415,
	"assert_invalid: refused by wazero":        3170,
	"assert_invalid: taken by wazero":          8,
	"assert_malformed: refused by meter":       1381,
	"assert_malformed: refused by wazero":      3,
	"assert_malformed: text, not ours":         1577,
	"assert_return":                            61808,
	"assert_return: of a module refused":       682,
	"assert_trap":                              2888,
	"assert_trap: of a module refused":         103,
	"assert_uninstantiable: refused by meter":  27,
	"assert_uninstantiable: refused by wazero": 12,
	"assert_uninstantiable: taken by wazero":   16,
	"assert_unlinkable: refused by meter":      155,
	"assert_unlinkable: refused by wazero":     64,
	"assert_unlinkable: taken by wazero":       8,
	"module":                                   2321,
	"module refused: exceptions":               9,
	"module refused: garbage collection":       2,
	"module refused: imported global":          44,
	"module refused: imported memory":          53,
	"module refused: imported table":           83,
	"module refused: threads":                  5,
	"module refused: typed references":         57,
}

func specDir(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	require.NoError(t, err)
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

func runSpec(t *testing.T, path string, spectest []byte, counts *specCounts) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var script specScript
	require.NoError(t, json.Unmarshal(raw, &script))

	worlds := []*specWorld{
		newSpecWorld(t, wazero.NewRuntimeConfigCompiler(), nil, false, spectest),
		newSpecWorld(t, wazero.NewRuntimeConfigCompiler(), nil, true, spectest),
		newSpecWorld(t, wazero.NewRuntimeConfigInterpreter(), nil, true, spectest),
	}
	for i, c := range script.Commands {
		what := fmt.Sprintf("%s:%d %s", filepath.Base(path), c.Line, c.Type)
		switch c.Type {
		case "module":
			as := ""
			if next := i + 1; next < len(script.Commands) && script.Commands[next].Type == "register" {
				as = script.Commands[next].As
			}
			specModule(t, what, path, c, as, worlds, counts)
		case "register":
		case "assert_return", "action", "assert_trap", "assert_exhaustion", "assert_exception":
			specCall(t, what, c, worlds, counts)
		case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
			if c.ModuleType == "text" {
				counts.add(c.Type+": text, not ours", 1)
				continue
			}
			specRefused(t, what, path, c, worlds, counts)
		default:
			require.Fail(t, "unknown command", what)
		}
	}
}

func readSpec(t *testing.T, script, file string) []byte {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(script), file))
	require.NoError(t, err)
	return b
}

// refusal is the class of an error of Rewrite.
func refusal(err error) string {
	var feature *FeatureError
	var bound *BoundError
	switch {
	case errors.As(err, &feature):
		return feature.Feature
	case errors.As(err, &bound):
		return "bound: " + bound.What
	}
	return "malformed"
}

func specModule(t *testing.T, what, path string, c specCommand, as string, worlds []*specWorld, counts *specCounts) {
	wasm := readSpec(t, path, c.Filename)
	for _, w := range worlds {
		w.last = nil
	}
	m, err := Rewrite(wasm, specLimits)
	if err != nil {
		counts.add("module refused: "+refusal(err), 1)
		require.NotEqual(t, "malformed", refusal(err), "%s: %v", what, err)
		return
	}
	for _, w := range worlds {
		mod, err := w.instantiate(t.Context(), wasm, m.Bytes, as)
		if err != nil && slices.ContainsFunc(m.Imports, func(i Import) bool { return i.Module != "spectest" }) {
			counts.add("module that imports from a refused one", 1)
			return
		}
		require.NoError(t, err, what)
		w.last = mod
		if c.Name != "" {
			w.named[c.Name] = mod
		}
	}
	counts.add("module", 1)
}

func specCall(t *testing.T, what string, c specCommand, worlds []*specWorld, counts *specCounts) {
	if worlds[0].target(c.Action) == nil {
		counts.add(c.Type+": of a module refused", 1)
		return
	}
	var results [][]uint64
	var errs []error
	var fuel []int64
	for _, w := range worlds {
		mod := w.target(c.Action)
		require.NotNil(t, mod, what)
		if c.Action.Type == "get" {
			results = append(results, []uint64{mod.ExportedGlobal(c.Action.Field).Get()})
			errs = append(errs, nil)
			fuel = append(fuel, 0)
			continue
		}
		var args []uint64
		for _, a := range c.Action.Args {
			args = append(args, a.bits(t)...)
		}
		if w.meter {
			mod.ExportedGlobal(FuelGlobal).(api.MutableGlobal).Set(specFuel)
			mod.ExportedGlobal(DepthGlobal).(api.MutableGlobal).Set(DefaultDepth)
		}
		f := mod.ExportedFunction(c.Action.Field)
		res, err := f.Call(t.Context(), args...)
		if err == nil {
			normalise(res, f.Definition().ResultTypes(), c.Expected)
		}
		results = append(results, res)
		errs = append(errs, err)
		if w.meter {
			fuel = append(fuel, counter(mod, FuelGlobal))
			if c.Type == "assert_exhaustion" && len(fuel) == 2 {
				break // the interpreter's stack is smaller than ours
			}
			require.Equal(t, c.Type == "assert_exhaustion", counter(mod, DepthGlobal) < 0, "%s: depth", what)
			if err == nil {
				require.EqualValues(t, DefaultDepth, counter(mod, DepthGlobal), "%s: depth given back", what)
			}
		}
	}
	if c.Type == "assert_exhaustion" {
		require.Error(t, errs[0], what)
		require.ErrorContains(t, errs[1], "unreachable", what)
		counts.add(c.Type, 1)
		return
	}
	for i := range worlds[1:] {
		require.True(t, slices.Equal(results[0], results[i+1]), "%s: %v, metered %v", what, results[0], results[i+1])
		require.Equal(t, cause(errs[0]), cause(errs[i+1]), what)
	}
	if len(fuel) == 2 {
		require.Equal(t, fuel[0], fuel[1], "%s: fuel", what)
	}
	counts.add(c.Type, 1)
}

// cause is the first line of an error, which names the trap; the others are the stack.
func cause(err error) string {
	if err == nil {
		return ""
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

func specRefused(t *testing.T, what, path string, c specCommand, worlds []*specWorld, counts *specCounts) {
	wasm := readSpec(t, path, c.Filename)
	m, err := Rewrite(wasm, specLimits)
	if err != nil {
		counts.add(c.Type+": refused by meter", 1)
		return
	}
	var refused []bool
	for _, w := range worlds {
		_, err := w.instantiate(t.Context(), wasm, m.Bytes, "")
		refused = append(refused, err != nil)
	}
	if !refused[0] && c.Type != "assert_malformed" {
		// wazero takes it, or it is valid with the features of the ABI. Metering must not change that.
		counts.add(c.Type+": taken by wazero", 1)
		require.Equal(t, []bool{false, false, false}, refused, what)
		return
	}
	require.Equal(t, []bool{true, true, true}, refused, what)
	counts.add(c.Type+": refused by wazero", 1)
}
