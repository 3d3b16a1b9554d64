package sdktest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/sdk"
	"github.com/crhost/crhost/sdk/sdktest"
)

type State struct {
	Count  int64            `msgpack:"count"`
	Seen   map[string]int64 `msgpack:"seen"`
	hidden int64            `msgpack:"-"`
}

type Add struct {
	By   int64  `msgpack:"by" default:"1"`
	Name string `msgpack:"name"`
}

type reducer = func(s *State, a Add, env *sdk.Env) (sdk.Effects, error)

// module has one action, add.
func module(add reducer) *sdk.Module[State] {
	return sdk.New(sdk.Reducer[State]{
		Name:    "sum",
		Initial: State{Seen: map[string]int64{}},
		Effects: []sdk.Grant{{Kind: sdk.KindPublish, Targets: []string{"sums.*"}}},
		Actions: []sdk.Action[State]{sdk.On("add", add)},
	})
}

func add(s *State, a Add, env *sdk.Env) (sdk.Effects, error) {
	if a.By < 0 {
		return nil, sdk.Reject("negative", "by is negative")
	}
	if a.By == 0 {
		return nil, sdk.Unchanged
	}
	s.Count += a.By
	s.Seen[a.Name]++
	return sdk.Effects{sdk.Publish("sums.done", s.Count)}, nil
}

// failure is a test that ends by a panic with its message.
type failure struct{}

func (failure) Helper() {}
func (failure) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
func (failure) Cleanup(func()) {}

// run returns the message that a scenario fails with, "" when it passes.
func run(scenario func(t sdktest.TB)) (message string) {
	defer func() {
		if r := recover(); r != nil {
			message = r.(string)
		}
	}()
	scenario(failure{})
	return ""
}

func TestScenario(t *testing.T) {
	sdktest.Given(t, module(add), State{Count: 1, Seen: map[string]int64{"b": 1}}).
		When("add", Add{By: 2, Name: "a"}).
		Then(State{Count: 3, Seen: map[string]int64{"a": 1, "b": 1}}, sdk.Publish("sums.done", int64(3))).
		When("add", Add{By: -1}).Rejected("negative").
		When("add", Add{By: 0}).Then(State{Count: 3, Seen: map[string]int64{"a": 1, "b": 1}}).
		When("add", map[string]string{"by": "three"}).BadAction().
		When("add", nil).
		Then(State{Count: 4, Seen: map[string]int64{"": 1, "a": 1, "b": 1}}, sdk.Publish("sums.done", int64(4)))
}

func TestScenario_env(t *testing.T) {
	type Seen struct {
		At                 time.Time
		Store, Who         string
		Seq                uint64
		Correlation, Cause string
		Number             int
	}
	m := sdk.New(sdk.Reducer[Seen]{Name: "env", Actions: []sdk.Action[Seen]{
		sdk.On("look", func(s *Seen, _ struct{}, env *sdk.Env) (sdk.Effects, error) {
			*s = Seen{env.Now(), env.Store().String(), env.Principal(), env.Seq(), env.Correlation(), env.Causation(), env.Rand().IntN(1 << 30)}
			return nil, nil
		}),
	}})
	look := func(number int) Seen {
		return Seen{sdktest.Start.Add(time.Second), "acme/env/a/b", "ann", 2, "test", "", number}
	}
	sdktest.Fresh(t, m).From("ann").Of("acme/env/a/b").When("look", nil).When("look", nil).Then(look(numberOf(t, m)))
}

// numberOf is what Rand gives to the second action of any scenario.
func numberOf[S any](t *testing.T, m *sdk.Module[S]) int {
	t.Helper()
	message := run(func(t sdktest.TB) {
		var zero S
		sdktest.Fresh(t, m).From("ann").Of("acme/env/a/b").When("look", nil).When("look", nil).Then(zero)
	})
	_, after, found := strings.Cut(message, "+   \"Number\": ")
	require.True(t, found, message)
	var n int
	_, err := fmt.Sscan(after, &n)
	require.NoError(t, err)
	return n
}

// Each of these reducers breaks the contract in one way, and has to be found out.
func TestScenario_mutants(t *testing.T) {
	var process int64
	many := map[string]int64{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1}
	for name, mutant := range map[string]struct {
		add  reducer
		want string
	}{
		"process variable": {func(s *State, _ Add, _ *sdk.Env) (sdk.Effects, error) {
			process++
			s.Count = process
			return nil, nil
		}, "residency law: add makes another state"},
		"hidden field": {func(s *State, _ Add, _ *sdk.Env) (sdk.Effects, error) {
			s.hidden++
			s.Count = s.hidden
			return nil, nil
		}, "residency law: add makes another state"},
		"hidden field in effects": {func(s *State, _ Add, _ *sdk.Env) (sdk.Effects, error) {
			s.hidden++
			return sdk.Effects{sdk.Publish("sums.hidden", s.hidden)}, nil
		}, "residency law: add has other effects"},
		"hidden field in rejections": {func(s *State, _ Add, _ *sdk.Env) (sdk.Effects, error) {
			if s.hidden++; s.hidden == 2 {
				return nil, sdk.Reject("second", "")
			}
			return nil, nil
		}, "residency law: add on the kept state is REJECTED second, on the same state decoded from its bytes OK"},
		"map order": {func(s *State, _ Add, _ *sdk.Env) (sdk.Effects, error) {
			s.Count = 0
			for name := range s.Seen {
				s.Count = s.Count<<8 | int64(name[0])
			}
			return nil, nil
		}, "residency law: add makes another state"},
		"changed and Unchanged": {func(s *State, _ Add, _ *sdk.Env) (sdk.Effects, error) {
			s.Count++
			return nil, sdk.Unchanged
		}, "says sdk.Unchanged, but the state has changed"},
		"undeclared effect": {func(*State, Add, *sdk.Env) (sdk.Effects, error) {
			return sdk.Effects{sdk.Publish("other", 1)}, nil
		}, "the effect publish \"other\" is not in Reducer.Effects"},
		"unexpected rejection": {func(*State, Add, *sdk.Env) (sdk.Effects, error) {
			return nil, sdk.Reject("never", "not today")
		}, "add is not accepted, it is REJECTED never: not today"},
	} {
		t.Run(name, func(t *testing.T) {
			message := run(func(t sdktest.TB) {
				s := sdktest.Given(t, module(mutant.add), State{Seen: many})
				for range 8 {
					s.When("add", nil)
				}
			})
			require.Contains(t, message, mutant.want)
		})
	}
}

type cloning struct {
	List []int64 `msgpack:"list"`
}

func (c cloning) Clone() cloning { return c } // shares the list: wrong

func TestScenario_brokenClone(t *testing.T) {
	m := sdk.New(sdk.Reducer[cloning]{Name: "cloning", Actions: []sdk.Action[cloning]{
		sdk.On("spoil", func(s *cloning, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
			s.List[0]++
			return nil, sdk.Reject("no", "")
		}),
	}})
	message := run(func(t sdktest.TB) { sdktest.Given(t, m, cloning{[]int64{1}}).When("spoil", nil) })
	require.Contains(t, message, "refused, but the state is not taken back")
}

func TestScenario_messages(t *testing.T) {
	message := run(func(t sdktest.TB) {
		sdktest.Given(t, module(add), State{Count: 1, Seen: map[string]int64{}}).
			When("add", Add{By: 1, Name: "x"}).Then(State{Count: 3, Seen: map[string]int64{"x": 1}})
	})
	require.Equal(t, "after add the state is not (-) but (+)\n  {\n-   \"count\": 3\n+   \"count\": 2\n    \"seen\": {\n      \"x\": 1\n    }\n", message)
	message = run(func(t sdktest.TB) { sdktest.Fresh(t, module(add)).When("sub", nil) })
	require.Equal(t, "the module sum has no action sub", message)
	message = run(func(t sdktest.TB) { sdktest.Fresh(t, module(add)).When("add", nil).Rejected("negative") })
	require.Equal(t, "add was not rejected as negative, it is accepted", message)
}

func ExampleGiven() {
	t := new(failure) // a *testing.T in a test
	sdktest.Given(t, module(add), State{Count: 40, Seen: map[string]int64{}}).
		When("add", Add{By: 2, Name: "ann"}).
		Then(State{Count: 42, Seen: map[string]int64{"ann": 1}}, sdk.Publish("sums.done", int64(42)))
	fmt.Println("as expected")
	// Output: as expected
}
