package httpapi

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/abi"
)

// route is one operation: what the mux, the parameter check, the body check and the OpenAPI document are made from.
type route struct {
	method, path string // path parameters are documented by pathParams
	id, summary  string
	doc          string
	about        about // of what is neither a module nor a store

	query   []param
	headers []param

	takes  []string // content types of the body, the first is the one to show; none = there is no body
	body   any      // a value of the body's type; nil = bytes
	form   any      // a value of the type of the body as a form; nil = as any other
	limit  int64    // of the body in bytes
	status int      // of success; 0 = 200
	reply  any      // a value of the reply's type; nil = the reply has no body
	gives  []string // content types of the reply; none = JSON and msgpack

	serve func(*exchange) error
}

// about is what a request is about: the crhost command that lists such things.
type about string

const (
	aboutLetter  about = "dlq list"
	aboutBreaker about = "breaker list"
	aboutPolicy  about = "policy list"
)

// param is a query parameter or header.
type param struct {
	name, doc string
	kind      string // an OpenAPI type
	enum      []string
}

func pathParams() map[string]param {
	return map[string]param{
		"tenant": {doc: "Who owns the module.", kind: huma.TypeString},
		"module": {doc: "The module's name.", kind: huma.TypeString},
		"key":    {doc: "The store's key, one escaped segment: a/b is a%2Fb.", kind: huma.TypeString},
		"seq":    {doc: "The action's number.", kind: huma.TypeInteger},
		"id":     {doc: "Its id, as the 202 of a deploy or a list of dead letters gave it.", kind: huma.TypeString},
		"target": {doc: "What effects are done on, EFFECT=TARGET, one escaped segment.", kind: huma.TypeString},
		"name":   {doc: "The policy's name, one escaped segment.", kind: huma.TypeString},
	}
}

// add puts a route on the mux and into the document.
func (a *api) add(doc *huma.OpenAPI, rt route) {
	a.mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{api: a, w: w, r: r, about: rt.about}
		if err := x.check(&rt); err != nil {
			x.fail(err)
			return
		}
		if err := rt.serve(x); err != nil {
			x.fail(err)
		}
	})
	doc.AddOperation(rt.operation(doc.Components.Schemas))
}

// check refuses what the route does not say: parameters it does not know, a body of another type.
func (x *exchange) check(rt *route) error {
	if x.r.URL.RawQuery != "" {
		x.query = x.r.URL.Query()
		for name := range x.query {
			if !slices.ContainsFunc(rt.query, func(p param) bool { return p.name == name }) {
				return refusal(abi.CodeBadRequest, fmt.Sprintf("no query parameter %q here, there %s", name, listParams(rt.query)))
			}
		}
	}
	if len(rt.takes) == 0 {
		return nil
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, rt.limit)
	x.content = mediaType(x.r.Header.Get("Content-Type"))
	if !slices.Contains(rt.takes, x.content) {
		got := "none"
		if x.content != "" {
			got = strconv.Quote(x.content)
		}
		return refusal(abi.CodeUnsupportedMediaType, "the content type is "+got+", want "+strings.Join(rt.takes, " or "))
	}
	return nil
}

func listParams(params []param) string {
	if len(params) == 0 {
		return "is none"
	}
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.name
	}
	return "is " + strings.Join(names, ", ")
}

// mediaType is a content type without its parameters.
func mediaType(header string) string {
	t, _, _ := strings.Cut(header, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

func (rt *route) operation(schemas huma.Registry) *huma.Operation {
	op := &huma.Operation{OperationID: rt.id, Method: rt.method, Path: rt.path, Summary: rt.summary, Description: rt.doc}
	known := pathParams()
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(rt.path, -1) {
		p := known[m[1]]
		p.name = m[1]
		op.Parameters = append(op.Parameters, p.document("path"))
	}
	for _, p := range rt.query {
		op.Parameters = append(op.Parameters, p.document("query"))
	}
	for _, p := range rt.headers {
		op.Parameters = append(op.Parameters, p.document("header"))
	}
	if len(rt.takes) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: media(schemas, rt.takes, rt.body)}
		if rt.form != nil {
			op.RequestBody.Content[contentForm] = media(schemas, []string{contentForm}, rt.form)[contentForm]
		}
	}
	status := rt.status
	if status == 0 {
		status = http.StatusOK
	}
	ok := &huma.Response{Description: http.StatusText(status)}
	if rt.reply != nil {
		gives := rt.gives
		if len(gives) == 0 {
			gives = []string{contentJSON, contentMsgpack}
		}
		ok.Content = media(schemas, gives, rt.reply)
	}
	op.Responses = map[string]*huma.Response{
		strconv.Itoa(status): ok,
		"default":            {Description: "Why not", Content: media(schemas, []string{contentProblem}, Problem{})},
	}
	return op
}

func (p param) document(in string) *huma.Param {
	s := &huma.Schema{Type: p.kind}
	for _, v := range p.enum {
		s.Enum = append(s.Enum, v)
	}
	return &huma.Param{Name: p.name, In: in, Description: p.doc, Required: in == "path", Schema: s}
}

// media describes a body: bytes of several types, or one Go type in several encodings.
func media(schemas huma.Registry, types []string, value any) map[string]*huma.MediaType {
	schema := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	if value != nil {
		t := reflect.TypeOf(value)
		schema = schemas.Schema(t, true, t.Name())
	}
	content := make(map[string]*huma.MediaType, len(types))
	for _, t := range types {
		content[t] = &huma.MediaType{Schema: schema}
	}
	return content
}
