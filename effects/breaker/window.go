package breaker

import "time"

// slicesPerWindow is how finely a window is divided.
const slicesPerWindow = 10

// window counts results by slices of time, for as many of them as there are in it.
type window struct {
	slice    time.Duration
	newest   int64 // number of the newest slice, since the epoch of the breaker
	failures [slicesPerWindow]int
	results  [slicesPerWindow]int
}

// advance moves to the slice that holds a time, given since the epoch, and forgets what has left the window.
func (w *window) advance(since time.Duration) {
	at := int64(since / w.slice)
	for n := max(w.newest+1, at-slicesPerWindow+1); n <= at; n++ {
		w.failures[n%slicesPerWindow], w.results[n%slicesPerWindow] = 0, 0
	}
	w.newest = max(w.newest, at)
}

func (w *window) add(since time.Duration, failed bool) {
	w.advance(since)
	i := w.newest % slicesPerWindow
	w.results[i]++
	if failed {
		w.failures[i]++
	}
}

func (w *window) sum() (failures, results int) {
	for i := range slicesPerWindow {
		failures += w.failures[i]
		results += w.results[i]
	}
	return failures, results
}
