package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
)

const storeURL = "/v1/tenants/default/modules/counter/stores/main"

// served is a host behind a real connection.
type served struct {
	t    *testing.T
	host *host.Host
	web  *httptest.Server
}

func serve(t *testing.T, hc host.Config, c httpapi.Config) *served {
	s := &served{t: t, host: openHost(t, hc)}
	c.Host = s.host
	s.web = httptest.NewServer(open(t, c))
	t.Cleanup(s.web.Close)
	return s
}

// send sends one increment.
func (s *served) send() uint64 {
	r, err := s.host.Store(abi.Address{Tenant: "default", Module: "counter"}).Send(context.Background(), enginetest.Action("increment"))
	require.NoError(s.t, err)
	return r.Seq
}

// events opens a stream of server-sent events, which ends with the test.
func (s *served) events(query string, header http.Header) *bufio.Scanner {
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.web.URL+storeURL+"/subscribe"+query, nil)
	require.NoError(s.t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { resp.Body.Close() })
	require.Equal(s.t, 200, resp.StatusCode)
	require.Equal(s.t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(s.t, "no-store", resp.Header.Get("Cache-Control"))
	lines := bufio.NewScanner(resp.Body)
	require.Equal(s.t, ": subscribed\n", paragraph(lines))
	return lines
}

// paragraph reads up to an empty line; nothing more is "".
func paragraph(lines *bufio.Scanner) string {
	var b strings.Builder
	for lines.Scan() && lines.Text() != "" {
		b.WriteString(lines.Text() + "\n")
	}
	return b.String()
}

func increment(seq string) string {
	return "id: " + seq + "\nevent: event\ndata: {\"type\":\"event\",\"seq\":" + seq + ",\"action\":{\"type\":\"increment\"}}\n"
}

func TestEvents_fromNowOn(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	s.send()
	lines := s.events("", nil)
	s.send()
	s.send()
	require.Equal(t, increment("2"), paragraph(lines))
	require.Equal(t, increment("3"), paragraph(lines))
}

func TestEvents_fromTheBeginning(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	s.send()
	s.send()
	lines := s.events("?from=1", nil)
	require.Equal(t, increment("1"), paragraph(lines))
	require.Equal(t, increment("2"), paragraph(lines))
	s.send()
	require.Equal(t, increment("3"), paragraph(lines))
}

func TestEvents_goOn(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	s.send()
	s.send()
	s.send()
	lines := s.events("?from=1", http.Header{"Last-Event-Id": {"2"}})
	require.Equal(t, increment("3"), paragraph(lines))
}

func TestEvents_gap(t *testing.T) {
	s := serve(t, host.Config{History: 2, TailBytes: 1}, httpapi.Config{})
	for range 20 {
		s.send()
	}
	lines := s.events("?from=1", nil)
	first := paragraph(lines)
	require.True(t, strings.HasPrefix(first, "event: gap\ndata: {\"type\":\"gap\",\"from\":1,\"to\":"), first)
}

func TestEvents_version(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	lines := s.events("", nil)
	s.send()
	d, err := s.host.Deploy(context.Background(), host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t), Config: []byte{0x80}})
	require.NoError(t, err)
	s.send()
	require.Equal(t, increment("1"), paragraph(lines))
	require.Equal(t, "event: version\ndata: {\"type\":\"version\",\"revision\":\""+d.Revision+"\"}\n", paragraph(lines))
	require.Equal(t, increment("2"), paragraph(lines))
}

// A stream says why it ends.
func TestEvents_end(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(*host.Host) error
		code string
	}{
		"shutdown": {func(h *host.Host) error { return h.Shutdown(context.Background()) }, "shutting_down"},
		"unload":   {func(h *host.Host) error { return h.Unload(context.Background(), "default", "counter") }, "not_found"},
		"delete": {func(h *host.Host) error {
			return h.Store(abi.Address{Tenant: "default", Module: "counter"}).Delete(context.Background())
		}, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, host.Config{}, httpapi.Config{})
			s.send()
			lines := s.events("", nil)
			require.NoError(t, tc.end(s.host))
			last := paragraph(lines)
			require.True(t, strings.HasPrefix(last, "event: error\ndata: {\"type\":\"error\",\"code\":\""+tc.code+"\""), last)
			require.False(t, lines.Scan())
		})
	}
}

func TestEvents_keepAlive(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{KeepAlive: time.Millisecond})
	lines := s.events("", nil)
	require.Equal(t, ": alive\n", paragraph(lines))
	require.Equal(t, ": alive\n", paragraph(lines))
}

func TestEvents_refused(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	for path, want := range map[string]int{
		storeURL + "/subscribe?from=x":                              400,
		"/v1/tenants/default/modules/nothing/stores/main/subscribe": 404,
		"/v1/tenants/default/modules/counter/stores/%00/subscribe":  400,
	} {
		resp, err := http.Get(s.web.URL + path)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, want, resp.StatusCode, path)
	}
}

// socket is a WebSocket client.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

func (s *served) socket(query string) *socket {
	conn, _, err := websocket.Dial(context.Background(), s.web.URL+storeURL+"/subscribe"+query, nil)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { conn.CloseNow() })
	return &socket{s.t, conn}
}

func (k *socket) say(frame string) {
	require.NoError(k.t, k.conn.Write(context.Background(), websocket.MessageText, []byte(frame)))
}

func (k *socket) hear() string {
	kind, b, err := k.conn.Read(context.Background())
	require.NoError(k.t, err)
	require.Equal(k.t, websocket.MessageText, kind)
	return string(b)
}

func (k *socket) closed() websocket.StatusCode {
	_, _, err := k.conn.Read(context.Background())
	require.Error(k.t, err)
	return websocket.CloseStatus(err)
}

func TestSocket_commands(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	k := s.socket("")
	k.say(`{"type":"ping"}`)
	require.Equal(t, `{"type":"pong"}`, k.hear())
	k.say(`{"type":"command","id":1,"action":{"type":"increment","by":3}}`)
	require.Equal(t, `{"type":"ack","id":1,"seq":1}`, k.hear())
	k.say(`{"type":"command","id":"two","action":{"type":"increment"}}`)
	require.Equal(t, `{"type":"ack","id":"two","seq":2}`, k.hear())
	state, err := s.host.Store(abi.Address{Tenant: "default", Module: "counter"}).State(context.Background())
	require.NoError(t, err)
	text, err := json.Marshal(httpapi.Value(state.Body))
	require.NoError(t, err)
	require.JSONEq(t, `{"count":4}`, string(text))
	once := `{"type":"command","id":3,"key":"once","action":{"type":"increment"}}`
	k.say(once)
	require.Equal(t, `{"type":"ack","id":3,"seq":3}`, k.hear())
	k.say(once)
	require.Equal(t, `{"type":"ack","id":3,"seq":3,"replayed":true}`, k.hear())
}

// A refused command is an error frame with the command's id; the connection goes on.
func TestSocket_refusals(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	k := s.socket("")
	for frame, want := range map[string]string{
		`{"type":"command","id":1,"action":{"type":"explode"}}`:                                 `{"type":"error","id":1,"code":"unknown_action","message":"module counter has no action \"explode\"","hint":"see what the module takes: crhost modules counter"}`,
		`{"type":"command","id":2,"action":[1]}`:                                                `{"type":"error","id":2,"code":"malformed"`,
		`{"type":"command","id":3}`:                                                             `{"type":"error","id":3,"code":"malformed"`,
		`{"type":"command","id":4,"action":{"type":"increment","by":1e400}}`:                    `{"type":"error","id":4,"code":"malformed"`,
		`{"type":"dance","id":6}`:                                                               `{"type":"error","id":6,"code":"bad_request","message":"no frame type \"dance\"`,
		`{"type":"command","id":{"deep":[7]},"action":{"type":"increment","type":"increment"}}`: `{"type":"error","id":{"deep":[7]},"code":"malformed"`,
	} {
		k.say(frame)
		got := k.hear()
		require.True(t, strings.HasPrefix(got, want), "%s: %s", frame, got)
	}
	k.say(`{"type":"ping"}`)
	require.Equal(t, `{"type":"pong"}`, k.hear())
}

func TestSocket_subscribe(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	s.send()
	k := s.socket("")
	k.say(`{"type":"subscribe","from":1}`)
	require.Equal(t, `{"type":"event","seq":1,"action":{"type":"increment"}}`, k.hear())
	s.send()
	require.Equal(t, `{"type":"event","seq":2,"action":{"type":"increment"}}`, k.hear())
	k.say(`{"type":"subscribe"}`)
	require.Contains(t, k.hear(), "subscribed already")
}

// The subscription stands before the next frame is looked at, so a connection sees the events of its own commands.
func TestSocket_ownEvents(t *testing.T) {
	k := serve(t, host.Config{}, httpapi.Config{}).socket("")
	k.say(`{"type":"subscribe"}`)
	k.say(`{"type":"command","id":1,"action":{"type":"increment"}}`)
	require.ElementsMatch(t,
		[]string{`{"type":"ack","id":1,"seq":1}`, `{"type":"event","seq":1,"action":{"type":"increment"}}`},
		[]string{k.hear(), k.hear()})
}

func TestSocket_subscribeByURL(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	s.send()
	k := s.socket("?from=1")
	require.Equal(t, `{"type":"event","seq":1,"action":{"type":"increment"}}`, k.hear())
}

// Close codes up to 3499 mean reconnect, from 3500 do not.
func TestSocket_end(t *testing.T) {
	codeOf := func(code abi.Code) websocket.StatusCode { _, closing, _ := httpapi.Answer(code); return closing }
	for name, tc := range map[string]struct {
		query string
		end   func(*served, *socket)
		want  websocket.StatusCode
	}{
		"shutdown": {"?from=0", func(s *served, _ *socket) { require.NoError(s.t, s.host.Shutdown(context.Background())) }, codeOf(abi.CodeShuttingDown)},
		"unload": {"?from=0", func(s *served, _ *socket) {
			require.NoError(s.t, s.host.Unload(context.Background(), "default", "counter"))
		}, codeOf(abi.CodeNotFound)},
		"not JSON":    {"", func(_ *served, k *socket) { k.say(`{"type"`) }, codeOf(abi.CodeMalformed)},
		"not a frame": {"", func(_ *served, k *socket) { k.say(`[]`) }, codeOf(abi.CodeMalformed)},
		"binary": {"", func(s *served, k *socket) {
			require.NoError(s.t, k.conn.Write(context.Background(), websocket.MessageBinary, []byte("{}")))
		}, codeOf(abi.CodeBadRequest)},
		"too large": {"", func(_ *served, k *socket) { k.say(`"` + strings.Repeat("x", abi.HardActionBytes+2<<10) + `"`) }, websocket.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, host.Config{}, httpapi.Config{})
			k := s.socket(tc.query)
			tc.end(s, k)
			require.Equal(t, tc.want, k.closed())
		})
	}
}

// The end of the server's context ends connections that follow nothing, too.
func TestSocket_serverEnds(t *testing.T) {
	h := open(t, httpapi.Config{})
	base, cancel := context.WithCancel(context.Background())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, stop := context.WithCancel(r.Context())
		defer context.AfterFunc(base, stop)()
		h.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(web.Close)
	conn, _, err := websocket.Dial(context.Background(), web.URL+storeURL+"/subscribe", nil)
	require.NoError(t, err)
	k := &socket{t, conn}
	k.say(`{"type":"ping"}`)
	require.Equal(t, `{"type":"pong"}`, k.hear())
	cancel()
	_, want, _ := httpapi.Answer(abi.CodeShuttingDown)
	require.Equal(t, want, k.closed())
}

func TestSocket_foreignOrigin(t *testing.T) {
	s := serve(t, host.Config{}, httpapi.Config{})
	_, resp, err := websocket.Dial(context.Background(), s.web.URL+storeURL+"/subscribe", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	require.Error(t, err)
	require.Equal(t, 403, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "foreign_origin")
}
