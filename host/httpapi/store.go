package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/host"
)

func (a *api) storeRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: storePath + "/state", id: "state", summary: "Show a store's state",
			doc:   "404 for a store that never had an action.",
			query: []param{{name: "stale", kind: huma.TypeBoolean, doc: "Do not wait for what is being written: the newest durable state at hand."}},
			reply: State{}, serve: serveState,
		},
		{
			method: http.MethodGet, path: modulePath + "/stores", id: "stores", summary: "List a module's stores in key order",
			query: []param{
				{name: "after", kind: huma.TypeString, doc: "Only keys after this one."},
				{name: "limit", kind: huma.TypeInteger, doc: "How many at most, up to 1000."},
			},
			reply: Stores{}, serve: serveStores,
		},
		{
			method: http.MethodDelete, path: storePath, id: "delete", summary: "Delete a store, its history included",
			doc:    "A later action begins a new life of the key, at 1.",
			status: http.StatusNoContent, serve: serveDelete,
		},
		{
			method: http.MethodPost, path: storePath + "/resume", id: "resume", summary: "Let a halted store go on",
			query:  []param{{name: "skip", kind: huma.TypeBoolean, doc: "Of a store that halted because its reducer traps on what an effect feeds back: that becomes a dead letter."}},
			status: http.StatusNoContent, serve: serveResume,
		},
	}
}

func serveState(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	stale, err := x.flag("stale")
	if err != nil {
		return err
	}
	read := s.State
	if stale {
		read = s.Stale
	}
	state, err := read(x.r.Context())
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, State{Seq: state.Seq, Revision: state.Revision, State: state.Body})
}

func serveStores(x *exchange) error {
	tenant, module, err := x.module()
	if err != nil {
		return err
	}
	limit, err := x.limit()
	if err != nil {
		return err
	}
	// One more than asked for shows whether there is more.
	found, err := x.host.Stores(x.r.Context(), tenant, module, x.query.Get("after"), int(limit)+1)
	if err != nil {
		return err
	}
	list := Stores{Stores: []Store{}}
	for _, s := range found {
		if uint64(len(list.Stores)) == limit {
			list.Next = list.Stores[limit-1].Key
			break
		}
		list.Stores = append(list.Stores, showStore(s))
	}
	return x.reply(http.StatusOK, list)
}

func showStore(s host.StoreInfo) Store {
	return Store{
		Address: s.Address.String(), Key: s.Address.Key, Seq: s.Seq, Revision: s.Revision, Halted: s.Halted, Resident: s.Resident,
		Incarnation: s.Incarnation,
	}
}

func serveDelete(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	if err := s.Delete(x.r.Context()); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

func serveResume(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	skip, err := x.flag("skip")
	if err != nil {
		return err
	}
	resume := s.Resume
	if skip {
		resume = s.ResumeSkipping
	}
	if err := resume(x.r.Context()); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
