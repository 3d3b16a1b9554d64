package rows

// defaultWindow is how many events the store remembers besides what lies in the database; up to twice as many, so that it forgets many at a time.
const defaultWindow = 1 << 14

// recent is the durable events behind a position: what somebody may have missed who looked into the database a moment ago.
//
// It spares appends a lock around their look: many look at the same time, and the one who commits for them adds what came after.
type recent struct {
	window int
	floor  uint64 // all events behind it are here
	ids    map[string]place
	heads  map[string]place // newest event of each stream
	order  []trail          // by position
}

type trail struct {
	id string
	place
}

func newRecent(floor uint64) recent {
	return recent{window: defaultWindow, floor: floor, ids: make(map[string]place), heads: make(map[string]place)}
}

// add takes what has become durable, in the order of positions.
func (r *recent) add(events []trail) {
	for _, t := range events {
		r.ids[t.id], r.heads[t.stream] = t.place, t.place
	}
	r.order = append(r.order, events...)
	if len(r.order) < 2*r.window {
		return
	}
	gone := len(r.order) - r.window
	for _, t := range r.order[:gone] {
		delete(r.ids, t.id)
		if r.heads[t.stream] == t.place {
			delete(r.heads, t.stream)
		}
		r.floor = t.position
	}
	r.order = append(r.order[:0:0], r.order[gone:]...)
}
