package sdk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/sdk"
)

func TestEffects(t *testing.T) {
	type Step struct {
		By int64 `msgpack:"by"`
	}
	one, step := []byte{1}, []byte("\x82\xa4type\xa3add\xa2by\x05")
	version := int64(-1)
	tree := sdk.Effects{
		sdk.None(),
		sdk.Call("pay", 1).ID("p").OK("paid").Err("failed").Retry("slow").Timeout(time.Second),
		sdk.Delay(time.Minute, "add", Step{5}).ID("later"),
		sdk.Sequential(
			sdk.Publish("topic", 1).Key("k"),
			sdk.Parallel(sdk.Append("stream", map[string]int{"n": 1}, map[string]int{}).Expect(-1), sdk.Load("stream", 7)),
			sdk.Effect{},
		),
		sdk.Project("list", 1),
		sdk.Dispatch("counter/b", "add", Step{5}),
		sdk.Cancel("later"),
	}
	got, err := abi.DecodeEffects(tree.Append(nil))
	require.NoError(t, err)
	require.Equal(t, []abi.Effect{
		{Kind: abi.KindNone},
		{Kind: abi.KindCall, Target: "pay", Body: one, ID: "p", OK: "paid", Err: "failed", Retry: "slow", Timeout: time.Second},
		{Kind: abi.KindDelay, After: time.Minute, Body: step, ID: "later"},
		{Kind: abi.KindSequential, Children: []abi.Effect{
			{Kind: abi.KindPublish, Target: "topic", Body: one, Key: "k"},
			{Kind: abi.KindParallel, Children: []abi.Effect{
				{Kind: abi.KindAppend, Target: "stream", Events: [][]byte{[]byte("\x81\xa1n\x01"), {0x80}}, Expect: &version},
				{Kind: abi.KindLoad, Target: "stream", From: 7},
			}},
			{Kind: abi.KindNone},
		}},
		{Kind: abi.KindProject, Target: "list", Body: one},
		{Kind: abi.KindDispatch, Target: "counter/b", Body: step},
		{Kind: abi.KindCancel, ID: "later"},
	}, got)
	require.Panics(t, func() { sdk.Dispatch("a", "add", 3) }, "an action is a map")
}
