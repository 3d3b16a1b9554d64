package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/stretchr/testify/require"
)

// counterHost is a host with the small counter as module counter.
func counterHost(tb testing.TB, config host.Config) *host.Host {
	tb.Helper()
	h := open(tb, config)
	_, err := h.Deploy(context.Background(), host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(tb)})
	require.NoError(tb, err)
	return h
}

func mustSend(t *testing.T, s *host.Store, typ string, by ...int64) host.Receipt {
	t.Helper()
	r, err := s.Send(context.Background(), enginetest.Action(typ, by...))
	require.NoError(t, err)
	return r
}

// S3: a receipt holds seq, revision and correlation id, and can be waited for; so can a seq.
func TestS3_receipt(t *testing.T) {
	ctx := context.Background()
	s := counterHost(t, host.Config{}).Store(abi.Address{Module: "counter"})
	r, err := s.SendWith(ctx, enginetest.Action("increment"), host.SendOptions{Correlation: "order-7", Principal: "ann"})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Seq)
	require.Equal(t, "order-7", r.Correlation())
	require.NoError(t, r.Wait(ctx))
	require.NoError(t, r.WaitAll(ctx))
	require.NoError(t, s.Wait(ctx, 1))
	require.ErrorIs(t, s.Wait(ctx, 2), host.ErrNotFound)
	second := mustSend(t, s, "increment")
	require.Len(t, second.Correlation(), 32)
	require.NotEqual(t, second.Correlation(), mustSend(t, s, "increment").Correlation())

	var got []host.Action
	for a, err := range s.History(ctx, 0, 0) {
		require.NoError(t, err)
		got = append(got, a)
	}
	require.Len(t, got, 3)
	require.Equal(t, "order-7", got[0].Correlation)
	require.Equal(t, "ann", got[0].Principal)
	require.Equal(t, "increment", got[0].Type)
	require.Equal(t, "command", got[0].Cause)
	require.Equal(t, r.Revision, got[0].Revision)
	require.Equal(t, enginetest.Action("increment"), got[0].Body)
	require.Equal(t, second.Correlation(), got[1].Correlation)
	require.NotZero(t, got[1].Fuel)
}

// S4: SendAndWaitFor answers with the first action that matches from the sent one on, and ends early when there can be none.
func TestS4_sendAndWaitFor(t *testing.T) { synctest.Test(t, testSendAndWaitFor) } // in a bubble: nothing times out by chance

func testSendAndWaitFor(t *testing.T) {
	ctx := context.Background()
	s := counterHost(t, host.Config{}).Store(abi.Address{Module: "counter"})
	mustSend(t, s, "reset")
	is := func(typ string) func(host.Action) bool { return func(a host.Action) bool { return a.Type == typ } }

	a, r, err := s.SendAndWaitFor(ctx, enginetest.Action("increment"), is("increment"), host.WaitOptions{Timeout: time.Minute})
	require.NoError(t, err)
	require.EqualValues(t, 2, a.Seq)
	require.Equal(t, a.Seq, r.Seq)

	_, r, err = s.SendAndWaitFor(ctx, enginetest.Action("increment"), is("reset"), host.WaitOptions{Timeout: time.Minute})
	require.ErrorIs(t, err, host.ErrNever)
	require.EqualValues(t, 3, r.Seq, "the action itself was accepted, and the receipt says so")

	_, _, err = s.SendAndWaitFor(ctx, []byte{0xc0}, is("reset"), host.WaitOptions{})
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeMalformed})

	var wg sync.WaitGroup
	sent := make(chan struct{})
	wg.Go(func() {
		<-sent
		_, _ = s.Send(ctx, enginetest.Action("reset"))
	})
	a, r, err = s.SendAndWaitFor(ctx, enginetest.Action("increment"), func(a host.Action) bool {
		if a.Type == "increment" {
			close(sent)
		}
		return a.Type == "reset"
	}, host.WaitOptions{Any: true, Timeout: time.Minute})
	wg.Wait()
	require.NoError(t, err)
	require.Equal(t, r.Seq+1, a.Seq, "with Any, what others caused counts")

	_, r, err = s.SendAndWaitFor(ctx, enginetest.Action("increment"), is("reset"), host.WaitOptions{Any: true, Timeout: time.Millisecond})
	require.ErrorIs(t, err, host.ErrTimeout)
	require.NotZero(t, r.Seq)

	late, cancel := context.WithDeadline(ctx, time.Now())
	defer cancel()
	_, _, err = s.SendAndWaitFor(late, enginetest.Action("increment"), is("reset"), host.WaitOptions{})
	require.ErrorIs(t, err, host.ErrTimeout, "before the action was even sent")
}

// S4, S12: a repeat gets the receipt of the first one, and finds what that caused, in history; over its key another action is refused.
func TestS4_repeat(t *testing.T) {
	ctx := context.Background()
	s := counterHost(t, host.Config{}).Store(abi.Address{Module: "counter"})
	mustSend(t, s, "reset")
	keyed := host.WaitOptions{SendOptions: host.SendOptions{Key: "k", Principal: "ann"}, Timeout: time.Minute}
	any := func(host.Action) bool { return true }
	a, first, err := s.SendAndWaitFor(ctx, enginetest.Action("increment"), any, keyed)
	require.NoError(t, err)
	require.EqualValues(t, 2, a.Seq)
	mustSend(t, s, "increment")
	a, again, err := s.SendAndWaitFor(ctx, enginetest.Action("increment"), any, keyed)
	require.NoError(t, err)
	require.EqualValues(t, 2, a.Seq, "from history")
	require.True(t, again.Replayed)
	require.Equal(t, first.Correlation(), again.Correlation())
	require.NoError(t, again.WaitAll(ctx))
	_, _, err = s.SendAndWaitFor(ctx, enginetest.Action("increment"), func(a host.Action) bool { return a.Type == "reset" }, keyed)
	require.ErrorIs(t, err, host.ErrNever)
	_, err = s.SendWith(ctx, enginetest.Action("reset"), keyed.SendOptions)
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeIdempotencyMismatch})
	for _, bad := range []string{strings.Repeat("k", 257), "\xff"} {
		_, err = s.SendWith(ctx, enginetest.Action("reset"), host.SendOptions{Key: bad})
		require.ErrorIs(t, err, &host.Error{Code: abi.CodeBadRequest})
	}
}

// S11: subscribers get each action once and in order across a replacement, which shows as a version item.
func TestS11_versions(t *testing.T) {
	ctx := context.Background()
	h := counterHost(t, host.Config{})
	s := h.Store(abi.Address{Module: "counter"})
	sub, err := s.Subscribe(ctx, host.SubscribeOptions{}) // before the store has any action
	require.NoError(t, err)
	defer sub.Close()
	first := mustSend(t, s, "increment")
	d, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: replacement(t)})
	require.NoError(t, err)
	require.Equal(t, first.Revision, d.Previous)
	second := mustSend(t, s, "increment")
	require.Equal(t, d.Revision, second.Revision)

	var got []string
	for range 3 {
		item, err := sub.Next(ctx)
		require.NoError(t, err)
		if item.Action != nil {
			got = append(got, fmt.Sprint(item.Action.Seq, item.Action.Revision))
		} else {
			got = append(got, "version "+item.Version)
		}
	}
	require.Equal(t, []string{"1" + first.Revision, "version " + d.Revision, "2" + d.Revision}, got)
	require.EqualValues(t, 2, count(t, s))
}

// replacement is the counter with other bytes.
func replacement(tb testing.TB) []byte {
	m := enginetest.Manifest()
	m.Version = "1.0.1"
	return enginetest.CounterWith(tb, m)
}

// S13: a shutdown refuses outside actions, and nothing that was accepted is dropped: another host on the journal goes on.
func TestS13_shutdown(t *testing.T) {
	ctx := context.Background()
	backend := memory.New(memory.Config{})
	h, err := host.Open(ctx, host.Config{Journal: backend})
	require.NoError(t, err)
	_, err = h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t)})
	require.NoError(t, err)
	s := h.Store(abi.Address{Module: "counter", Key: "k"})
	mustSend(t, s, "increment", 5)
	sub, err := s.Subscribe(ctx, host.SubscribeOptions{From: 1})
	require.NoError(t, err)
	defer sub.Close()
	require.NoError(t, h.Shutdown(ctx))
	require.NoError(t, h.Shutdown(ctx), "twice")
	_, err = s.Send(ctx, enginetest.Action("increment"))
	require.Error(t, err)
	require.True(t, h.Health().IsUnhealthy())
	item, err := sub.Next(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, item.Action.Seq)
	_, err = sub.Next(ctx)
	require.ErrorIs(t, err, host.ErrShuttingDown)

	again := open(t, host.Config{Journal: backend})
	s = again.Store(abi.Address{Module: "counter", Key: "k"})
	require.EqualValues(t, 5, count(t, s))
	require.EqualValues(t, 2, mustSend(t, s, "increment").Seq)
}

// S13: a store can be shut down alone, until it is resumed.
func TestS13_store(t *testing.T) {
	ctx := context.Background()
	h := counterHost(t, host.Config{})
	s, other := h.Store(abi.Address{Module: "counter", Key: "a"}), h.Store(abi.Address{Module: "counter", Key: "b"})
	require.ErrorIs(t, s.Shutdown(ctx), host.ErrNotFound)
	mustSend(t, s, "increment")
	require.NoError(t, s.Shutdown(ctx))
	_, err := s.Send(ctx, enginetest.Action("increment"))
	require.ErrorIs(t, err, host.ErrShuttingDown)
	require.EqualValues(t, 1, count(t, s))
	require.True(t, s.Health().IsUnhealthy())
	mustSend(t, other, "increment")
	require.NoError(t, s.Resume(ctx))
	mustSend(t, s, "increment")
}

// A module that is unloaded answers no more; its stores wait for the next deploy.
func TestUnload(t *testing.T) {
	ctx := context.Background()
	h := counterHost(t, host.Config{})
	s := h.Store(abi.Address{Module: "counter"})
	for range 20 {
		mustSend(t, s, "increment")
	}
	sub, err := s.Subscribe(ctx, host.SubscribeOptions{})
	require.NoError(t, err)
	defer sub.Close()
	require.NoError(t, h.Unload(ctx, "", "counter"))
	require.ErrorIs(t, h.Unload(ctx, "", "counter"), host.ErrNotFound)
	_, err = s.Send(ctx, enginetest.Action("increment"))
	require.ErrorIs(t, err, host.ErrNotFound)
	_, err = sub.Next(ctx)
	require.ErrorIs(t, err, host.ErrNotFound)
	require.Empty(t, h.Modules(""))
	d, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t)})
	require.NoError(t, err)
	require.Equal(t, "reactivated", d.Outcome)
	require.EqualValues(t, 20, count(t, s))
	require.EqualValues(t, 21, mustSend(t, s, "increment").Seq)
}

// A deploy ends in one of three ways, or is refused and changes nothing.
func TestDeploy(t *testing.T) {
	ctx := context.Background()
	h := counterHost(t, host.Config{})
	s := h.Store(abi.Address{Module: "counter"})
	mustSend(t, s, "increment")
	deploy := func(wasm []byte, change ...func(*host.DeployRequest)) (host.Deployed, error) {
		req := host.DeployRequest{Module: "counter", Wasm: wasm}
		for _, c := range change {
			c(&req)
		}
		return h.Deploy(ctx, req)
	}
	d, err := deploy(enginetest.Counter(t))
	require.NoError(t, err)
	require.Equal(t, "unchanged", d.Outcome)
	require.Regexp(t, `^r1-[0-9a-f]{8}$`, d.Revision)
	d, err = deploy(replacement(t))
	require.NoError(t, err)
	require.Equal(t, "activated", d.Outcome)
	d, err = deploy(enginetest.Counter(t))
	require.NoError(t, err)
	require.Equal(t, "reactivated", d.Outcome)
	require.Regexp(t, `^r1-`, d.Revision)

	other := enginetest.Manifest()
	other.Schema = 2
	effectful := enginetest.Manifest()
	effectful.Effects = []abi.EffectGrant{{Kind: abi.KindCall, Targets: []string{"http:*"}}}
	for name, tc := range map[string]struct {
		wasm []byte
		code abi.Code
		text string
	}{
		"junk":    {[]byte("not wasm"), abi.CodeBadModule, ""},
		"empty":   {nil, abi.CodeBadModule, ""},
		"schema":  {enginetest.CounterWith(t, other), abi.CodeSchemaChanged, "the module has schema 2 and the stores of default/counter have 1: a replacement must keep the schema number"},
		"effects": {enginetest.CounterWith(t, effectful), abi.CodeUndeclaredEffect, "the module declares effects that the active revision does not, and that nobody granted: call=http:*"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := deploy(tc.wasm)
			var e *host.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.code, e.Code)
			if tc.text != "" {
				require.Equal(t, tc.text, e.Text)
			}
			mustSend(t, s, "increment")
		})
	}
	_, err = deploy(replacement(t), func(r *host.DeployRequest) { r.Module = "Not A Name" })
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeBadAddress})
	_, err = deploy(replacement(t), func(r *host.DeployRequest) { r.Grants = []string{"nonsense"} })
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeBadRequest})
	_, err = deploy(replacement(t), func(r *host.DeployRequest) { r.Grants = []string{"foo=bar"} })
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeBadRequest})
	_, err = deploy(replacement(t), func(r *host.DeployRequest) { r.Config = []byte{0xc1} })
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeBadRequest})
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = h.Deploy(cancelled, host.DeployRequest{Module: "new", Wasm: enginetest.Counter(t)})
	require.Error(t, err)
	_, err = h.Module("", "new")
	require.ErrorIs(t, err, host.ErrNotFound)

	versions, err := h.Versions("", "counter")
	require.NoError(t, err)
	require.Len(t, versions, 2)
	require.True(t, versions[0].Active)
	require.Equal(t, 1, versions[0].Stores)
	require.Equal(t, len(enginetest.Counter(t)), versions[0].Bytes)
}

// The bytes that --plugin gave a module last are not deployed again: a deploy made since stays.
func TestDeploy_plugin(t *testing.T) {
	ctx := context.Background()
	h := open(t, host.Config{})
	plugin := func(wasm []byte) string {
		d, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: wasm, Plugin: true})
		require.NoError(t, err)
		return d.Outcome
	}
	require.Equal(t, "activated", plugin(enginetest.Counter(t)))
	require.Equal(t, "unchanged", plugin(enginetest.Counter(t)))
	_, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: replacement(t)})
	require.NoError(t, err)
	require.Equal(t, "unchanged", plugin(enginetest.Counter(t)))
	m, err := h.Module("", "counter")
	require.NoError(t, err)
	require.Regexp(t, "^r2-", m.Revision)

	// Bytes that were active already are remembered as well.
	require.Equal(t, "unchanged", plugin(replacement(t)))
	_, err = h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t)})
	require.NoError(t, err)
	require.Equal(t, "unchanged", plugin(replacement(t)))
}

// Batches are reported of a journal that the host is given, and not of its own.
func TestCommitted(t *testing.T) {
	for _, given := range []bool{false, true} {
		var reported atomic.Int64
		config := host.Config{Observer: &host.Observer{ModuleLoaded: func(observe.Module) *observe.ModuleHooks {
			return &observe.ModuleHooks{Committed: func(*observe.Committed) { reported.Add(1) }}
		}}}
		if given {
			config.Journal = memory.New(memory.Config{})
		}
		mustSend(t, counterHost(t, config).Store(abi.Address{Module: "counter"}), "increment")
		require.Equal(t, given, reported.Load() > 0)
	}
}

// A deploy whose record the journal refuses leaves the running revision as it was.
func TestDeploy_failedBatch(t *testing.T) {
	ctx := context.Background()
	var failing bool
	h := open(t, host.Config{Journal: memory.New(memory.Config{Before: func(*journal.Batch) error {
		if failing {
			return fmt.Errorf("injected: %w", journal.ErrRefused)
		}
		return nil
	}})})
	_, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t)})
	require.NoError(t, err)
	failing = true
	_, err = h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: replacement(t)})
	require.ErrorIs(t, err, host.ErrBatchFailed)
	_, err = h.Deploy(ctx, host.DeployRequest{Module: "other", Wasm: replacement(t)})
	require.ErrorIs(t, err, host.ErrBatchFailed)
	failing = false
	require.Len(t, h.Modules(""), 1)
	mustSend(t, h.Store(abi.Address{Module: "counter"}), "increment")
	_, err = h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: replacement(t)})
	require.NoError(t, err)
}

// Stores are listed in the order of their keys, a page at a time.
func TestStores(t *testing.T) {
	ctx := context.Background()
	h := counterHost(t, host.Config{})
	for i := range 10 {
		mustSend(t, h.Store(abi.Address{Module: "counter", Key: fmt.Sprint("k", i)}), "increment")
	}
	require.NoError(t, h.Store(abi.Address{Module: "counter", Key: "k3"}).Delete(ctx))
	var keys []string
	for after := ""; ; {
		page, err := h.Stores(ctx, "", "counter", after, 4)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, s := range page {
			keys = append(keys, s.Address.Key)
			require.EqualValues(t, 1, s.Seq)
			require.Len(t, s.Incarnation, 32)
		}
		after = keys[len(keys)-1]
	}
	require.Equal(t, []string{"k0", "k1", "k2", "k4", "k5", "k6", "k7", "k8", "k9"}, keys)
	_, err := h.Stores(ctx, "", "nobody", "", 0)
	require.ErrorIs(t, err, host.ErrNotFound)
}

// Health names the halted store and why.
func TestHealth(t *testing.T) {
	h := open(t, host.Config{HaltOnCommandTrap: true})
	_, err := h.Deploy(context.Background(), host.DeployRequest{Module: "m", Wasm: enginetest.Attacker(t, attacks(t)["trap"].src)})
	require.NoError(t, err)
	s := h.Store(abi.Address{Module: "m", Key: "k"})
	require.True(t, s.Health().IsHealthy())
	mustSend(t, s, "increment")
	require.True(t, h.Health().IsHealthy())
	_, err = s.Send(context.Background(), enginetest.Action("attack"))
	require.ErrorIs(t, err, host.ErrHalted)
	require.True(t, s.Health().IsUnhealthy())
	health := h.Health()
	require.Equal(t, host.Degraded, health.Status)
	require.Len(t, health.Reasons, 1)
	require.Contains(t, health.Reasons[0], "default/m/k: halted")
	require.Contains(t, health.Reasons[0], "integer divide by zero")
	m := s.Metrics()
	require.EqualValues(t, 1, m.ActionsDispatched)
	require.EqualValues(t, 1, m.ActionsRefused)
}

// A handle on what cannot be there says so on use.
func TestStore_badAddress(t *testing.T) {
	ctx := context.Background()
	h := counterHost(t, host.Config{})
	for _, a := range []abi.Address{{Module: "Counter"}, {Module: "counter", Key: "a\nb"}, {Tenant: "-", Module: "counter"}, {}} {
		_, err := h.Store(a).Send(ctx, enginetest.Action("increment"))
		require.ErrorIs(t, err, &host.Error{Code: abi.CodeBadAddress})
		require.Equal(t, 1, strings.Count(strings.ReplaceAll(err.Error(), "_", " "), "bad address"), err)
	}
	_, err := h.StoreAt("default/counter//b")
	require.NoError(t, err, "the key is /b")
	_, err = h.StoreAt("counter/")
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeBadAddress})
	_, err = h.Store(abi.Address{Module: "nobody"}).Send(ctx, enginetest.Action("increment"))
	require.ErrorIs(t, err, host.ErrNotFound)
}

// History that was trimmed says what is missing, and goes on after it.
func TestHistory_gap(t *testing.T) {
	s := counterHost(t, host.Config{History: 10, TailBytes: 100}).Store(abi.Address{Module: "counter"})
	for range 50 {
		mustSend(t, s, "increment")
	}
	var gap *host.GapError
	var seqs []uint64
	for a, err := range s.History(context.Background(), 1, 0) {
		if errors.As(err, &gap) {
			continue
		}
		require.NoError(t, err)
		seqs = append(seqs, a.Seq)
	}
	require.NotNil(t, gap)
	require.EqualValues(t, 1, gap.From)
	require.Equal(t, gap.To+1, seqs[0])
	require.EqualValues(t, 50, seqs[len(seqs)-1])
	require.Less(t, len(seqs), 20)
}

// What is wrong with a config is said all at once.
func TestConfig(t *testing.T) {
	_, err := host.Open(context.Background(), host.Config{Shards: -1, TrapRate: -1, History: 5, Journal: memory.New(memory.Config{})})
	require.ErrorContains(t, err, "Shards")
	require.ErrorContains(t, err, "TrapRate")
	require.ErrorContains(t, err, "History")
	require.Contains(t, host.Config{Shards: 3}.String(), "Shards=3\n")
}
