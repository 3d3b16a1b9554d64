package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/httpapi"
)

const lettersURL = "/v1/tenants/default/deadletters"

// withLetters is a handler whose host has n dead letters.
func withLetters(t *testing.T, n int) http.Handler {
	h := open(t, httpapi.Config{Host: doerHost(t)})
	effects := strings.TrimSuffix(strings.Repeat(`{"kind":"call","target":"peer:down"},`, n), ",")
	w := do(h, http.MethodPost, "/v1/tenants/default/modules/doer/stores/a/actions", []byte(`{"type":"do","effects":[`+effects+`]}`), "Content-Type", "application/json")
	require.Equal(t, 200, w.Code, w.Body)
	synctest.Wait()
	require.Len(t, decode[httpapi.DeadLetters](t, get(h, lettersURL)).DeadLetters, n)
	return h
}

// drives are how often the effects of the dead letters were driven.
func drives(t *testing.T, h http.Handler) map[int]int {
	synctest.Wait()
	found := map[int]int{}
	for _, d := range decode[httpapi.DeadLetters](t, get(h, lettersURL)).DeadLetters {
		found[d.Drive]++
	}
	return found
}

// Many are retried at the rate that is asked for, the first at once.
func TestRetryDeadletters_rate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withLetters(t, 4)
		start := time.Now()
		w := do(h, http.MethodPost, lettersURL+"/retry?rate=2", nil)
		require.Equal(t, httpapi.Retried{Retried: 4, Of: 4}, decode[httpapi.Retried](t, w))
		require.Equal(t, 1500*time.Millisecond, time.Since(start))
		require.Equal(t, map[int]int{2: 4}, drives(t, h))
	})
}

// When the client goes away, the rest stays as it was.
func TestRetryDeadletters_gone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withLetters(t, 4)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, lettersURL+"/retry?rate=1", nil)
		r.Host = "localhost"
		r.Header.Set("Accept", "text/event-stream")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, 2500*time.Millisecond, time.Since(start))
		require.Equal(t, map[int]int{1: 1, 2: 3}, drives(t, h))
		require.Contains(t, w.Body.String(), `data: {"retried":3,"fed":0,"of":4}`)
		require.Contains(t, w.Body.String(), "event: error\ndata: {")
		require.NotContains(t, w.Body.String(), "event: done")
	})
}

// stuck is a client that takes so many writes.
type stuck struct {
	*httptest.ResponseRecorder
	left int
}

func (s *stuck) Write(b []byte) (int, error) {
	if s.left--; s.left < 0 {
		return 0, fmt.Errorf("gone")
	}
	return s.ResponseRecorder.Write(b)
}

// So it does when it takes nothing more.
func TestRetryDeadletters_stuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withLetters(t, 4)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, lettersURL+"/retry?rate=1", nil)
		r.Host = "localhost"
		r.Header.Set("Accept", "text/event-stream")
		h.ServeHTTP(&stuck{httptest.NewRecorder(), 2}, r) // the comment, and one letter
		require.Equal(t, map[int]int{1: 2, 2: 2}, drives(t, h))
	})
}

// A list shows whether there is more.
func TestDeadletters_more(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withLetters(t, 4)
		for limit, more := range map[int]bool{3: true, 4: false, 5: false} {
			list := decode[httpapi.DeadLetters](t, get(h, fmt.Sprintf("%s?limit=%d", lettersURL, limit)))
			require.Len(t, list.DeadLetters, min(limit, 4))
			require.Equal(t, more, list.More)
		}
	})
}
