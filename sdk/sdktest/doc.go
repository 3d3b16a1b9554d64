// Package sdktest tests reducers natively: given a state, when an action comes, then this state and these effects.
//
//	sdktest.Given(t, counter, State{Count: 40}).
//		When("increment", Step{By: 2}).
//		Then(State{Count: 42})
//
// Actions go through the same frames and codecs as in a host, only without WebAssembly in between. After every When the contract is checked
// beside the expectation, and a test fails where it is broken:
//
//   - The residency law: the reducer is run twice, on the state it kept and on the one decoded from bytes, and has to give the same
//     status, effects and state; and a decoded state has to encode to the bytes that it came from. So the order of maps, fields that are not
//     encoded and package variables are found out.
//   - Unchanged: who says so may not have changed the state.
//   - Rejection: when the state is taken back (see Clone in package sdk), it has to be what it was before.
//   - Effects: each one has to be declared by the reducer.
//
// A When that no Then or Rejected follows has to be accepted. A Scenario belongs to one goroutine; it reports to t and stops the test at the
// first fault. Times and random numbers are the same in every run.
package sdktest
