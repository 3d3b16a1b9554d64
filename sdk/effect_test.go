package sdk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
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

// Each method returns an effect of its own: one that is kept elsewhere stays as it is.
func TestEffect_isAValue(t *testing.T) {
	for _, base := range []sdk.Effect{
		sdk.None(), sdk.Call("pay", 1), sdk.Call("pay", struct{}{}).ID("a").OK("b").Err("c").Retry("d").Timeout(1).Key("e").Expect(2),
		sdk.Parallel(sdk.Cancel("x").OK("y")), sdk.Append("s", struct{}{}).Expect(3),
	} {
		before := string(sdk.Effects{base}.Append(nil))
		kept, both := base, sdk.Parallel(base, base)
		inTree := string(sdk.Effects{both}.Append(nil))
		changed := map[string]sdk.Effect{
			"id": base.ID("1"), "ok": base.OK("2"), "err": base.Err("3"), "retry": base.Retry("4"), "timeout": base.Timeout(5), "key": base.Key("6"),
			"expect": base.Expect(7), "twice": base.OK("8").OK("9"), "all": base.ID("1").OK("2").Err("3").Retry("4").Timeout(5).Key("6").Expect(7),
		}
		for name, e := range changed {
			after := string(sdk.Effects{e}.Append(nil))
			require.NotEqual(t, before, after, name)
			e.ID("more").OK("more").Expect(9)
			require.Equal(t, after, string(sdk.Effects{e}.Append(nil)), name)
		}
		require.Equal(t, before, string(sdk.Effects{base}.Append(nil)))
		require.Equal(t, before, string(sdk.Effects{kept}.Append(nil)))
		require.Equal(t, inTree, string(sdk.Effects{both}.Append(nil)))
		require.Equal(t, "9", changed["twice"].Describe().OK)
	}
}

// A body is what it was when the effect was described, and what Pack returns is the caller's.
func TestEffect_ownsItsBody(t *testing.T) {
	args := []int{1, 2}
	call, none := sdk.Call("pay", args), sdk.Call("pay", struct{}{})
	args[0] = 7
	require.Equal(t, []byte{0x92, 1, 2}, call.Describe().Body)
	packed := sdk.Pack(struct{}{})
	packed[0] = 0xc0
	require.Equal(t, []byte{0x80}, none.Describe().Body)
	require.Equal(t, []byte{0x80}, sdk.Publish("topic", struct{}{}).Describe().Body)
	require.Equal(t, []byte{0x90}, sdk.Call("pay", [0]int{}).Describe().Body, "no bytes, but no map")
	require.Equal(t, []byte{0xc3}, sdk.Call("pay", yes{}).Describe().Body, "nor is a codec")
	require.Equal(t, []byte{0xc0}, sdk.Call[any]("pay", nil).Describe().Body)
}

// yes is a type without bytes that encodes itself.
type yes struct{}

func (*yes) AppendPack(b []byte) []byte { return pack.AppendBool(b, true) }
func (*yes) ReadPack(r *pack.Reader)    { r.Bool() }
