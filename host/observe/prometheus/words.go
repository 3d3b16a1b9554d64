package prometheus

import (
	"sync"

	prom "github.com/prometheus/client_golang/prometheus"
)

// maxWords bounds the series that one module can have for its codes, or for its causes.
const maxWords = 64

// words counts by a word that no manifest lists, such as a refusal's code. It holds at most maxWords series and one for all other words.
type words struct {
	count func(word string) prom.Counter

	mu   sync.RWMutex // guards seen
	seen map[string]prom.Counter
}

func newWords(family *prom.CounterVec, tenant, module string) *words {
	return &words{
		count: func(word string) prom.Counter { return family.WithLabelValues(tenant, module, word) },
		seen:  make(map[string]prom.Counter),
	}
}

func (w *words) inc(word string) {
	w.mu.RLock()
	counter := w.seen[word]
	w.mu.RUnlock()
	if counter == nil {
		counter = w.add(word)
	}
	counter.Inc()
}

func (w *words) add(word string) prom.Counter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if counter := w.seen[word]; counter != nil {
		return counter
	}
	if len(w.seen) >= maxWords || !isWord(word) {
		return w.count(other)
	}
	counter := w.count(word)
	w.seen[word] = counter
	return counter
}

// isWord reports whether s has the form of a code: 1 to 64 bytes of [a-z0-9_.].
func isWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 64
}
