package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
)

func (a *api) moduleRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/v1/modules", id: "modules", summary: "List the loaded modules",
			query: []param{{name: "tenant", kind: huma.TypeString, doc: "Only this tenant's."}},
			reply: Modules{}, serve: serveModules,
		},
		{
			method: http.MethodGet, path: modulePath, id: "module", summary: "Show a loaded module",
			reply: Module{}, serve: serveModule,
		},
		{
			method: http.MethodDelete, path: modulePath, id: "unload", summary: "Take a module out of service",
			doc:    "Its stores are kept, for when it is deployed again.",
			status: http.StatusNoContent, serve: serveUnload,
		},
		{
			method: http.MethodGet, path: modulePath + "/versions", id: "versions", summary: "List a module's revisions, oldest first",
			reply: Versions{}, serve: serveVersions,
		},
	}
}

func serveModules(x *exchange) error {
	tenant := x.query.Get("tenant")
	if tenant != "" {
		if err := abi.ValidateName("tenant", tenant); err != nil {
			return err
		}
	}
	list := Modules{Modules: []Module{}}
	for _, m := range x.host.Modules(tenant) {
		list.Modules = append(list.Modules, showModule(m))
	}
	return x.reply(http.StatusOK, list)
}

func serveModule(x *exchange) error {
	tenant, module, err := x.module()
	if err != nil {
		return err
	}
	m, err := x.host.Module(tenant, module)
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, showModule(m))
}

func showModule(m host.ModuleInfo) Module {
	out := Module{
		Tenant: m.Tenant, Module: m.Module, Revision: m.Revision, Digest: m.Digest, Schema: m.Schema, Stores: m.Stores, Residents: m.Residents,
		Actions: []ActionType{},
	}
	for _, a := range m.Manifest.Actions {
		out.Actions = append(out.Actions, ActionType{Type: a.Type, Kind: string(a.Kind), Doc: a.Doc})
	}
	for _, e := range m.Manifest.Effects {
		out.Effects = append(out.Effects, EffectPattern{Kind: string(e.Kind), Targets: e.Targets})
	}
	return out
}

func serveUnload(x *exchange) error {
	tenant, module, err := x.module()
	if err != nil {
		return err
	}
	if err := x.host.Unload(x.r.Context(), tenant, module); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

func serveVersions(x *exchange) error {
	tenant, module, err := x.module()
	if err != nil {
		return err
	}
	versions, err := x.host.Versions(tenant, module)
	if err != nil {
		return err
	}
	list := Versions{Versions: []Version{}}
	for _, v := range versions {
		list.Versions = append(list.Versions, Version{
			Revision: v.Revision, Digest: v.Digest, Schema: v.Schema, Active: v.Active, Deployed: v.Deployed, Bytes: v.Bytes, Stores: v.Stores,
		})
	}
	return x.reply(http.StatusOK, list)
}
