package outbox

import (
	"errors"
	"slices"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// maxAttempts bounds how many failed attempts a dead letter tells of: the first and the last ones.
const maxAttempts = 20

// The reasons that this package gives.
const reasonParked = ledger.ReasonParkedTooLong

var (
	errParked = errors.New("the target did not come back in time")
	errBudget = errors.New("the target's retry budget is spent")
)

// task is a leaf that has its turn.
type task struct {
	alarm
	leaf     *ledger.Leaf
	account  *account
	effect   *effect
	target   *target          // whose queue it belongs in
	home     *target          // that it is done on
	lane     *lane            // nil for those that wait for no other
	feeding  *ledger.Delivery // nil until there is something to deliver
	delivery ledger.Delivery  // that feeding points to
	attempt  int              // made in this drive
	refusals int              // of the store to take what is fed back
	attempts []journal.Attempt
	unfit    error  // why the result cannot be fed back; permanent, and nil when it can
	parked   int64  // since when, Unix nanoseconds; 0 when it is not
	active   bool   // it has a goroutine
	in       *queue // nil when it is in none
	before   *task
	behind   *task
	gone     bool // cancelled
	policy   retry.Policy
	under    *attempt // way; nil when none is
}

// lane is the order of one store's leaves to one target. The first one has its turn.
type lane struct {
	target string
	tasks  []*task
}

// park notes that the task waits for its target, if it does not already.
func (t *task) park(now int64) {
	if t.parked == 0 {
		t.parked = now
		t.account.stats.Parked++
	}
}

func (t *task) unpark() {
	if t.parked != 0 {
		t.parked = 0
		t.account.stats.Parked--
	}
}

// add takes in a leaf whose turn it is.
//
// REQUIRES: mu is held.
func (o *Outbox) add(a *account, l *ledger.Leaf) {
	known := a.task(l.Ref)
	if known != nil && known.leaf.Drive == l.Drive {
		return // it was told of again after a journal's failure
	}
	t := a.effect(l.Seq).room()
	t.leaf, t.account = l, a
	t.effect.tasks = append(t.effect.tasks, t)
	if known != nil {
		t.effect.tasks = slices.DeleteFunc(t.effect.tasks, func(t *task) bool { return t == known })
		o.cancel(known)
	}
	a.stats.Tasks++
	t.alarm = alarm{index: -1, owner: t}
	e := l.Effect
	t.target = o.target(a.tenant, ours)
	switch {
	case l.Again != nil:
		t.feed(ledger.Delivery{Outcome: effects.Done, Cause: journal.CauseFeedback, Action: l.Again})
	case l.Dispatched != nil:
		t.succeed(l.Dispatched, o.config.FeedbackBytes)
	case e.Kind == abi.KindDelay:
		t.feed(ledger.Delivery{Outcome: effects.Done, Cause: journal.CauseTimer, Action: e.Body})
	case e.Kind == abi.KindCancel:
		t.succeed(nil, o.config.FeedbackBytes)
	case e.Kind == abi.KindDispatch:
		t.target = o.target(a.tenant, o.dispatchOn(l))
	default:
		t.target = o.targetOf(a, e)
	}
	t.home = t.target
	t.home.tasks++
	if e.Kind == abi.KindDelay && l.Again == nil && l.Due > o.now() {
		o.set(&t.alarm, l.Due)
		return
	}
	if ledger.InLane(e.Kind) && l.Again == nil {
		t.lane = a.lane(t.target.name)
		if t.lane.tasks = append(t.lane.tasks, t); len(t.lane.tasks) > 1 {
			return
		}
	}
	o.queue(t)
}

// lane finds the lane of a target.
func (a *account) lane(target string) *lane {
	l := a.lanes[target]
	if l == nil {
		l = &lane{target: target}
		if a.lanes == nil {
			a.lanes = make(map[string]*lane)
		}
		a.lanes[target] = l
	}
	return l
}

// feed makes d what is delivered of the task.
func (t *task) feed(d ledger.Delivery) {
	d.Leaf = t.leaf
	t.delivery = d
	t.feeding = &t.delivery
}

// queue makes a task ready.
func (o *Outbox) queue(t *task) {
	if t.target.open {
		if t.target.retry(t.leaf.Effect).OnOpen == retry.DeadLetter {
			o.bury(t, ledger.ReasonBreakerOpen, t.target.closed())
			return
		}
		t.park(o.now())
		if a, expiry := &t.target.alarm, t.parked+int64(t.target.retry(t.leaf.Effect).ParkLimit); a.index >= 0 && expiry < a.at {
			o.set(a, expiry)
		}
	}
	t.target.queue.push(t)
	o.list(t.target)
}

// due is called when a task's time has come: that of a delay, of another attempt, or of delivering again.
func (o *Outbox) due(t *task) {
	if t.feeding == nil && t.attempt > 0 && !t.target.inner { // another attempt takes from the budget
		if wait, ok := t.target.budget.Retry(); !ok {
			p := t.target.retry(t.leaf.Effect)
			now := o.now()
			switch {
			case p.OnOpen == retry.DeadLetter:
				o.bury(t, ledger.ReasonBudget, errBudget)
			case t.parked != 0 && now >= t.parked+int64(p.ParkLimit):
				o.bury(t, reasonParked, errParked)
			default:
				t.park(now)
				o.set(&t.alarm, now+int64(wait))
			}
			return
		}
		t.unpark()
	}
	o.queue(t)
}

// cancel ends a task whose leaf was cancelled, or is in another drive.
func (o *Outbox) cancel(t *task) {
	t.gone = true
	o.unset(&t.alarm)
	if t.under != nil {
		t.under.cancel()
	}
	if t.in != nil {
		t.in.remove(t)
	}
	if !t.active {
		o.remove(t)
	}
}

// remove forgets a task and lets the next one in its lane go.
func (o *Outbox) remove(t *task) {
	t.account.leave(t)
	t.home.tasks--
	t.account.stats.Tasks--
	t.unpark()
	l := t.lane
	if l == nil {
		return
	}
	t.lane = nil
	for i, other := range l.tasks {
		if other != t {
			continue
		}
		l.tasks = append(l.tasks[:i], l.tasks[i+1:]...)
		if i == 0 && len(l.tasks) > 0 {
			o.queue(l.tasks[0])
		}
		break
	}
	if len(l.tasks) == 0 {
		delete(t.account.lanes, l.target)
	}
}

// succeed makes the feedback of a leaf that was done. A result that cannot be fed back kills the leaf.
func (t *task) succeed(result []byte, limit int) {
	action, err := effects.Completed(t.leaf.Effect, result, limit)
	if t.unfit = err; err != nil {
		t.fail(ledger.ReasonPermanent, err, limit)
		return
	}
	t.feed(ledger.Delivery{Outcome: effects.Done, Cause: journal.CauseFeedback, Action: action, Attempts: t.attempts})
}

// fail makes the feedback of a leaf that is given up.
func (t *task) fail(reason string, err error, limit int) {
	t.note(err)
	action, tooLarge := effects.Failed(t.leaf.Effect, err, t.attempt, limit)
	if tooLarge != nil {
		t.note(tooLarge)
	}
	t.feed(ledger.Delivery{
		Outcome: effects.Dead, Cause: journal.CauseFeedback, Action: action, Letter: &journal.DeadLetter{Reason: reason}, Attempts: t.attempts,
	})
}

// note keeps what went wrong, for a dead letter.
func (t *task) note(err error) {
	if len(t.attempts) == maxAttempts {
		t.attempts = append(t.attempts[:maxAttempts/2], t.attempts[maxAttempts/2+1:]...)
	}
	t.attempts = append(t.attempts, journal.Attempt{Time: time.Now().UnixNano(), Error: clip(err.Error())})
}

func clip(s string) string { return s[:min(len(s), abi.MaxTextBytes)] }

// bury gives a task up that has no goroutine.
//
// REQUIRES: mu is held; t is in no queue.
func (o *Outbox) bury(t *task, reason string, err error) {
	t.unpark()
	t.fail(reason, err, o.config.FeedbackBytes)
	t.target = o.target(t.target.tenant, ours)
	o.queue(t)
}
