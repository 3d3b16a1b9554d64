package memory

import "github.com/crhost/crhost/effects/eventstore"

// chunkSize is how many events lie together. One slice of all would be copied under the lock as it grows, for as long as a million events take.
const chunkSize = 1024

// log is the events in the order of their positions.
type log struct {
	chunks []*[chunkSize]eventstore.Event
	len    uint64
}

func (l *log) append(e *eventstore.Event) {
	if l.len%chunkSize == 0 {
		l.chunks = append(l.chunks, new([chunkSize]eventstore.Event))
	}
	l.chunks[l.len/chunkSize][l.len%chunkSize] = *e
	l.len++
}

// at returns the event at a position, which must be there.
func (l *log) at(position uint64) *eventstore.Event {
	return &l.chunks[(position-1)/chunkSize][(position-1)%chunkSize]
}
