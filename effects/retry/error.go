package retry

import (
	"errors"
	"time"
)

// MaxAfter is the longest wait that an error can ask for.
const MaxAfter = time.Hour

// Permanent marks err: no further attempt can succeed. Text and identity of err stay. nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

// IsPermanent reports whether err, or an error that it wraps, is Permanent.
func IsPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p)
}

type permanent struct{ err error }

func (e *permanent) Error() string { return e.err.Error() }
func (e *permanent) Unwrap() error { return e.err }

// After marks err: an attempt before d has passed is of no use. d is cut to [0, MaxAfter], whatever a peer says. Text and identity of err
// stay. nil stays nil.
func After(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &after{err, min(max(d, 0), MaxAfter)}
}

// AfterOf is what After asked for; of several in one error, the outermost.
func AfterOf(err error) (d time.Duration, ok bool) {
	var a *after
	if !errors.As(err, &a) {
		return 0, false
	}
	return a.d, true
}

type after struct {
	err error
	d   time.Duration
}

func (e *after) Error() string { return e.err.Error() }
func (e *after) Unwrap() error { return e.err }
