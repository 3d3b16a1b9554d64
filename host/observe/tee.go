package observe

import "context"

// Tee returns one observer that tells all given ones, in the order given; nil ones are left out. It returns nil when none is left, and the
// only one when there is only one. A field that none of them sets stays nil, here and in the hooks of each module.
//
// SendStarted and EffectStarted thread the context through the observers in order, so a later one sees what an earlier one put there; each
// Sent, and Performed, gets the context that the last one returned. Traceparent is that of the first who knows of a span.
func Tee(observers ...*Observer) *Observer {
	var all *Observer
	for _, o := range observers {
		all = teeObservers(all, o)
	}
	return all
}

func teeObservers(a, b *Observer) *Observer {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return &Observer{
		Opened:       tee(a.Opened, b.Opened),
		ModuleLoaded: teeLoaded(a.ModuleLoaded, b.ModuleLoaded),
		Deployed:     tee(a.Deployed, b.Deployed),
		Compiled:     tee(a.Compiled, b.Compiled),

		BreakerChanged: tee(a.BreakerChanged, b.BreakerChanged),
		Traceparent:    teeTraceparent(a.Traceparent, b.Traceparent),
	}
}

func teeLoaded(a, b func(Module) *ModuleHooks) func(Module) *ModuleHooks {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(m Module) *ModuleHooks {
		first := a(m)
		return teeHooks(first, b(m))
	}
}

func teeHooks(a, b *ModuleHooks) *ModuleHooks {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return &ModuleHooks{
		SendStarted: teeStarted(a.SendStarted, b.SendStarted),
		Sent:        teeEnded(a.Sent, b.Sent),
		Committed:   tee(a.Committed, b.Committed),
		Rebuilt:     tee(a.Rebuilt, b.Rebuilt),
		Trapped:     tee(a.Trapped, b.Trapped),
		Halted:      tee(a.Halted, b.Halted),
		Gap:         tee(a.Gap, b.Gap),
		Swapped:     tee(a.Swapped, b.Swapped),
		Performed:   teeEnded(a.Performed, b.Performed),
		Buried:      tee(a.Buried, b.Buried),
		Redriven:    tee(a.Redriven, b.Redriven),
		Log:         tee(a.Log, b.Log),
		Unloaded:    teeUnloaded(a.Unloaded, b.Unloaded),

		EffectStarted: teeStarted(a.EffectStarted, b.EffectStarted),
	}
}

func tee[E any](a, b func(E)) func(E) {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(e E) {
		a(e)
		b(e)
	}
}

func teeStarted[E any](a, b func(context.Context, *E) context.Context) func(context.Context, *E) context.Context {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(ctx context.Context, e *E) context.Context {
		return b(a(ctx, e), e)
	}
}

func teeEnded[E any](a, b func(context.Context, *E)) func(context.Context, *E) {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(ctx context.Context, e *E) {
		a(ctx, e)
		b(ctx, e)
	}
}

// teeTraceparent takes the first one's answer if that knows of a span.
func teeTraceparent(a, b func(context.Context) string) func(context.Context) string {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(ctx context.Context) string {
		if trace := a(ctx); trace != "" {
			return trace
		}
		return b(ctx)
	}
}

func teeUnloaded(a, b func()) func() {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func() {
		a()
		b()
	}
}
