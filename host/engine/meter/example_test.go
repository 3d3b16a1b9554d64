package meter_test

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/crhost/crhost/host/engine/meter"
)

// spin is (module (func (export "spin") (loop (br 0)))).
const spin = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x08\x01\x04spin\x00\x00\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b"

func ExampleRewrite() {
	m, err := meter.Rewrite([]byte(spin), meter.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	guest, err := r.Instantiate(ctx, m.Bytes)
	if err != nil {
		fmt.Println(err)
		return
	}
	fuel := guest.ExportedGlobal(meter.FuelGlobal).(api.MutableGlobal)
	depth := guest.ExportedGlobal(meter.DepthGlobal).(api.MutableGlobal)
	fuel.Set(1_000)
	depth.Set(uint64(m.Depth))
	_, err = guest.ExportedFunction("spin").Call(ctx)
	fmt.Println("trapped:", err != nil, "fuel:", int64(fuel.Get()))

	_, err = meter.Rewrite([]byte(spin), meter.Limits{Exports: 2})
	fmt.Println(err)
	// Output:
	// trapped: true fuel: -1
	// module: 3 exports, the limit is 2
}
