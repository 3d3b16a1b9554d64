package host_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
	eventrows "github.com/crhost/crhost/effects/eventstore/rows"
	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/projection"
	modelrows "github.com/crhost/crhost/effects/projection/rows"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal/pebble"
)

// crashShop is what runs on one disk: writers append, a projection follows, readers look. What they do has times, by a clock that counts, so that what was known when a
// crash came can be told afterwards.
type crashShop struct {
	t      *testing.T
	events eventstore.Store
	models projection.Store
	clock  atomic.Int64

	mu      sync.Mutex // guards what follows
	appends []*appended
	seen    []seen
	updates []updated
	looked  uint64 // position up to which readers have looked
}

// span is when something was asked for, and when it was answered; 0: not yet.
type span struct{ asked, answered int64 }

type appended struct {
	span
	stream  string
	events  []eventstore.Event
	refused bool
	at      eventstore.Appended
}

// seen is what a reader was shown.
type seen struct {
	time       int64
	position   uint64 // of an event
	id         string
	checkpoint uint64 // or of the read model
}

type updated struct {
	span
	to uint64
}

// append appends at random.
func (s *crashShop) append(rnd *rand.Rand, writer, n int) {
	a := &appended{stream: fmt.Sprintf("s%d", rnd.IntN(4))}
	for i := range 1 + rnd.IntN(3) {
		data := append([]byte{0xc4, 200}, make([]byte, 200)...)
		a.events = append(a.events, eventstore.Event{ID: fmt.Sprintf("%d/%d/%d", writer, n, i), Type: "t", Data: data})
	}
	expect := eventstore.Any
	if rnd.IntN(3) == 0 {
		expect = int64(rnd.IntN(20))
	}
	s.mu.Lock()
	a.asked = s.clock.Add(1)
	s.appends = append(s.appends, a)
	s.mu.Unlock()
	at, err := s.events.Append(context.Background(), a.stream, expect, a.events)
	if err != nil && !errors.Is(err, eventstore.ErrConflict) {
		s.t.Error(err)
	}
	s.mu.Lock()
	a.at, a.refused, a.answered = at, err != nil, s.clock.Add(1)
	s.mu.Unlock()
	if err == nil && rnd.IntN(4) == 0 {
		snapshot := eventstore.Snapshot{Version: at.LastVersion, Data: fmt.Append(nil, at.LastVersion)}
		if err := s.events.SaveSnapshot(context.Background(), a.stream, snapshot); err != nil {
			s.t.Error(err)
		}
	}
}

// follow keeps the read model: under each stream the ids of its events. Now and then it makes it anew.
func (s *crashShop) follow(ctx context.Context) {
	background := context.Background()
	for n := 1; s.events.Wait(ctx, s.live().Checkpoint) == nil; n++ {
		live := s.live()
		page, err := s.events.All(background, live.Checkpoint, 5)
		if err != nil {
			s.t.Error(err)
			return
		}
		if len(page) > 0 {
			s.update(live, page)
		}
		if n%20 > 0 {
			continue
		}
		live = s.live()
		next, err := s.models.Begin(background, "ids")
		if err == nil {
			page, err = s.events.All(background, 0, int(live.Checkpoint))
		}
		if err == nil {
			s.update(next, page)
			err = s.models.Switch(background, "ids", projection.Build{ID: next.ID, Checkpoint: live.Checkpoint})
		}
		if err != nil {
			s.t.Error(err)
		}
	}
}

func (s *crashShop) live() projection.Build {
	builds, err := s.models.Builds(context.Background(), "ids")
	if err != nil {
		s.t.Error(err)
	}
	return builds.Live
}

func (s *crashShop) update(b projection.Build, page []eventstore.Event) {
	u := updated{to: page[len(page)-1].Position}
	u.asked = s.clock.Add(1)
	err := s.models.Update(context.Background(), "ids", b, u.to, func(tx projection.Tx) error {
		for _, e := range page {
			value, err := tx.Get(e.Stream)
			if err != nil && !errors.Is(err, projection.ErrNotFound) {
				return err
			}
			if err := tx.Set(e.Stream, append(append([]byte(nil), value...), e.ID+" "...)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
	u.answered = s.clock.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live().ID == b.ID {
		s.updates = append(s.updates, u)
	}
}

// look is a reader's look at everything that is new.
func (s *crashShop) look() {
	ctx := context.Background()
	s.mu.Lock()
	looked := s.looked
	s.mu.Unlock()
	page, err := s.events.All(ctx, looked, 1000)
	model, listed := s.models.List(ctx, "ids", "", "", 100)
	if errors.Join(err, listed) != nil {
		return // the disk is being opened or closed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Add(1)
	for _, e := range page {
		s.seen = append(s.seen, seen{time: now, position: e.Position, id: e.ID})
		s.looked = max(s.looked, e.Position)
	}
	s.seen = append(s.seen, seen{time: now, checkpoint: model.Checkpoint})
}

// crashed is a disk as it was found after the power went out.
type crashed struct {
	disk          *vfs.MemFS
	before, after int64 // it went out in between
}

// crashRun runs the shop on a mutant of the database and of its stores, with a crash at each sync of the log, and returns what was wrong afterwards.
func crashRun(t *testing.T, seed uint64, mutate func(keyspace.DB) keyspace.DB, disguise func(*crashShop, keyspace.DB)) (faults []string) {
	disk := vfs.NewCrashableMem()
	s := &crashShop{t: t}
	var mu sync.Mutex // guards what follows
	var crashes []crashed
	rnd := rand.New(rand.NewPCG(seed, 0))
	ready := false
	syncs := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			mu.Lock()
			defer mu.Unlock()
			if !ready {
				return nil
			}
			s.look() // what the database shows now is not durable yet
			c := crashed{before: s.clock.Load()}
			c.disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * rnd.IntN(3), RNG: rnd})
			c.after = s.clock.Load()
			crashes = append(crashes, c)
		}
		return nil
	})
	backend, err := pebble.Open("journal", pebble.Config{FS: errorfs.Wrap(disk, syncs), MemTableBytes: 256 << 10})
	require.NoError(t, err)
	db := mutate(host.RowsOf(backend))
	s.events, err = eventrows.Open(db)
	require.NoError(t, err)
	s.models, err = modelrows.Open(db)
	require.NoError(t, err)
	events, models := s.events, s.models
	disguise(s, host.RowsOf(backend))
	mu.Lock()
	ready = true
	mu.Unlock()

	ctx, cancel := context.WithCancel(t.Context())
	var writing, following sync.WaitGroup
	for w := range 4 {
		writing.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w+1)))
			for n := range 40 {
				s.append(rnd, w, n)
			}
		})
	}
	following.Go(func() { s.follow(ctx) })
	writing.Wait()
	cancel()
	following.Wait()
	mu.Lock()
	ready = false
	mu.Unlock()
	require.NoError(t, errors.Join(models.Close(), events.Close(), backend.Close()))
	for n, c := range crashes {
		if fault := s.check(c); fault != nil {
			faults = append(faults, fmt.Sprintf("crash %d of %d: %v", n, len(crashes), fault))
		}
	}
	t.Logf("%d crashes", len(crashes))
	return faults
}

// check opens what was found after a crash.
func (s *crashShop) check(c crashed) error {
	backend, err := pebble.Open("journal", pebble.Config{FS: c.disk})
	if err != nil {
		return err
	}
	events, err := eventrows.Open(host.RowsOf(backend))
	if err != nil {
		return errors.Join(err, backend.Close())
	}
	models, err := modelrows.Open(host.RowsOf(backend))
	if err != nil {
		return errors.Join(err, events.Close(), backend.Close())
	}
	found, err := events.All(context.Background(), 0, 1<<20)
	if err == nil {
		err = errors.Join(s.checkEvents(c, found, events), s.checkModel(c, found, models))
	}
	return errors.Join(err, models.Close(), events.Close(), backend.Close())
}

// checkEvents: what was acknowledged is there once, where it was said to be; other appends are there whole or not at all; what was seen has not changed; who repeats
// an append hears where it is; and the store goes on.
func (s *crashShop) checkEvents(c crashed, found []eventstore.Event, events eventstore.Store) error {
	ctx := context.Background()
	at := map[string]eventstore.Event{}
	versions := map[string]uint64{}
	for i, e := range found {
		versions[e.Stream]++
		if _, twice := at[e.ID]; twice || e.Position != uint64(i+1) || e.Version != versions[e.Stream] {
			return fmt.Errorf("event %s at position %d, version %d, is twice there or out of its place", e.ID, e.Position, e.Version)
		}
		at[e.ID] = e
	}
	for _, v := range s.seen {
		if v.id != "" && v.time <= c.before && at[v.id].Position != v.position {
			return fmt.Errorf("somebody saw event %s at position %d, and it is at %d", v.id, v.position, at[v.id].Position)
		}
	}
	known := 0
	for _, a := range s.appends {
		there := 0
		for _, e := range a.events {
			if at[e.ID].Position > 0 {
				there++
			}
		}
		known += there
		first := at[a.events[0].ID]
		switch {
		case there > 0 && there < len(a.events):
			return fmt.Errorf("of %d events with %s only %d are there", len(a.events), a.events[0].ID, there)
		case there > 0 && (a.refused || a.asked > c.after):
			return fmt.Errorf("%s was not appended, and is there", a.events[0].ID)
		case a.answered > 0 && a.answered <= c.before && !a.refused && first.Position != a.at.FirstPosition:
			return fmt.Errorf("%s was acknowledged at position %d, and is at %d", a.events[0].ID, a.at.FirstPosition, first.Position)
		case there == 0:
			continue
		}
		again, err := events.Append(ctx, a.stream, 0, a.events)
		if err != nil || again.FirstPosition != first.Position || again.FirstVersion != first.Version {
			return fmt.Errorf("%s is at position %d; repeated it is at %d: %w", a.events[0].ID, first.Position, again.FirstPosition, err)
		}
		if snapshot, err := events.LoadSnapshot(ctx, a.stream); err == nil && (snapshot.Version > versions[a.stream] || string(snapshot.Data) != fmt.Sprint(snapshot.Version)) {
			return fmt.Errorf("stream %s has a snapshot of version %d, and %d versions", a.stream, snapshot.Version, versions[a.stream])
		}
	}
	if known != len(found) {
		return fmt.Errorf("%d events, of which %d were appended", len(found), known)
	}
	next, err := events.Append(ctx, "s0", int64(versions["s0"]), []eventstore.Event{{ID: "next", Type: "t", Data: []byte{0xc0}}})
	if err != nil || next.FirstPosition != uint64(len(found)+1) {
		return fmt.Errorf("the next event is at position %d of %d: %w", next.FirstPosition, len(found), err)
	}
	return nil
}

// checkModel: the read model is what the events up to its checkpoint make, and that has not gone back.
func (s *crashShop) checkModel(c crashed, found []eventstore.Event, models projection.Store) error {
	page, err := models.List(context.Background(), "ids", "", "", 1000)
	if err != nil {
		return err
	}
	for _, u := range s.updates {
		if u.answered <= c.before && page.Checkpoint < u.to {
			return fmt.Errorf("the read model was updated to %d, and is at %d", u.to, page.Checkpoint)
		}
	}
	for _, v := range s.seen {
		if v.time <= c.before && page.Checkpoint < v.checkpoint {
			return fmt.Errorf("somebody saw the read model at %d, and it is at %d", v.checkpoint, page.Checkpoint)
		}
	}
	if page.Checkpoint > uint64(len(found)) {
		return fmt.Errorf("the read model is at %d of %d events", page.Checkpoint, len(found))
	}
	want, rows := map[string]string{}, map[string]string{}
	for _, e := range found[:page.Checkpoint] {
		want[e.Stream] += e.ID + " "
	}
	for _, r := range page.Rows {
		rows[r.Key] = string(r.Value)
	}
	if !maps.Equal(want, rows) {
		return fmt.Errorf("the read model at %d is %v, want %v", page.Checkpoint, rows, want)
	}
	return nil
}

func asItIs(db keyspace.DB) keyspace.DB { return db }

func openly(*crashShop, keyspace.DB) {}

func TestCrash_eventsAndModels(t *testing.T) {
	seeds := uint64(3)
	switch {
	case long() && os.Getenv("CI") != "": // a short round
		seeds = 10
	case long():
		seeds = 100
	case testing.Short():
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { require.Empty(t, crashRun(t, seed, asItIs, openly)) })
	}
}

// rash is a database that says that a batch is durable when it is visible.
type rash struct{ keyspace.DB }

func (e rash) Apply(batch []keyspace.Write) error {
	last := batch[len(batch)-1]
	if last.Delete {
		return e.DB.Apply(batch)
	}
	go func() { _ = e.DB.Apply(batch) }()
	for {
		if value, err := e.Get(last.Key); err == nil && string(value) == string(last.Value) {
			return nil
		}
		runtime.Gosched()
	}
}

// split is a database that makes some rows durable after the others.
type split struct {
	keyspace.DB
	later string // what their keys begin with
}

func (s split) Apply(batch []keyspace.Write) error {
	var first, second []keyspace.Write
	for _, w := range batch {
		if strings.HasPrefix(string(w.Key), s.later) {
			second = append(second, w)
		} else {
			first = append(first, w)
		}
	}
	for _, part := range [][]keyspace.Write{first, second} {
		if len(part) > 0 {
			if err := s.DB.Apply(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// uncutEvents shows readers all that the database shows.
type uncutEvents struct {
	eventstore.Store
	db keyspace.DB
}

func (u uncutEvents) All(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
	s, err := eventrows.Open(u.db)
	if err != nil {
		return nil, err
	}
	return s.All(ctx, after, limit)
}

// uncutModels shows readers all that the database shows.
type uncutModels struct {
	projection.Store
	db keyspace.DB
}

func (u uncutModels) List(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error) {
	s, err := modelrows.Open(readOnly{u.db})
	if err != nil {
		return projection.Page{}, err
	}
	defer s.Close()
	return s.List(ctx, name, prefix, after, limit)
}

// readOnly is a database for who only looks: to write while the log is being synced would wait for ever.
type readOnly struct{ keyspace.DB }

func (readOnly) Apply([]keyspace.Write) error { return keyspace.ErrRefused }

func TestCrash_mutants(t *testing.T) {
	if testing.Short() {
		t.Skip("what finds mutants is the test above; that it does is seen without -short")
	}
	for name, c := range map[string]struct {
		mutate   func(keyspace.DB) keyspace.DB
		disguise func(*crashShop, keyspace.DB)
	}{
		"acknowledges before it is durable":   {func(db keyspace.DB) keyspace.DB { return rash{db} }, openly},
		"ids after the events":                {func(db keyspace.DB) keyspace.DB { return split{db, "i"} }, openly},
		"checkpoint after the rows":           {func(db keyspace.DB) keyspace.DB { return split{db, "pm"} }, openly},
		"readers of events see all there is":  {asItIs, func(s *crashShop, db keyspace.DB) { s.events = uncutEvents{s.events, db} }},
		"readers of a model see all there is": {asItIs, func(s *crashShop, db keyspace.DB) { s.models = uncutModels{s.models, db} }},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) { // what goes wrong in a run depends on the scheduler, too
				if faults := crashRun(t, seed, c.mutate, c.disguise); len(faults) > 0 {
					t.Log(faults[0])
					return
				}
			}
			t.Error("nothing was found")
		})
	}
}
