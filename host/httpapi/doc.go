// Package httpapi is the host's door for HTTP: JSON or msgpack requests, WebSocket and server-sent events, and the OpenAPI document that
// describes them.
//
// # What it promises
//
// Every operation is one value, a route. The mux, the check of the query parameters, the content types that a body may have and the OpenAPI
// document are all made from it, so that none of them can say something else than the others. A parameter that the route does not name is
// refused, not ignored.
//
// Numbers keep their meaning: actions and states go through jsonpack, so that an integer stays an integer and 1.0 stays a float. A reply is a
// Go value with JSON tags; a client that prefers msgpack gets the same reply, converted.
//
// What an operator does about effects (dead letters, circuit breakers, policies) is below the tenant. A retry of many dead letters lasts as
// long as its client stays; it can be followed as server-sent events.
//
// Every refusal is an application/problem+json with the host's code, and says what to do next. One table gives each code its HTTP status
// and its WebSocket close code.
//
// # What it refuses
//
// A loopback address is no protection from a browser: any page can send requests to 127.0.0.1. So the Host header must name a loopback
// address or Config.Hostname (which stops DNS rebinding), whatever changes something must not come with the Origin of another site, and a
// body needs its content type (which a form cannot set).
//
// Bodies are bounded: an action by abi.HardActionBytes, a module by abi.DefaultModuleBytes.
//
// # Concurrency
//
// The handler is safe for concurrent use. A WebSocket's commands are done one after the other, in the order they were sent; use several
// connections, or plain requests, for more at a time. What a subscriber cannot read in time is dropped for a gap frame: neither the host's
// memory nor the store waits for it. One that reads nothing at all for WriteTimeout is disconnected.
//
// # Failure
//
// When the client goes away, so does the wait for its answer; whether its action was accepted is decided all the same. A timeout or a
// "never" after an action was accepted carries its seq. Streams end with the reason: an error frame, and for WebSocket a close code, of
// which 3000 to 3499 mean "reconnect" and 3500 to 3999 "do not".
package httpapi
