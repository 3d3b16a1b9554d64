package outbox

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/breaker"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// Defaults of Config.
const (
	DefaultHostConcurrency   = 1024
	DefaultTenantConcurrency = 512
	DefaultFeedbackBytes     = abi.DefaultActionBytes
	DefaultRedelivery        = 100 * time.Millisecond
	DefaultRedeliveryMax     = 5 * time.Second
)

// Config of an outbox. Handlers, Store and Dispatch are needed; the rest may be zero.
type Config struct {
	Handlers effects.Registry

	// Store returns a handle on a store. Dispatch makes an action of another store of a dispatch; an *abi.Error of CodeNotFound says that its module is
	// not loaded.
	Store    func(journal.StoreID) Store
	Dispatch func(context.Context, *ledger.Dispatch) ([]byte, error)

	// Turned is told of each breaker that changes. It is called without any lock and must be quick.
	Turned func(tenant, target string, c breaker.Change)

	Policies          map[string]Policy // of every tenant, to begin with
	HostConcurrency   int               // attempts at a time
	TenantConcurrency int               // of one tenant
	FeedbackBytes     int               // of an action that is fed back, at most
}

// Performed is one attempt that has ended.
type Performed struct {
	Leaf     *ledger.Leaf
	Attempt  int
	Started  time.Time
	Took     time.Duration
	Err      error           // nil when it did what it was to do
	GivenUp  bool            // there will be no other
	Canceled bool            // the leaf was cancelled meanwhile
	Context  context.Context // that Start returned
}

// Outbox is the effects of a host.
type Outbox struct {
	config Config
	ctx    context.Context // of attempts
	stop   context.CancelFunc
	wg     sync.WaitGroup // workers

	newsMu  sync.Mutex // guards news and telling; taken with and without mu
	news    []func()   // changes of breakers, to be told
	telling bool

	mu       sync.Mutex // guards what follows
	accounts map[journal.Incarnation]*account
	swept    int // accounts that the last sweep left
	threads  map[threadID]*thread
	tenants  map[string]*tenant
	ready    []*tenant // with something to start, each once
	inner    []*target // likewise, for what the host does itself: it takes no slots from handlers, nor they from it (SEMANTICS S10)
	running  int       // attempts by handlers
	ours     int       // tasks of the host's own
	idle     []*worker
	counts   map[journal.ModuleID]*Stats
	alarms   alarms
	timer    *time.Timer
	wound    int64 // what the timer is set to, 0 when it is not
	closing  bool
	loads    uint64 // modules that were loaded, ever
}

// New returns an outbox with nothing to do.
func New(c Config) *Outbox {
	c.HostConcurrency = cmp.Or(c.HostConcurrency, DefaultHostConcurrency)
	c.TenantConcurrency = cmp.Or(c.TenantConcurrency, DefaultTenantConcurrency)
	c.FeedbackBytes = cmp.Or(c.FeedbackBytes, DefaultFeedbackBytes)
	o := &Outbox{
		config: c, accounts: make(map[journal.Incarnation]*account), threads: make(map[threadID]*thread), tenants: make(map[string]*tenant),
		counts: make(map[journal.ModuleID]*Stats),
	}
	o.ctx, o.stop = context.WithCancel(context.Background())
	return o
}

// Moved takes in what follows from a change of a store's ledger, once that is durable. It never blocks for long.
func (o *Outbox) Moved(store journal.StoreID, life journal.Incarnation, m *ledger.Moves) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.account(store, life)
	for _, e := range m.Opened {
		o.track(a, e)
	}
	for _, ref := range m.Stop {
		if t := a.task(ref); t != nil {
			o.cancel(t)
		}
	}
	for _, l := range m.Start {
		o.add(a, l)
	}
	for _, seq := range m.Done {
		o.finished(a, seq)
	}
	o.pump()
}

// Parked is since when a leaf waits for its target; zero when it does not.
func (o *Outbox) Parked(life journal.Incarnation, ref ledger.Ref) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a := o.accounts[life]; a != nil {
		if t := a.task(ref); t != nil && t.parked != 0 {
			return time.Unix(0, t.parked).UTC()
		}
	}
	return time.Time{}
}

// Stats are figures of an outbox at one moment.
type Stats struct {
	Tasks   int // leaves that have their turn
	Running int
	Timed   int // waiting for a time: delays and retries
	Parked  int // waiting for their target
}

// Stats are the figures of a module.
func (o *Outbox) Stats(id journal.ModuleID) Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.counts[id]; s != nil {
		return *s
	}
	return Stats{}
}

// count is where the tasks of a store's module are counted: so that telling them costs nothing, however many there are.
func (o *Outbox) count(of journal.StoreID) *Stats {
	id := journal.ModuleID{Tenant: of.Tenant, Module: of.Module}
	s := o.counts[id]
	if s == nil {
		s = new(Stats)
		o.counts[id] = s
	}
	return s
}

// grace is how long attempts have to stop once they are told to.
const grace = time.Second

// Close lets what runs finish, with its feedback, and starts nothing more. When ctx ends first, the attempts are told to stop, and those that do not within
// a second are left behind; the error is then that of ctx. What is not done stays in the journal for the next start.
func (o *Outbox) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closing = true
	if o.timer != nil {
		o.timer.Stop()
	}
	for _, w := range o.idle {
		close(w.more)
	}
	o.idle = nil
	o.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		o.wg.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	o.stop()
	select {
	case <-ended:
	case <-time.After(grace): // whatever they bring, their stores take nothing any more
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.accounts {
		for _, e := range a.effects {
			e.end()
		}
	}
	for _, t := range o.threads {
		t.end()
	}
	return err
}
