package eventbus

import "context"

// Bus carries messages. All methods may be called from many goroutines; a method whose context has ended does nothing and returns its cause.
type Bus interface {
	// Publish hands a message to the groups of its topic, to all or none. When it returns nil they have it, as durably as the implementation
	// keeps anything. The bytes in m are the caller's again.
	//
	// Errors: [FullError], [InvalidError], [ErrClosed]; after any other the outcome is unknown.
	Publish(ctx context.Context, m Message) error

	// Subscribe adds a member to a group of a topic and makes the group if there is none, for messages from now on. The empty name makes a
	// group of its own. Ctx is for the call; the subscription ends with its Close.
	Subscribe(ctx context.Context, topic, group string, h Handler) (Subscription, error)

	// Forget ends a group and drops what it has not handled. A group that does not exist is no error, one with members is [ErrInUse].
	Forget(ctx context.Context, topic, group string) error

	// Close ends all subscriptions, as if each was closed, and the bus. Later calls return [ErrClosed]; a second Close does nothing.
	Close() error
}

// Handler handles a message: nil says that it is done, an error that it is to come again. Ctx ends when the subscription is closed; what is
// returned after that counts as well. Bytes in d are shared and must not be changed; they stay valid.
type Handler func(ctx context.Context, d Delivery) error

// Subscription is a member of a group.
type Subscription interface {
	// Close takes the member out of its group, ends the context of the handler that runs and waits for it to return. What the member has not
	// handled goes to the others of its group. It may be called twice.
	//
	// REQUIRES: it is not called from the handler, which it waits for.
	Close()
}
