package httpapi

import "net/http"

func (a *api) effectRoutes() []route {
	return []route{{
		method: http.MethodGet, path: storePath + "/effects", id: "effects", summary: "List a store's effects that are not done",
		doc:   "Leaves, in the order in which they were described. Those that are dead are no more among them.",
		reply: Effects{}, serve: serveEffects,
	}}
}

func serveEffects(x *exchange) error {
	s, err := x.store()
	if err != nil {
		return err
	}
	open, err := s.Effects(x.r.Context())
	if err != nil {
		return err
	}
	list := Effects{Effects: []Effect{}}
	for _, e := range open {
		shown := Effect{
			Seq: e.Seq, Index: e.Index, Key: e.Key, Target: e.Kind + "=" + e.Target, ID: e.ID, Drive: e.Drive, Held: e.Held, Correlation: e.Correlation,
		}
		if !e.Due.IsZero() {
			shown.Due = &e.Due
		}
		if !e.Parked.IsZero() {
			shown.Parked = &e.Parked
		}
		list.Effects = append(list.Effects, shown)
	}
	return x.reply(http.StatusOK, list)
}
