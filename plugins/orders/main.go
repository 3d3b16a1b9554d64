// Package main is an order: an event-sourced aggregate with a payment, one order per store.
//
//	      place           payment_ok         ship
//	new --------> placed ------------> paid ------> shipped
//	                |                   |
//	                | cancel,           | cancel
//	                | payment_failed,   |
//	                | payment_timed_out |
//	                +-------------------+---------> cancelled, and the bank is told to refund
//
// What happened is in the event stream order-KEY; the state is a fold of it. A command does not change the order, it asks for an event to be
// stored, at the version that the order has. Only when the host says that it is (order_placed, order_paid, ...) the event is applied, published and
// projected, and the order does what comes next by itself. While an event is being stored, commands are rejected as busy.
//
//	main.go       what the module is
//	order.go      the state, its events, and what an order does by itself
//	command.go    what people ask for
//	feedback.go   what effects come to
//	payment.go    the bank
//
// # When it fails
//
// When an event cannot be stored, at the version that the order has or at all, the order loads what the stream has behind that version, and goes on from
// there: somebody else may have been there, and the event itself may be. What failed for good is in State.Failure and a dead letter; redriven, it lets the
// order go on.
//
// Answers that come late, from a redrive or after the payment timed out, find an order that has moved on. A payment of a cancelled order is
// refunded; what would change nothing is ignored.
package main

import "github.com/crhost/crhost/sdk"

var orders = sdk.Register(sdk.Reducer[State]{
	Name:    "orders",
	Version: "1.0.0",
	Config:  sdk.UseConfig(Config{PaymentSeconds: 30}),
	Actions: []sdk.Action[State]{
		sdk.On("place", place).Doc("Order items for a customer; prices are in cents."),
		sdk.On("cancel", cancel).Doc("Cancel an order that has not been shipped."),
		sdk.On("ship", ship).Doc("Say that a paid order is on its way."),

		sdk.On(orderPlaced, stored).Internal(),
		sdk.On(orderPaid, stored).Internal(),
		sdk.On(orderCancelled, stored).Internal(),
		sdk.On(orderShipped, stored).Internal(),
		sdk.On("not_stored", notStored).Internal(),
		sdk.On("loaded", loaded).Internal(),
		sdk.On("not_loaded", notLoaded).Internal(),

		sdk.On("payment_ok", charged).Internal(),
		sdk.On("payment_failed", notCharged).Internal(),
		sdk.On("payment_timed_out", notAnswered).Internal(),
	},
	Effects: []sdk.Grant{
		{Kind: sdk.KindAppend, Targets: []string{"order-*"}},
		{Kind: sdk.KindLoad, Targets: []string{"order-*"}},
		{Kind: sdk.KindPublish, Targets: []string{topic}},
		{Kind: sdk.KindProject, Targets: []string{byCustomer}},
		{Kind: sdk.KindCall, Targets: []string{"http:*"}},
		{Kind: sdk.KindDelay},
		{Kind: sdk.KindCancel},
	},
})

func main() {}
