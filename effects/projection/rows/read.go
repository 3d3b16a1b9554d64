package rows

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/projection"
)

// pageBytes is from what size on an answer takes no further rows.
const pageBytes = 4 << 20

// view is a read model at one moment.
type view struct {
	model   *model
	build   projection.Build
	durable *change
}

func (s *Store) view(ctx context.Context, name string) (view, error) {
	m, err := s.model(ctx, name)
	if err != nil {
		return view{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return view{}, projection.ErrClosed
	}
	return view{m, m.state.Live, m.durable}, nil
}

// gone reports whether another build has become the live one, so that rows of this one may be missing.
func (s *Store) gone(v view) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.model.state.Live.ID != v.build.ID
}

// since are the changes after the view, oldest first. To be asked after reading: whatever was seen of a change, it is among them.
func (s *Store) since(v view) (changes []*change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := v.durable.next; c != nil; c = c.next {
		changes = append(changes, c)
	}
	return changes
}

// Get returns a row's value; see projection.Store.
func (s *Store) Get(ctx context.Context, name, key string) ([]byte, error) {
	for {
		v, err := s.view(ctx, name)
		if err != nil {
			return nil, err
		}
		value, err := get(s.db, rowKey(name, v.build.ID, key))
		if err != nil {
			return nil, fmt.Errorf("read model %s: %w", name, err)
		}
		for _, c := range s.since(v) {
			if was, changed := c.before[key]; changed {
				value = was
				break
			}
		}
		if s.gone(v) {
			continue
		}
		if value == nil {
			return nil, projection.ErrNotFound
		}
		return value, nil
	}
}

// List returns rows; see projection.Store.
func (s *Store) List(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error) {
	if limit < 1 {
		return projection.Page{}, &projection.InvalidError{What: "limit", Reason: fmt.Sprintf("%d is below 1", limit)}
	}
	for {
		v, err := s.view(ctx, name)
		if err != nil {
			return projection.Page{}, err
		}
		rows, err := s.list(v, prefix, after, limit)
		if err != nil {
			return projection.Page{}, fmt.Errorf("read model %s: %w", name, err)
		}
		if !s.gone(v) {
			return projection.Page{Build: v.build, Rows: rows}, nil
		}
	}
}

// list reads rows, some at least when there are any.
func (s *Store) list(v view, prefix, after string, limit int) ([]projection.Row, error) {
	from := prefix
	if after >= prefix && after != "" {
		from = after + "\x00" // the smallest key behind it
	}
	for {
		rows, until, err := s.stretch(v, prefix, from, limit)
		if err != nil {
			return nil, err
		}
		rows = s.takeBack(v, rows, func(key string) bool {
			return strings.HasPrefix(key, prefix) && key >= from && (until == "" || key < until)
		})
		if len(rows) > 0 || until == "" {
			return rows[:min(limit, len(rows))], nil
		}
		from = until
	}
}

// takeBack makes of the rows in a range, as the database has them, what they were at the moment of the view.
func (s *Store) takeBack(v view, rows []projection.Row, in func(key string) bool) []projection.Row {
	were := map[string][]byte{}
	for _, c := range s.since(v) {
		for key, value := range c.before {
			if _, older := were[key]; !older && in(key) {
				were[key] = value
			}
		}
	}
	if len(were) == 0 {
		return rows
	}
	rows = slices.DeleteFunc(rows, func(r projection.Row) bool { _, changed := were[r.Key]; return changed })
	for key, value := range were {
		if value != nil {
			rows = append(rows, projection.Row{Key: key, Value: value})
		}
	}
	slices.SortFunc(rows, func(a, b projection.Row) int { return strings.Compare(a.Key, b.Key) })
	return rows
}

// stretch reads rows as the database has them, limit at most, and returns where it ended: the smallest key that it did not come to, "" when it came
// to the end.
func (s *Store) stretch(v view, prefix, from string, limit int) (rows []projection.Row, until string, err error) {
	name, build := v.model.name, v.build.ID
	start := len(buildKey(kindRow, name, build))
	bytes := 0
	for row, err := range s.db.Rows(rowKey(name, build, from), keyspace.PrefixEnd(rowKey(name, build, prefix))) {
		if err != nil {
			return nil, "", err
		}
		key := string(row.Key[start:])
		if len(rows) == limit || bytes >= pageBytes {
			return rows, key, nil
		}
		value, err := decodeRow(row)
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, projection.Row{Key: key, Value: value})
		bytes += len(row.Value)
	}
	return rows, "", nil
}
