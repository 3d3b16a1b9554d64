package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// What the handler adds to the host's own Send, without a connection.
func BenchmarkSend(b *testing.B) {
	hc := openHost(b, host.Config{})
	h := open(b, httpapi.Config{Host: hc})
	b.Run("path=go", func(b *testing.B) {
		s := hc.Store(abi.Address{Module: "counter", Key: "bench"})
		action := enginetest.Action("increment")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Send(context.Background(), action); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, tc := range []struct {
		name, content string
		body          []byte
	}{
		{"path=handler/body=json", "application/json", []byte(`{"type":"increment"}`)},
		{"path=handler/body=msgpack", "application/msgpack", enginetest.Action("increment")},
	} {
		b.Run(tc.name, func(b *testing.B) {
			body := bytes.NewReader(nil)
			r := httptest.NewRequest(http.MethodPost, storeURL+"/actions", nil)
			r.Host = "127.0.0.1:8420"
			r.Header.Set("Content-Type", tc.content)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(tc.body)
				r.Body = io.NopCloser(body)
				h.ServeHTTP(w, r)
			}
		})
	}
}

// One action per request on loopback, against a server that only reads the body and answers as many bytes.
func BenchmarkServe(b *testing.B) {
	answer := []byte(`{"seq":1,"revision":"r1-00000000","correlation":"00000000000000000000000000000000"}` + "\n")
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
	for _, tc := range []struct {
		name    string
		handler http.Handler
	}{{"server=bare", bare}, {"server=crhost", open(b, httpapi.Config{Host: openHost(b, host.Config{Shards: 2})})}} {
		b.Run(tc.name, func(b *testing.B) {
			web := httptest.NewServer(tc.handler)
			b.Cleanup(web.Close)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					resp, err := client.Post(web.URL+storeURL+"/actions", "application/json", bytes.NewReader([]byte(`{"type":"increment"}`)))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		})
	}
}
