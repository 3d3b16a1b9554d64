package httpapi_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi"
)

// What is in force makes the same policy again, and no field is lost on the way to the host.
func TestPolicy_roundTrip(t *testing.T) {
	hosted := openHost(t, host.Config{})
	h := open(t, httpapi.Config{Host: hosted})
	put := func(t require.TestingT, body []byte) (httpapi.NamedPolicy, host.Policy) {
		w := do(h, http.MethodPut, "/v1/tenants/default/policies/p", body, "Content-Type", "application/json")
		require.Equal(t, 200, w.Code, w.Body)
		var shown httpapi.NamedPolicy
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &shown))
		for _, p := range hosted.Policies("default") {
			if p.Name == "p" {
				return shown, p.Policy
			}
		}
		require.FailNow(t, "it is not there")
		return shown, host.Policy{}
	}
	rapid.Check(t, func(t *rapid.T) {
		duration := func(name string, least time.Duration) httpapi.Duration {
			return httpapi.Duration(rapid.OneOf(rapid.Just(time.Duration(0)), rapid.Custom(func(t *rapid.T) time.Duration {
				return time.Duration(rapid.Int64Range(int64(least), int64(1000*time.Hour)).Draw(t, name))
			})).Draw(t, name))
		}
		number := func(name string, from, to float64) float64 {
			return rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(from, to)).Draw(t, name)
		}
		initial := duration("initial", 1)
		var p httpapi.Policy
		p.Retry = httpapi.RetryPolicy{
			Initial: initial, Multiplier: number("multiplier", 1, 100), Retries: rapid.IntRange(-2, 1000).Draw(t, "retries"), Timeout: duration("timeout", 1),
			OnOpen: rapid.SampledFrom([]string{"", "park", "deadletter"}).Draw(t, "on open"), ParkLimit: duration("park limit", 1),
		}
		if rapid.Bool().Draw(t, "has max") {
			p.Retry.Max = initial + httpapi.Duration(time.Minute)
		}
		p.Budget = httpapi.BudgetPolicy{Ratio: number("ratio", -1, 1), PerSecond: number("per second", 1e-3, 1e6), Reserve: number("reserve", 1, 1e6)}
		p.Breaker = httpapi.BreakerPolicy{
			Failures: rapid.IntRange(0, 100).Draw(t, "failures"), Rate: rapid.IntRange(0, 100).Draw(t, "rate"), Window: duration("window", time.Second),
			Minimum: rapid.IntRange(0, 100).Draw(t, "minimum"), Open: duration("open", 1), Successes: rapid.IntRange(0, 9).Draw(t, "successes"),
			Probes: rapid.IntRange(0, 9).Draw(t, "probes"),
		}
		p.Concurrency = rapid.IntRange(0, 1000).Draw(t, "concurrency")

		body, err := json.Marshal(p)
		require.NoError(t, err)
		shown, held := put(t, body)
		keeps(t, reflect.ValueOf(p), reflect.ValueOf(shown.Policy))
		require.Equal(t, held.String(), shown.Policy.Host().String(), "what is shown is what is in force")
		body, err = json.Marshal(shown.Policy)
		require.NoError(t, err)
		again, _ := put(t, body)
		require.Equal(t, shown, again)
	})
}

// keeps checks that each field which is given is as it was given.
func keeps(t require.TestingT, given, shown reflect.Value) {
	for i := range given.NumField() {
		switch f := given.Field(i); {
		case f.Kind() == reflect.Struct:
			keeps(t, f, shown.Field(i))
		case !f.IsZero():
			require.Equal(t, f.Interface(), shown.Field(i).Interface(), given.Type().Field(i).Name)
		}
	}
}

func TestReadPolicy_refused(t *testing.T) {
	for body, want := range map[string]string{
		`{} {}`:                                       "there is more after the policy",
		`{"concurrency":"many"}`:                      "concurrency is a string",
		`{"retry":{"initial":1}}`:                     "retry.initial is a number, want text such as 100ms",
		`{"retry":{"initial":"1"}}`:                   "missing unit",
		`{"breaker":{"open":"-1s"}}`:                  "Open is -1s",
		`{"retires":1}`:                               `unknown field "retires"`,
		`{"concurrency":-1,"retry":{"retries":2000}}`: "; Concurrency is -1",
	} {
		_, err := httpapi.ReadPolicy([]byte(body))
		require.ErrorContains(t, err, want, body)
	}
}
