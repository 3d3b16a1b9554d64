package httpcall_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/httpcall"
	"github.com/crhost/crhost/effects/retry"
)

func TestDo(t *testing.T) {
	var got *http.Request
	var body []byte
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header()["X-Two"] = []string{"a", "b"}
		w.WriteHeader(http.StatusCreated)
		w.Write([]byte{0xff, 0x00})
	})
	c := granted()
	c.Trace = func(ctx context.Context, h http.Header) {
		require.NoError(t, ctx.Err())
		h.Set("Traceparent", "00-1-2-01")
	}
	h := handler(t, c)
	r := do(t, h, args{
		"method": "POST", "url": s.URL + "/charge?x=1#part", "body": []byte("{}"), "timeout": int64(time.Minute), "max_bytes": 2,
		"headers": args{"content-type": "application/json", "x-many": []string{"1", "2"}},
	})
	require.Equal(t, 201, r.Status)
	require.Equal(t, []byte{0xff, 0x00}, r.Body)
	require.Equal(t, []string{"a", "b"}, r.Headers["x-two"])
	require.Equal(t, "POST /charge?x=1", got.Method+" "+got.RequestURI)
	require.Equal(t, "{}", string(body))
	require.Equal(t, []string{"1", "2"}, got.Header["X-Many"])
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, key, got.Header.Get("Idempotency-Key"))
	require.Equal(t, "00-1-2-01", got.Header.Get("Traceparent"))
	require.Equal(t, "crhost", got.UserAgent())
	require.Empty(t, got.Header.Get("Accept-Encoding"))

	r = do(t, h, args{"url": s.URL, "body": "text", "headers": args{"user-agent": "orders"}})
	require.Equal(t, "GET orders text", got.Method+" "+got.UserAgent()+" "+string(body))

	s = peer(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "9999") })
	r = do(t, h, args{"method": "HEAD", "url": s.URL, "max_bytes": 10})
	require.Empty(t, r.Body, "what HEAD tells of a body does not count")
	require.Equal(t, []string{"9999"}, r.Headers["content-length"])
}

// Statuses: 2xx is a result, some others are retried.
func TestDo_status(t *testing.T) {
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Retry-After", r.URL.Query().Get("after"))
		w.WriteHeader(status)
		if status != 304 {
			io.WriteString(w, "card declined")
		}
	})
	h := handler(t, granted())
	for _, status := range []int{200, 201, 299} {
		require.Equal(t, status, do(t, h, args{"url": fmt.Sprint(s.URL, "/", status)}).Status)
	}
	for _, status := range []int{304, 400, 401, 402, 404, 409, 410, 422, 499, 408, 425, 429, 500, 502, 503, 504, 599} {
		e, err := failure(t, h, args{"url": fmt.Sprint(s.URL, "/", status)})
		require.Equal(t, "http_status", e.Code)
		retried := status == 408 || status == 425 || status == 429 || status >= 500
		require.Equal(t, !retried, retry.IsPermanent(err), "%d", status)
		f := fields(t, e)
		require.EqualValues(t, status, f["status"])
		if status != 304 {
			require.Equal(t, []byte("card declined"), f["body"])
		}
		require.NotContains(t, f, "truncated")
		_, asked := retry.AfterOf(err)
		require.False(t, asked)
	}
	e, _ := failure(t, h, args{"method": "PUT", "url": s.URL + "/402"})
	require.Equal(t, "PUT "+hostOf(s)+": 402 Payment Required", e.Message)

	_, err := failure(t, h, args{"url": s.URL + "/503?after=17"})
	d, _ := retry.AfterOf(err)
	require.Equal(t, 17*time.Second, d)
	_, err = failure(t, h, args{"url": s.URL + "/429?after=" + strings.ReplaceAll(time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat), " ", "%20")})
	d, _ = retry.AfterOf(err)
	require.InDelta(t, 20*time.Minute, d, float64(time.Minute))
	_, err = failure(t, h, args{"url": s.URL + "/402?after=17"})
	require.True(t, retry.IsPermanent(err))
}

func TestDo_errorBody(t *testing.T) {
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprint(w, strings.Repeat("x", 5000))
	})
	e, _ := failure(t, handler(t, granted()), args{"url": s.URL})
	f := fields(t, e)
	require.Len(t, f["body"], 4096)
	require.Equal(t, true, f["truncated"])
}

// Over the cap is an error, whether the peer said how much it is or not, and no more than the cap is read.
func TestDo_tooLarge(t *testing.T) {
	const size = 100 << 20
	block := make([]byte, 64<<10)
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/told" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		for range size / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	h := handler(t, granted())
	for _, a := range []args{{"url": s.URL}, {"url": s.URL + "/told"}, {"url": s.URL, "max_bytes": httpcall.MaxBody}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := failure(t, h, a)
		runtime.ReadMemStats(&after)
		require.Equal(t, "too_large", e.Code)
		require.True(t, retry.IsPermanent(err))
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
	}
	s = peer(t, func(w http.ResponseWriter, r *http.Request) { w.Write(block) })
	require.Len(t, do(t, h, args{"url": s.URL, "max_bytes": len(block)}).Body, len(block))
	for _, max := range []int{0, len(block) - 1} {
		e, _ := failure(t, h, args{"url": s.URL, "max_bytes": max})
		require.Equal(t, "too_large", e.Code)
	}
}

// A bomb stays as small as it came.
func TestDo_compressed(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(make([]byte, 50<<20))
	z.Close()
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb.Bytes())
	})
	for _, a := range []args{{"url": s.URL}, {"url": s.URL, "headers": args{"accept-encoding": "gzip"}}} {
		r := do(t, handler(t, granted()), a)
		require.Equal(t, bomb.Bytes(), r.Body)
		require.Equal(t, []string{"gzip"}, r.Headers["content-encoding"])
	}
}

// raw is a peer that answers each connection, once it has sent something, with whatever answer does.
func raw(t *testing.T, answer func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Read(make([]byte, 4096))
				answer(c)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// until writes again and again until the connection is gone.
func until(c net.Conn, s string) {
	for {
		if _, err := io.WriteString(c, s); err != nil {
			return
		}
	}
}

func TestDo_brokenPeers(t *testing.T) {
	gone := func(c net.Conn) { c.Read(make([]byte, 1)) } // returns when the client gives up
	for name, c := range map[string]struct {
		answer func(net.Conn)
		code   string
	}{
		"closes": {func(net.Conn) {}, "connection"},
		"resets": {func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }, "connection"},
		"resets in a body": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
			c.(*net.TCPConn).SetLinger(0)
		}, "connection"},
		"ends in a body":    {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc") }, "connection"},
		"is not HTTP":       {func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n") }, "connection"},
		"stalls":            {gone, "timeout"},
		"stalls in headers": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nA: b\r\n"); gone(c) }, "timeout"},
		"stalls in a body":  {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"); gone(c) }, "timeout"},
		"floods headers": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			until(c, "A: "+strings.Repeat("b", 1000)+"\r\n")
		}, "connection"},
		"100 KiB of headers": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 100)+"\r\n")
		}, "connection"},
		"one long header": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nA: "); until(c, strings.Repeat("b", 1000)) }, "connection"},
		"hints for ever":  {func(c net.Conn) { until(c, "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n") }, "connection"},
		"one endless chunk": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n")
			until(c, strings.Repeat("b", 1000))
		}, "too_large"},
		"switches protocol": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			gone(c)
		}, "http_status"},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, granted())
			timeout := time.Minute
			if c.code == "timeout" {
				timeout = 50 * time.Millisecond
			}
			a := args{"url": raw(t, c.answer), "timeout": int64(timeout)}
			e, err := failure(t, h, a)
			require.Equal(t, c.code, e.Code, e.Message)
			require.Equal(t, c.code == "too_large" || c.code == "http_status", retry.IsPermanent(err))
			require.NotContains(t, e.Message, a["url"])
		})
	}
}

// A peer that trickles keeps the exchange for its timeout, and no longer.
func TestDo_trickle(t *testing.T) {
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
				w.Write([]byte("."))
				w.(http.Flusher).Flush()
			}
		}
	})
	h := handler(t, granted())
	e, err := failure(t, h, args{"url": s.URL, "timeout": int64(50 * time.Millisecond)})
	require.Equal(t, effects.CodeTimeout, e.Code)
	require.False(t, retry.IsPermanent(err))
	c := granted()
	c.Timeout = 50 * time.Millisecond
	e, _ = failure(t, handler(t, c), args{"url": s.URL, "timeout": int64(time.Hour)})
	require.Equal(t, effects.CodeTimeout, e.Code, "the host's is shorter")
}

// When the context ends so does the exchange, and the peer sees it.
func TestDo_stop(t *testing.T) {
	for _, path := range []string{"/before", "/within"} {
		started, ended := make(chan struct{}), make(chan struct{})
		s := peer(t, func(w http.ResponseWriter, r *http.Request) {
			if path == "/within" {
				w.Write([]byte("."))
				w.(http.Flusher).Flush()
			}
			close(started)
			stall(r)
			close(ended)
		})
		require.Equal(t, errStopped, during(t, handler(t, granted()), args{"url": s.URL + path}, started))
		<-ended
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err := handler(t, granted()).Do(ctx, request(t, args{"url": "http://localhost"}))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestDo_unreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	e, err := failure(t, handler(t, granted()), args{"url": "http://" + l.Addr().String()})
	require.Equal(t, "connection", e.Code)
	require.False(t, retry.IsPermanent(err))
	require.Contains(t, e.Message, "refused")
}

func TestDo_tls(t *testing.T) {
	var protocol string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { protocol = r.Proto }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	c := granted()
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
	do(t, handler(t, c), args{"url": s.URL})
	require.Equal(t, "HTTP/1.1", protocol)
	c.TLS = &tls.Config{RootCAs: roots, ServerName: "example.org"}
	c.Secret = func(string, string) (string, bool) { return "very secret", true }
	e, _ := failure(t, handler(t, c), args{"url": s.URL, "headers": args{"authorization": "{{secret:x}}"}})
	require.Equal(t, "connection", e.Code)
	require.Contains(t, e.Message, "certificate")
}

func TestConfig(t *testing.T) {
	require.NoError(t, httpcall.Config{}.Validate())
	require.EqualError(t, httpcall.Config{Timeout: -1}.Validate(), "the Timeout is -1ns, want 0 (the default) or more")
	require.Less(t, httpcall.MaxBody, abi.HardActionBytes)
}

func BenchmarkDo(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	h := httpcall.New(granted())
	defer h.Close()
	r := request(b, args{"url": s.URL})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Do(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
}
