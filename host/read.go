package host

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/deploy"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard/feed"
)

// Action is an accepted action.
type Action struct {
	Seq         uint64
	Time        time.Time // as the reducer saw it
	Type        string
	Body        []byte // msgpack map, its type included; shared: it must not be changed
	Revision    string // that reduced it
	Cause       string // command, feedback, timer or dispatch
	Correlation string
	Principal   string
	Fuel        uint64
}

var causes = map[journal.Cause]string{
	journal.CauseCommand: "command", journal.CauseFeedback: "feedback", journal.CauseTimer: "timer", journal.CauseDispatch: "dispatch",
}

// action reads what callers may see out of a record.
func action(m *deploy.Module, r *journal.Record) (Action, error) {
	typ, err := abi.TypeOf(r.Action)
	if err != nil {
		return Action{}, fmt.Errorf("action %d: %w", r.Seq, err)
	}
	var meta abi.Meta
	if err := meta.Decode(r.Meta); err != nil {
		return Action{}, fmt.Errorf("meta of action %d: %w", r.Seq, err)
	}
	return Action{
		Seq: r.Seq, Time: time.Unix(0, r.Time).UTC(), Type: string(typ), Body: r.Action, Revision: m.RevisionID(r.Revision), Cause: causes[r.Cause],
		Correlation: meta.Correlation, Principal: meta.Principal, Fuel: r.Fuel,
	}, nil
}

// History yields the store's durable actions from seq from to seq to, in order; 0 means the oldest that is kept, or the newest. When from is no longer kept, the first thing
// yielded is a *GapError, and the actions that are kept follow. Other errors end it: *Error, CodeNotFound for a store that has no actions.
func (s *Store) History(ctx context.Context, from, to uint64) iter.Seq2[Action, error] {
	return func(yield func(Action, error) bool) {
		p, err := s.place()
		if err != nil {
			yield(Action{}, err)
			return
		}
		_, first, last, err := p.Shard.Bounds(ctx, s.address.Key)
		if err != nil {
			yield(Action{}, err)
			return
		}
		if last == 0 {
			yield(Action{}, &Error{Code: abi.CodeNotFound, Text: fmt.Sprintf("store %s has no actions", s.address)})
			return
		}
		if to == 0 {
			to = math.MaxUint64
		}
		if from != 0 && from < first && from <= to {
			if !yield(Action{}, &GapError{Gap{From: from, To: min(first-1, to)}}) {
				return
			}
		}
		for r, err := range p.Shard.History(ctx, s.address.Key, max(from, 1), to) {
			if err == nil {
				var a Action
				if a, err = action(p.Module, r); err == nil {
					if !yield(a, nil) {
						return
					}
					continue
				}
			}
			yield(Action{}, &Error{Code: abi.CodeInternal, Text: "read the history of " + s.address.String(), Err: err})
			return
		}
	}
}

// SubscribeOptions say where a subscription begins.
type SubscribeOptions struct {
	From uint64 // seq of the first action wanted; 0 = those that become durable from now on
}

// Item is what a subscriber gets: exactly one of its fields is set.
type Item struct {
	Action  *Action
	Gap     *Gap   // actions that are no longer kept, or that the subscriber was too slow for
	Version string // the revision that answers from the next action on
}

// Subscription is a subscriber's place in a store's actions. It serves one goroutine at a time.
type Subscription struct {
	store    *Store
	place    *deploy.Place
	cursor   *feed.Cursor
	life     journal.Incarnation
	revision uint64 // of the action given out last; 0 before the first
	held     *Action
	last     uint64 // seq of the last item given out, or held
	done     bool
}

// seen is the seq up to which everything was given out.
func (s *Subscription) seen() uint64 {
	if s.held != nil {
		return s.last - 1
	}
	return s.last
}

// Subscribe returns a subscription to the durable actions of the store, which need not have any yet. The caller must close it. A slow subscriber holds nothing up: it gets a
// gap. Errors are *Error.
func (s *Store) Subscribe(ctx context.Context, o SubscribeOptions) (*Subscription, error) {
	p, err := s.place()
	if err != nil {
		return nil, err
	}
	c, life, err := p.Shard.Subscribe(ctx, s.address.Key, o.From)
	if err != nil {
		return nil, err
	}
	return &Subscription{store: s, place: p, cursor: c, life: life}, nil
}

// Next returns the next item, waiting for it. Errors: the cause of ctx, after which it may be called again; *Error when the subscription has ended: CodeNotFound
// after the store was deleted or its module unloaded, CodeShuttingDown; feed.ErrClosed after Close.
func (s *Subscription) Next(ctx context.Context) (Item, error) {
	if a := s.held; a != nil {
		s.held = nil
		return Item{Action: a}, nil
	}
	i, err := s.cursor.Next(ctx)
	if err != nil {
		return Item{}, err
	}
	return s.item(i)
}

func (s *Subscription) item(i feed.Item) (Item, error) {
	if i.Record == nil {
		gap := Gap(i.Gap)
		s.last = gap.To
		if h := s.place.Shard.Hooks().Gap; h != nil {
			h(&observe.Gap{Key: s.store.address.Key, From: gap.From, To: gap.To})
		}
		return Item{Gap: &gap}, nil
	}
	var r journal.Record
	err := r.Decode(s.life, i.Seq, i.Record)
	var a Action
	if err == nil {
		a, err = action(s.place.Module, &r)
	}
	if err != nil {
		return Item{}, &Error{Code: abi.CodeInternal, Text: "read an action of " + s.store.address.String(), Err: err}
	}
	s.last = i.Seq
	before := s.revision
	if s.revision = r.Revision; before != 0 && before != r.Revision {
		s.held = &a
		return Item{Version: a.Revision}, nil
	}
	return Item{Action: &a}, nil
}

// Close ends the subscription. It may be called twice, but not while Next runs.
func (s *Subscription) Close() {
	if !s.done {
		s.done = true
		s.place.Shard.Unsubscribe(s.store.address.Key, s.cursor)
	}
}

// WaitOptions say what SendAndWaitFor waits for.
type WaitOptions struct {
	SendOptions
	Timeout time.Duration // 0 = as long as ctx lasts
	Any     bool          // any action of the store counts, and not only what the sent one caused
}

// SendAndWaitFor sends a command and returns the first action that matches, from the sent one on, with the same correlation id. When everything that the command caused
// is done without a match, the error is ErrNever; with Any, it waits on.
//
// The receipt is of the sent action, and is not empty whenever that was accepted, whatever the error. Errors are *Error: those of Send, CodeNever, CodeTimeout.
func (s *Store) SendAndWaitFor(ctx context.Context, command []byte, match func(Action) bool, o WaitOptions) (Action, Receipt, error) {
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	sub, err := s.Subscribe(ctx, SubscribeOptions{}) // before sending, so that nothing is missed
	if err != nil {
		return Action{}, Receipt{}, unanswered(ctx, err)
	}
	defer func() { sub.Close() }()
	receipt, err := s.SendWith(ctx, command, o.SendOptions)
	if err != nil {
		return Action{}, Receipt{}, unanswered(ctx, err)
	}
	if receipt.Replayed { // what it caused may have come long ago
		late, err := s.Subscribe(ctx, SubscribeOptions{From: receipt.Seq})
		if err != nil {
			return Action{}, receipt, err
		}
		sub.Close()
		sub = late
	}
	correlation := receipt.Correlation()
	quiet, calm := context.WithCancelCause(ctx) // ends when all that the command caused is done, unless any action of the store counts
	defer calm(nil)
	if !o.Any {
		go func() {
			if receipt.WaitAll(quiet) == nil {
				calm(errQuiet)
			}
		}()
	}
	waiting, last := quiet, uint64(math.MaxUint64) // the seq with which the search ends
	for again := true; ; {
		item, err := sub.Next(waiting)
		switch {
		case errors.Is(err, errQuiet) && ctx.Err() == nil: // what is durable by now is all there will be
			info, err := s.Info(ctx)
			if err != nil {
				return Action{}, receipt, err
			}
			waiting, last = ctx, info.Seq
			if sub.seen() >= last {
				return Action{}, receipt, errNever
			}
			continue
		case err != nil && ctx.Err() != nil:
			return Action{}, receipt, &Error{Code: abi.CodeTimeout, Text: "no action matched in time", Err: err}
		case err != nil:
			return Action{}, receipt, err
		case again && item.Gap != nil && item.Gap.To >= receipt.Seq: // others were faster than we; history may have it
			again = false
			late, err := s.Subscribe(ctx, SubscribeOptions{From: receipt.Seq})
			if err != nil {
				return Action{}, receipt, err
			}
			sub.Close()
			sub = late
			continue
		case !o.Any && item.Gap != nil && item.Gap.To >= receipt.Seq:
			return Action{}, receipt, &Error{Code: abi.CodeNever, Text: "actions that it caused may have matched, and are no longer kept"}
		}
		if a := item.Action; a != nil && a.Seq >= receipt.Seq && (o.Any || a.Correlation == correlation) && match(*a) {
			return *a, receipt, nil
		}
		if sub.seen() >= last {
			return Action{}, receipt, errNever
		}
	}
}

// errQuiet ends waiting for more actions.
var errQuiet = errors.New("all that the action caused is done")

var errNever = &Error{Code: abi.CodeNever, Text: "all that the action caused is done, and nothing matched"}

// unanswered is the error of an action that was not answered before the time of ctx was over, or err if it was.
func unanswered(ctx context.Context, err error) error {
	if errors.Is(err, &Error{Code: abi.CodeCanceled}) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Code: abi.CodeTimeout, Text: "the action was not answered in time; it may have been accepted", Err: err}
	}
	return err
}
