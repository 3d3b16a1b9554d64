package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
)

// maxDeployBytes bounds the body of a deploy: the largest module, and room for its config and grants.
const maxDeployBytes = abi.DefaultModuleBytes + 1<<20

// upload is the form of a deploy by multipart/form-data, for the document.
type upload struct {
	Module string   `json:"module" format:"binary" doc:"The module, WebAssembly."`
	Config any      `json:"config,omitempty" doc:"The revision's config, JSON or msgpack by the part's content type; without it that of the active revision stays."`
	Grants []string `json:"grants,omitempty" doc:"EFFECT=TARGET, one a part; without any those of the active revision stay. One empty part grants nothing."`
}

func (a *api) deployRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: modulePath + "/versions", id: "deploy", summary: "Deploy a module, or replace it while it serves",
			doc: "The body is the module (application/wasm), or a form with module, config and grants. Answers when the deploy has ended; " +
				"with Prefer: respond-async 202 at once, with the Location of the deploy. A refused deploy leaves the active revision as it was.",
			query:   []param{{name: "busy", kind: huma.TypeString, enum: []string{"refuse", "wait"}, doc: "What to do while another deploy of the module runs: wait (default) or refuse (409)."}},
			headers: []param{{name: "Prefer", kind: huma.TypeString, doc: "respond-async: do not wait for the end."}},
			takes:   []string{contentWasm, contentForm}, form: upload{}, limit: maxDeployBytes,
			reply: Deployed{}, serve: serveDeploy,
		},
		{
			method: http.MethodGet, path: modulePath + "/deploys/{id}", id: "deploying", summary: "Show a deploy that was asked for with respond-async",
			doc:   "The newest 64 are kept.",
			reply: Deploy{}, serve: serveDeploying,
		},
	}
}

func serveDeploy(x *exchange) error {
	tenant, module, err := x.module()
	if err != nil {
		return err
	}
	busy, err := x.oneOf("busy", "refuse", "wait")
	if err != nil {
		return err
	}
	req := host.DeployRequest{Tenant: tenant, Module: module, RefuseBusy: busy == "refuse"}
	if err := x.readDeploy(&req); err != nil {
		return err
	}
	if len(req.Wasm) == 0 {
		return refusal(abi.CodeBadRequest, "there is no module in the body")
	}
	if slices.Contains(x.r.Header.Values("Prefer"), "respond-async") {
		return x.deployLater(req)
	}
	d, err := x.host.Deploy(x.r.Context(), req)
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, showDeployed(d))
}

func showDeployed(d host.Deployed) Deployed {
	return Deployed{
		Tenant: d.Tenant, Module: d.Module, Revision: d.Revision, Digest: d.Digest, Schema: d.Manifest.Schema, Outcome: d.Outcome, Previous: d.Previous,
	}
}

// readDeploy fills req from the body.
func (x *exchange) readDeploy(req *host.DeployRequest) (err error) {
	if x.content == contentWasm {
		req.Wasm, err = readAll(x.r.Body)
		return err
	}
	form, err := x.r.MultipartReader()
	if err != nil {
		return &abi.Error{Code: abi.CodeBadRequest, Text: "read the form: " + err.Error(), Err: err}
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readError(err)
		}
		body, err := readAll(part)
		if err != nil {
			return err
		}
		switch name := part.FormName(); name {
		case "module":
			req.Wasm = body
		case "config":
			if req.Config = body; mediaType(part.Header.Get("Content-Type")) == contentMsgpack {
				continue
			}
			if req.Config, err = toMsgpack(nil, body); err != nil {
				return &abi.Error{Code: abi.CodeBadRequest, Text: "config: " + err.Error(), Err: err}
			}
		case "grants":
			if req.Grants == nil {
				req.Grants = []string{}
			}
			if grant := strings.TrimSpace(string(body)); grant != "" {
				req.Grants = append(req.Grants, grant)
			}
		default:
			return refusal(abi.CodeBadRequest, fmt.Sprintf("no part %q in this form, there is module, config, grants", name))
		}
	}
}

// maxDeploys is how many deploys are remembered for respond-async.
const maxDeploys = 64

// deploys are the newest ones that nobody waits for.
type deploys struct {
	mu   sync.Mutex // guards the fields below, and every Deploy in known
	last int
	all  []*later // oldest first
}

type later struct {
	tenant, module string
	shown          Deploy
}

// start remembers a deploy that begins; the second result is what is shown of it now.
func (d *deploys) start(req host.DeployRequest) (*later, Deploy) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	l := &later{tenant: req.Tenant, module: req.Module, shown: Deploy{ID: strconv.Itoa(d.last), Stage: "verify"}}
	if len(d.all) == maxDeploys {
		d.all = slices.Delete(d.all, 0, 1)
	}
	d.all = append(d.all, l)
	return l, l.shown
}

// update changes what is shown of a deploy.
func (d *deploys) update(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// find is a copy of what is known of a deploy.
func (d *deploys) find(tenant, module, id string) (Deploy, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.all {
		if l.tenant == tenant && l.module == module && l.shown.ID == id {
			return l.shown, true
		}
	}
	return Deploy{}, false
}

// deployLater starts a deploy and answers 202. The deploy outlives the request; the host's shutdown ends it.
func (x *exchange) deployLater(req host.DeployRequest) error {
	a := x.api
	l, shown := a.deploys.start(req)
	req.Progress = func(stage string) { a.deploys.update(func() { l.shown.Stage = stage }) }
	ctx := context.WithoutCancel(x.r.Context())
	go func() {
		d, err := a.host.Deploy(ctx, req)
		a.deploys.update(func() {
			l.shown.Stage = ""
			if err != nil {
				l.shown.Problem = a.problem(err, place{tenant: req.Tenant, module: req.Module})
				return
			}
			shown := showDeployed(d)
			l.shown.Deployed = &shown
		})
	}()
	x.w.Header().Set("Preference-Applied", "respond-async")
	x.w.Header().Set("Location", "/v1/tenants/"+url.PathEscape(req.Tenant)+"/modules/"+url.PathEscape(req.Module)+"/deploys/"+shown.ID)
	return x.reply(http.StatusAccepted, shown)
}

func serveDeploying(x *exchange) error {
	tenant, module, err := x.module()
	if err != nil {
		return err
	}
	shown, ok := x.deploys.find(tenant, module, x.r.PathValue("id"))
	if !ok {
		return refusal(abi.CodeNotFound, "no such deploy, or an old one")
	}
	return x.reply(http.StatusOK, shown)
}
