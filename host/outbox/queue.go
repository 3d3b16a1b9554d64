package outbox

import "iter"

// queue is tasks in the order in which they came. A task is in one at most.
type queue struct {
	first, last *task
	len         int
}

func (q *queue) push(t *task) {
	t.in, t.before = q, q.last
	if q.last == nil {
		q.first = t
	} else {
		q.last.behind = t
	}
	q.last = t
	q.len++
}

// remove takes a task out, wherever it stands.
//
// REQUIRES: it is in q.
func (q *queue) remove(t *task) {
	if t.before == nil {
		q.first = t.behind
	} else {
		t.before.behind = t.behind
	}
	if t.behind == nil {
		q.last = t.before
	} else {
		t.behind.before = t.before
	}
	t.in, t.before, t.behind = nil, nil, nil
	q.len--
}

// all yields the tasks, the first one first. The one that is yielded may be taken out.
func (q *queue) all() iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for t := q.first; t != nil; {
			next := t.behind
			if !yield(t) {
				return
			}
			t = next
		}
	}
}
