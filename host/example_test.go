package host_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/crhost/crhost/host"
)

// counterWasm builds the counter plugin.
func counterWasm() []byte {
	file := filepath.Join(os.TempDir(), fmt.Sprintf("crhost-example-%d.wasm", os.Getpid()))
	defer os.Remove(file)
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "github.com/crhost/crhost/plugins/counter")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("%v: %s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	return wasm
}

// A module is deployed, and Go types are put on one of its stores.
func Example() {
	ctx := context.Background()
	h, err := host.Open(ctx, host.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Shutdown(ctx)
	if _, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: counterWasm()}); err != nil {
		log.Fatal(err)
	}
	store, err := h.StoreAt("counter/alice")
	if err != nil {
		log.Fatal(err)
	}

	type counter struct {
		Count int64 `msgpack:"count"`
	}
	type action struct {
		Type string `msgpack:"type"`
		By   int64  `msgpack:"by"`
	}
	alice := host.Typed[counter, action](store)
	receipt, err := alice.Send(ctx, action{Type: "increment", By: 3})
	if err != nil {
		log.Fatal(err)
	}
	state, seq, err := alice.State(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Seq, seq, state.Count)

	_, err = alice.Send(ctx, action{Type: "explode"})
	fmt.Println(err)
	// Output:
	// 1 1 3
	// unknown_action: module counter has no action "explode"
}
