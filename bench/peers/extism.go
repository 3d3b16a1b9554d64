package peers

import (
	"context"
	"fmt"
	"time"

	"github.com/extism/go-sdk"

	"github.com/crhost/crhost/bench/counter"
)

// extismTimeout is far more than any call takes: having one is what costs.
const extismTimeout = 10 * time.Second

// extismSide is a plug-in of Extism's go-sdk.
type extismSide struct {
	plugin *extism.Plugin
	export string // what an action calls
	action []byte
}

var _ side = (*extismSide)(nil)

func openExtism(ctx context.Context, file, export string, timeout time.Duration) (*extismSide, error) {
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: file}}, Timeout: uint64(timeout.Milliseconds())}
	p, err := extism.NewPlugin(ctx, manifest, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return nil, err
	}
	return &extismSide{plugin: p, export: export, action: counter.Increment(By)}, nil
}

func (s *extismSide) run(ctx context.Context, n int) error {
	for range n {
		if _, err := s.call(ctx, s.export, s.action); err != nil {
			return err
		}
	}
	return nil
}

func (s *extismSide) count(ctx context.Context) (int64, error) {
	state, err := s.call(ctx, "read", nil)
	if err != nil {
		return 0, err
	}
	return counter.Count(state)
}

func (s *extismSide) call(ctx context.Context, export string, input []byte) ([]byte, error) {
	code, output, err := s.plugin.CallWithContext(ctx, export, input)
	if err == nil && code != 0 {
		err = fmt.Errorf("extism call %s: result %d", export, code)
	}
	return output, err
}

func (s *extismSide) close() error { return s.plugin.Close(context.Background()) }
