package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

const barWidth = 30

// bar shows on a terminal how far an upload is, then how long the host has been at work.
type bar struct {
	out   io.Writer
	name  string
	total int
	sent  atomic.Int64
}

func newBar(out io.Writer, name string, total int) *bar {
	return &bar{out: out, name: name, total: total}
}

// reader counts what is read of r.
func (b *bar) reader(r io.Reader) io.Reader { return &countingReader{Reader: r, count: &b.sent} }

// run draws until stop is called, which wipes the line.
func (b *bar) run() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				fmt.Fprint(b.out, "\r\033[K")
				return
			case <-tick.C:
				fmt.Fprint(b.out, "\r\033[K"+b.line(time.Since(start)))
			}
		}
	}()
	return func() { close(quit); <-done }
}

func (b *bar) line(elapsed time.Duration) string {
	sent := int(b.sent.Load())
	if sent >= b.total {
		return fmt.Sprintf("%s  the host checks and compiles it, %.1f s", b.name, elapsed.Seconds())
	}
	return progress(b.name, sent, b.total) + fmt.Sprintf(" %d of %d KiB", sent>>10, b.total>>10)
}

// progress is a bar.
func progress(name string, done, total int) string {
	full := done * barWidth / total
	return fmt.Sprintf("%s  [%s%s]", name, strings.Repeat("#", full), strings.Repeat("-", barWidth-full))
}

type countingReader struct {
	io.Reader
	count *atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.count.Add(int64(n))
	return n, err
}
