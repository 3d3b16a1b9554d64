package main

import (
	"math"
	"testing"

	"github.com/crhost/crhost/sdk/sdktest"
)

func TestCounter(t *testing.T) {
	sdktest.Fresh(t, counter).
		When("increment", nil).Then(State{Count: 1}).
		When("increment", Step{By: 41}).Then(State{Count: 42}).
		When("decrement", Step{By: 2}).Then(State{Count: 40}).
		When("decrement", nil).Then(State{Count: 39}).
		When("increment", Step{By: 0}).Then(State{Count: 39}).
		When("decrement", Step{By: -3}).Then(State{Count: 42}).
		When("reset", nil).Then(State{})
}

func TestCounter_overflow(t *testing.T) {
	for _, at := range []struct {
		count  int64
		action string
		by     int64
	}{
		{math.MaxInt64, "increment", 1},
		{math.MinInt64, "increment", -1},
		{math.MinInt64, "decrement", 1},
		{math.MaxInt64, "decrement", -1},
		{0, "decrement", math.MinInt64},
		{1, "increment", math.MaxInt64},
	} {
		sdktest.Given(t, counter, State{Count: at.count}).
			When(at.action, Step{By: at.by}).Rejected("overflow").
			When("increment", Step{By: 0}).Then(State{Count: at.count})
	}
}
