package httpcall

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
)

// The codes of errors, besides effects.CodeTimeout.
const (
	codeStatus        = "http_status"
	codeArguments     = "bad_arguments"
	codeUnknownSecret = "unknown_secret"
	codeBadSecret     = "bad_secret"
	codeTarget        = "target_refused"
	codeRedirect      = "redirect_refused"
	codeRedirects     = "too_many_redirects"
	codeTooLarge      = "too_large"
	codeEchoed        = "secret_echoed"
	codeConnection    = "connection"
)

// failure is a permanent error.
func failure(code, message string) error {
	return retry.Permanent(&effects.Error{Code: code, Message: message})
}

// appendResult is the result of a call.
func appendResult(resp *http.Response, body []byte) []byte {
	b := pack.AppendMapLen(make([]byte, 0, len(body)+1<<10), 3)
	b = pack.AppendInt(pack.AppendString(b, "status"), int64(resp.StatusCode))
	b = pack.AppendMapLen(pack.AppendString(b, "headers"), len(resp.Header))
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		values := resp.Header[name]
		b = pack.AppendArrayLen(pack.AppendString(b, strings.ToLower(name)), len(values))
		for _, value := range values {
			b = pack.AppendString(b, value)
		}
	}
	return pack.AppendBin(pack.AppendString(b, "body"), body)
}

// appendStatus are the fields of an error.
func appendStatus(status int, body []byte, truncated bool) []byte {
	n := 2
	if truncated {
		n++
	}
	b := pack.AppendMapLen(nil, n)
	b = pack.AppendInt(pack.AppendString(b, "status"), int64(status))
	b = pack.AppendBin(pack.AppendString(b, "body"), body)
	if truncated {
		b = pack.AppendBool(pack.AppendString(b, "truncated"), true)
	}
	return b
}

// mayPass reports whether an attempt after this status may fare better.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// retryAfter reads a Retry-After header, seconds or a date (RFC 9110, 10.2.3). Others are as good as none. It is never negative, and at most retry.MaxAfter.
func retryAfter(value string, now time.Time) (d time.Duration, ok bool) {
	value = strings.Trim(value, " \t")
	if value == "" {
		return 0, false
	}
	if strings.Trim(value, "0123456789") != "" {
		at, err := http.ParseTime(value)
		if err != nil {
			return 0, false
		}
		return min(max(at.Sub(now), 0), retry.MaxAfter), true
	}
	seconds := time.Duration(0)
	for _, c := range value {
		if seconds = seconds*10 + time.Duration(c-'0'); seconds > retry.MaxAfter/time.Second {
			return retry.MaxAfter, true
		}
	}
	return seconds * time.Second, true
}
