package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2/negotiation"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

// The encodings of requests and replies.
const (
	contentJSON    = "application/json"
	contentMsgpack = "application/msgpack"
	contentEvents  = "text/event-stream"
	contentWasm    = "application/wasm"
	contentForm    = "multipart/form-data"
)

// exchange is one request and its answer.
type exchange struct {
	*api
	w       http.ResponseWriter
	r       *http.Request
	about   about
	query   url.Values // nil when there is none
	content string     // media type of the body
}

// fail answers with a problem.
func (x *exchange) fail(err error) {
	x.writeProblem(x.w, x.problem(err, x.place()))
}

// place is what the request is about: its store, unless the module is not even there.
func (x *exchange) place() place {
	at := place{about: x.about, tenant: x.r.PathValue("tenant"), module: x.r.PathValue("module"), key: x.r.PathValue("key")}
	if at.key == "" {
		return at
	}
	if _, err := x.host.Module(at.tenant, at.module); err != nil {
		at.key = ""
	}
	return at
}

// address reads the address of the path. Errors are abi.ErrBadAddress.
func (x *exchange) address() (abi.Address, error) {
	a := abi.Address{Tenant: x.r.PathValue("tenant"), Module: x.r.PathValue("module"), Key: x.r.PathValue("key")}
	return a, a.Validate()
}

// tenant reads the tenant of the path. Errors are abi.ErrBadAddress.
func (x *exchange) tenant() (string, error) {
	tenant := x.r.PathValue("tenant")
	return tenant, abi.ValidateName("tenant", tenant)
}

// module reads the tenant and module of the path. Errors are abi.ErrBadAddress.
func (x *exchange) module() (tenant, module string, err error) {
	tenant, module = x.r.PathValue("tenant"), x.r.PathValue("module")
	if err := abi.ValidateName("tenant", tenant); err != nil {
		return "", "", err
	}
	return tenant, module, abi.ValidateName("module", module)
}

// store is the store of the path. Errors are abi.ErrBadAddress.
func (x *exchange) store() (*host.Store, error) {
	a, err := x.address()
	if err != nil {
		return nil, err
	}
	return x.host.Store(a), nil
}

// number reads a query parameter; absent is 0. Errors are bad_request.
func (x *exchange) number(name string) (uint64, error) {
	return parseNumber("query parameter "+name, x.query.Get(name))
}

// limit reads how many entries of a list are asked for: maxPage when it is not said, or more.
func (x *exchange) limit() (uint64, error) {
	n, err := x.number("limit")
	if n == 0 {
		n = maxPage
	}
	return min(n, maxPage), err
}

func parseNumber(what, s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, refusal(abi.CodeBadRequest, fmt.Sprintf("%s: %q is not a whole number from 0", what, s))
	}
	return n, nil
}

// rate reads a query parameter that is so many a second; absent is 0. Errors are bad_request.
func (x *exchange) rate(name string) (float64, error) {
	s := x.query.Get(name)
	if s == "" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0 && f <= maxRate) {
		return 0, refusal(abi.CodeBadRequest, fmt.Sprintf("query parameter %s: %q is not a number above 0, up to %.0f", name, s, maxRate))
	}
	return f, nil
}

// maxRate is the largest rate, a second.
const maxRate = 1e6

// flag reads a query parameter; absent is false, without a value true. Errors are bad_request.
func (x *exchange) flag(name string) (bool, error) {
	if !x.query.Has(name) {
		return false, nil
	}
	switch s := x.query.Get(name); s {
	case "", "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	default:
		return false, refusal(abi.CodeBadRequest, fmt.Sprintf("query parameter %s: %q is neither true nor false", name, s))
	}
}

// oneOf reads a query parameter that is one of words, or absent. Errors are bad_request.
func (x *exchange) oneOf(name string, words ...string) (string, error) {
	s := x.query.Get(name)
	if s == "" {
		return "", nil
	}
	for _, w := range words {
		if s == w {
			return s, nil
		}
	}
	return "", refusal(abi.CodeBadRequest, fmt.Sprintf("query parameter %s: %q is not %s", name, s, strings.Join(words, " or ")))
}

// bounded is the request's context under the query parameter timeout, which defaults to def; 0 = no bound. Errors are bad_request.
func (x *exchange) bounded(def time.Duration) (context.Context, context.CancelFunc, error) {
	limit := def
	if s := x.query.Get("timeout"); s != "" {
		var err error
		if limit, err = time.ParseDuration(s); err != nil || limit <= 0 {
			return nil, nil, refusal(abi.CodeBadRequest, fmt.Sprintf("query parameter timeout: %q is not a duration such as 5s or 250ms", s))
		}
	}
	if limit == 0 {
		return x.r.Context(), func() {}, nil
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), limit)
	return ctx, cancel, nil
}

// maxPooled is the largest buffer that is kept for another request.
const maxPooled = 64 << 10

// read gives the whole body to use, as msgpack. The bytes are use's until it returns. Errors are malformed and too_large.
func (x *exchange) read(use func(msgpack []byte) error) error {
	buf := x.buffers.get()
	defer x.buffers.put(buf)
	if _, err := buf.ReadFrom(x.r.Body); err != nil {
		return readError(err)
	}
	if x.content == contentMsgpack {
		return use(buf.Bytes())
	}
	packed := x.buffers.get()
	defer x.buffers.put(packed)
	b, err := toMsgpack(packed.AvailableBuffer(), buf.Bytes())
	if err != nil {
		return err
	}
	packed.Write(b) // for what had to grow to be used again
	return use(b)
}

// readAll is the whole body, for bodies that are kept.
func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, readError(err)
	}
	return b, nil
}

func readError(err error) error {
	if code, _, _ := classify(err); code != abi.CodeInternal {
		return err
	}
	return &abi.Error{Code: abi.CodeBadRequest, Text: "read the body: " + err.Error(), Err: err}
}

// toMsgpack appends a JSON value as msgpack. Errors are malformed.
func toMsgpack(dst, json []byte) ([]byte, error) {
	packed, err := jsonpack.ToMsgpack(dst, json)
	if err != nil {
		return nil, &abi.Error{Code: abi.CodeMalformed, Text: err.Error(), Err: err}
	}
	return packed, nil
}

// reply answers with a value, in the encoding that the client accepts: else that of its own body, else JSON.
func (x *exchange) reply(status int, v any) error {
	buf := x.buffers.get()
	defer x.buffers.put(buf)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the reply: %w", err)
	}
	body, content := buf.Bytes(), contentJSON
	if x.wantsMsgpack() {
		packed, err := jsonpack.ToMsgpack(nil, bytes.TrimSpace(body))
		if err != nil {
			return fmt.Errorf("encode the reply: %w", err)
		}
		body, content = packed, contentMsgpack
	}
	x.w.Header().Set("Content-Type", content)
	x.w.WriteHeader(status)
	x.w.Write(body) // an error is the client's going away: nobody is left to tell
	return nil
}

func (x *exchange) wantsMsgpack() bool {
	switch negotiation.SelectQValueFast(x.r.Header.Get("Accept"), []string{contentJSON, contentMsgpack}) {
	case contentMsgpack:
		return true
	case contentJSON:
		return false
	}
	return x.content == contentMsgpack
}

// buffers are reused from request to request.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *bytes.Buffer {
	if buf, ok := b.pool.Get().(*bytes.Buffer); ok {
		return buf
	}
	return new(bytes.Buffer)
}

func (b *buffers) put(buf *bytes.Buffer) {
	if buf.Cap() <= maxPooled {
		buf.Reset()
		b.pool.Put(buf)
	}
}
