package outbox

import (
	"container/heap"
	"time"
)

// alarm is a time at which something is to be looked at again: a task or a target. It is in the heap while index is not -1.
type alarm struct {
	at    int64 // Unix nanoseconds
	index int
	owner any
}

// alarms is a heap of them, the first one at its top.
type alarms []*alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at < a[j].at }
func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

func (a *alarms) Push(x any) {
	x.(*alarm).index = len(*a)
	*a = append(*a, x.(*alarm))
}

func (a *alarms) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = nil
	*a = (*a)[:len(*a)-1]
	last.index = -1
	return last
}

func (o *Outbox) now() int64 { return time.Now().UnixNano() }

// set sets an alarm, or sets it to another time.
//
// REQUIRES: mu is held.
func (o *Outbox) set(a *alarm, at int64) {
	a.at = at
	if a.index >= 0 {
		heap.Fix(&o.alarms, a.index)
	} else {
		heap.Push(&o.alarms, a)
		a.count(1)
	}
	o.wind()
}

func (o *Outbox) unset(a *alarm) {
	if a.index >= 0 {
		heap.Remove(&o.alarms, a.index)
		a.count(-1)
	}
}

// count counts a task as waiting for its time, or no longer.
func (a *alarm) count(n int) {
	if t, ok := a.owner.(*task); ok {
		t.account.stats.Timed += n
	}
}

// wind sets the one timer that there is to the first alarm.
func (o *Outbox) wind() {
	if len(o.alarms) == 0 || o.closing {
		return
	}
	at := o.alarms[0].at
	if o.wound != 0 && o.wound <= at {
		return
	}
	o.wound = at
	d := time.Duration(max(at-o.now(), 0))
	if o.timer == nil {
		o.timer = time.AfterFunc(d, o.ring)
	} else {
		o.timer.Reset(d)
	}
}

// ring goes through the alarms whose time has come.
func (o *Outbox) ring() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wound = 0
	if o.closing {
		return
	}
	for now := o.now(); len(o.alarms) > 0 && o.alarms[0].at <= now; {
		a := heap.Pop(&o.alarms).(*alarm)
		a.count(-1)
		switch owner := a.owner.(type) {
		case *task:
			o.due(owner)
		case *target:
			o.list(owner)
		}
	}
	o.pump()
	o.wind()
}
