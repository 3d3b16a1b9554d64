package memory

import "time"

// window is the ids published lately, oldest first.
type window struct {
	ids   map[string]struct{}
	queue []published
	first int // index in queue of the oldest
}

type published struct {
	id string
	at time.Time
}

func (w *window) has(id string) bool {
	_, ok := w.ids[id]
	return ok
}

// add remembers an id that is not in the window, and forgets all but the newest ids.
func (w *window) add(id string, at time.Time, keep int) {
	if w.ids == nil {
		w.ids = make(map[string]struct{})
	}
	w.ids[id] = struct{}{}
	w.queue = append(w.queue, published{id, at})
	for len(w.ids) > keep {
		w.drop()
	}
}

// expire forgets what was published before a time.
func (w *window) expire(before time.Time) {
	for w.first < len(w.queue) && w.queue[w.first].at.Before(before) {
		w.drop()
	}
}

// drop forgets the oldest.
func (w *window) drop() {
	delete(w.ids, w.queue[w.first].id)
	w.queue[w.first] = published{}
	w.first++
	if w.first > len(w.queue)/2 {
		n := copy(w.queue, w.queue[w.first:])
		clear(w.queue[n:])
		w.queue, w.first = w.queue[:n], 0
	}
}
