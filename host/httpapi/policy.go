package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

const policiesPath = tenantPath + "/policies"

// maxPolicyBytes bounds the body of a policy.
const maxPolicyBytes = 64 << 10

func (a *api) policyRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: policiesPath, id: "policies", summary: "List a tenant's policies by name",
			doc:   "The default is always among them.",
			reply: Policies{}, serve: servePolicies,
		},
		{
			method: http.MethodGet, path: policiesPath + "/{name}", id: "policy", summary: "Show a policy", about: aboutPolicy,
			reply: NamedPolicy{}, serve: servePolicy,
		},
		{
			method: http.MethodPut, path: policiesPath + "/{name}", id: "setPolicy", summary: "Set a policy", about: aboutPolicy,
			doc:   "It holds from now on, for effects that wait and run too. What the body leaves out, or has 0 for, is the default.",
			takes: []string{contentJSON, contentMsgpack}, body: Policy{}, limit: maxPolicyBytes,
			reply: NamedPolicy{}, serve: serveSetPolicy,
		},
		{
			method: http.MethodDelete, path: policiesPath + "/{name}", id: "removePolicy", summary: "Remove a policy", about: aboutPolicy,
			doc:    "What it was for falls back to the policy of its target, of its kind, or to the default.",
			status: http.StatusNoContent, serve: serveRemovePolicy,
		},
	}
}

func servePolicies(x *exchange) error {
	tenant, err := x.tenant()
	if err != nil {
		return err
	}
	list := Policies{Policies: []NamedPolicy{}}
	for _, p := range x.host.Policies(tenant) {
		list.Policies = append(list.Policies, NamedPolicy{Name: p.Name, Policy: showPolicy(p.Policy)})
	}
	return x.reply(http.StatusOK, list)
}

func servePolicy(x *exchange) error {
	tenant, err := x.tenant()
	if err != nil {
		return err
	}
	name := x.r.PathValue("name")
	for _, p := range x.host.Policies(tenant) {
		if p.Name == name {
			return x.reply(http.StatusOK, NamedPolicy{Name: name, Policy: showPolicy(p.Policy)})
		}
	}
	return refusal(abi.CodeNotFound, "there is no policy "+name)
}

func serveSetPolicy(x *exchange) error {
	tenant, err := x.tenant()
	if err != nil {
		return err
	}
	name := x.r.PathValue("name")
	return x.read(func(packed []byte) error {
		body, err := jsonpack.ToJSON(nil, packed)
		if err != nil {
			return &abi.Error{Code: abi.CodeMalformed, Text: err.Error(), Err: err}
		}
		p, err := ReadPolicy(body)
		if err != nil {
			return refusal(abi.CodeBadRequest, "policy "+name+": "+err.Error())
		}
		if err := x.host.SetPolicy(tenant, name, p.Host()); err != nil {
			return err
		}
		return x.reply(http.StatusOK, NamedPolicy{Name: name, Policy: showPolicy(p.Host())})
	})
}

// ReadPolicy reads a policy in JSON. Unknown fields are errors, as is what Validate finds.
func ReadPolicy(b []byte) (Policy, error) {
	var p Policy
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&p)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		if wrong.Type == reflect.TypeFor[Duration]() {
			return p, fmt.Errorf("%s is a %s, want text such as 100ms", wrong.Field, wrong.Value)
		}
		return p, fmt.Errorf("%s is a %s", cmp.Or(wrong.Field, "the policy"), wrong.Value)
	}
	if err != nil {
		return p, err
	}
	if _, err := d.Token(); err != io.EOF {
		return p, errors.New("there is more after the policy")
	}
	if err := p.Host().Validate(); err != nil {
		return p, errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")) // on one line
	}
	return p, nil
}

func serveRemovePolicy(x *exchange) error {
	tenant, err := x.tenant()
	if err != nil {
		return err
	}
	if err := x.host.RemovePolicy(tenant, x.r.PathValue("name")); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
