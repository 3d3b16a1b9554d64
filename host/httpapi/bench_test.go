package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/journal/pebble"
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

// BenchmarkServe is one action per request on loopback over 64 connections, in memory and on disk, beside a server that only reads the body and answers as many bytes.
func BenchmarkServe(b *testing.B) {
	const connections, requests, rounds = 64, 20_000, 5
	answer := []byte(`{"seq":1,"revision":"r1-00000000","correlation":"00000000000000000000000000000000"}` + "\n")
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
	disk, err := pebble.Open(b.TempDir(), pebble.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = disk.Close() })
	sides := []struct {
		name    string
		handler http.Handler
	}{
		{"bare", bare}, {"memory", open(b, httpapi.Config{Host: openHost(b, host.Config{Shards: 2})})},
		{"disk", open(b, httpapi.Config{Host: openHost(b, host.Config{Shards: 2, Journal: disk})})},
	}
	load := func(url string) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
		defer client.CloseIdleConnections()
		var wg sync.WaitGroup
		for range connections {
			wg.Go(func() {
				for range requests / connections {
					resp, err := client.Post(url+storeURL+"/actions", "application/json", strings.NewReader(`{"type":"increment"}`))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						b.Error(resp.Status)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	seconds := make([][]float64, len(sides))
	for b.Loop() {
		for range rounds {
			for i, s := range sides {
				web := httptest.NewServer(s.handler)
				start := time.Now()
				load(web.URL)
				seconds[i] = append(seconds[i], time.Since(start).Seconds())
				web.Close()
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of a whole comparison: says nothing
	var first float64
	for i, s := range sides {
		slices.Sort(seconds[i])
		rate := float64(requests) / seconds[i][len(seconds[i])/2]
		b.ReportMetric(rate, s.name+"/s")
		if i == 0 {
			first = rate
		} else {
			b.ReportMetric(rate/first, s.name+"/bare")
		}
	}
}
