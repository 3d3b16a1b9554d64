package projection

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/eventstore"
)

// Bounds of a row.
const (
	MaxKeyBytes   = 1 << 10
	MaxValueBytes = 8 << 20
)

// Projection says what events change in a read model.
type Projection interface {
	// Name is the name of the read model: text without control characters, 1 to 256 bytes; always the same.
	Name() string

	// Apply applies one event, which it must not change. It depends on nothing but tx and e, and changes nothing but tx. An error, or a
	// panic, undoes what it wrote; events that do not concern the model are no error.
	Apply(ctx context.Context, tx Tx, e eventstore.Event) error
}

// Tx reads and writes the rows of one build. It sees what it wrote, and belongs to the call that it was given to.
type Tx interface {
	// Get returns a row's value, or an error that is [ErrNotFound]. The value must not be changed and stays valid.
	Get(key string) ([]byte, error)
	// Set writes a row. The value is the caller's again.
	Set(key string, value []byte) error
	// Delete removes a row. That there is none is no error.
	Delete(key string) error
	// Rows yields the rows whose keys begin with prefix, ascending, as they are when the loop begins. It stops after an error.
	Rows(prefix string) iter.Seq2[Row, error]
}

// Row is a key and its value, which must not be changed.
type Row struct {
	Key   string
	Value []byte
}

// Build is one making of a read model. A later one has a larger ID.
type Build struct {
	ID         uint64
	Checkpoint uint64 // position of the last event that was applied, 0 for none
}

// Builds are what there is of a read model.
type Builds struct {
	Live Build // what readers see
	Next Build // what is to take its place; ID 0 when there is none
}

// Page is a part of a read model. Whoever reads page by page sees by Build and Checkpoint whether it changed in between.
type Page struct {
	Build
	Rows []Row
}

// Store keeps read models, each with its checkpoint. All methods may be called from many goroutines; one whose context has ended does nothing and
// returns its cause. A read model that nobody has written is there, empty, as build 1.
type Store interface {
	// Builds returns the builds of a read model.
	Builds(ctx context.Context, name string) (Builds, error)

	// Begin makes an empty build to take the place of the live one, and drops one that was to do so before.
	Begin(ctx context.Context, name string) (Build, error)

	// Update calls write once and then commits, together or not at all, what it wrote and the checkpoint to, which is beyond from's. An error of
	// write is returned as it is, and nothing is committed; nor is it when from is not what the store has by then ([ErrMoved]). After any
	// other error the outcome is unknown: Builds tells.
	Update(ctx context.Context, name string, from Build, to uint64, write func(Tx) error) error

	// Switch makes the next build the live one and drops the old one. It fails with [ErrMoved] when next is not what the store has, or when its
	// checkpoint is before the live one's.
	Switch(ctx context.Context, name string, next Build) error

	// Get returns the value of a row of the live build, or an error that is [ErrNotFound].
	Get(ctx context.Context, name, key string) ([]byte, error)

	// List returns the rows of the live build whose keys begin with prefix and are greater than after, ascending, limit at most. An empty
	// answer says that there are none; a short one says nothing.
	List(ctx context.Context, name, prefix, after string, limit int) (Page, error)

	// Close ends the store. Later calls return an error that is [ErrClosed]; a second Close does nothing.
	Close() error
}

// Log is what a runner needs of an event store; see there.
type Log interface {
	All(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error)
	Wait(ctx context.Context, after uint64) error
	Head(ctx context.Context) (uint64, error)
}

var _ Log = eventstore.Store(nil)

// CheckName reports why a name cannot be a read model's; errors are [InvalidError].
func CheckName(name string) error {
	if err := abi.ValidateKey(name); err != nil {
		return &InvalidError{What: "name", Reason: strings.TrimPrefix(err.Error(), abi.ErrBadAddress.Error()+": ")}
	}
	return nil
}

// CheckRow reports why a row cannot be written; errors are [InvalidError].
func CheckRow(key string, value []byte) error {
	if len(key) == 0 || len(key) > MaxKeyBytes {
		return &InvalidError{What: "row", Reason: fmt.Sprintf("a key of %d bytes, want 1 to %d", len(key), MaxKeyBytes)}
	}
	if len(value) > MaxValueBytes {
		return &InvalidError{What: "row", Reason: fmt.Sprintf("a value of %d bytes, the limit is %d", len(value), MaxValueBytes)}
	}
	return nil
}
