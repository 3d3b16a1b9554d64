// Package eventbus is the contract of what carries messages from those who publish them to those who subscribed to their topic.
//
// package memory implements it, package eventbustest checks an implementation against these sentences.
//
//	Publish --> topic --+--> group "mail"  --+--> member   each message to one member
//	                    |                    +--> member
//	                    +--> group "audit" -----> member   each group has them all
//	                    +--> no group ----------> everyone of these has them all
//
// # What it promises
//
//   - A message goes to each group of its topic that exists when it is published. A group exists from its first [Bus.Subscribe] until [Bus.Forget],
//     and keeps what comes while it has no member. Without a name it is a group of one, which ends with the subscription.
//   - A message is handled when a handler returned nil for it, and not before. Else it comes again, to whichever member is free, after a
//     delay that grows up to a bound, as often as it takes: at least once. A handler that wants no more of a message returns nil.
//   - In a group, messages of one key are handled one after the other in the order in which they were published. One that fails holds back
//     its key, and no other. Messages without a key have no order.
//   - A message is told by its topic and id: published again within the window that the implementation states, it changes nothing. So
//     whoever does not know how a publish ended just repeats it (SEMANTICS E1).
//
// # What it refuses
//
// A bus is no store: who was not subscribed has missed it. What a group has not handled is bounded. While one group of a topic is full, Publish
// refuses the topic's messages with a [FullError], for all its groups: whoever is slow slows the publishers down, and nothing is
// lost without a word. That is temporary; the message may be published again at once, as it was not taken.
//
// # Concurrency
//
// A Bus may be used by many goroutines. A subscription handles one message at a time; who wants more at once subscribes more often.
//
// # When it fails
//
//	ErrFull      a group has no room; nobody got the message. Publish it again later
//	ErrInvalid   the request cannot be right. Never right to repeat
//	ErrInUse     the group has members
//	ErrClosed    the bus was closed before
//	others       it is not known whether the message was taken; publish it again
//
// A handler that panics has failed. One that never returns keeps its key and its member for ever, unless an implementation says that it
// gives up on it.
package eventbus
