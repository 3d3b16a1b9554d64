package httpcall

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	secretOpen  = "{{secret:"
	secretClose = "}}"
	redacted    = "{{secret}}"

	minSearched = 8 // bytes of a secret that answers are searched for: shorter ones turn up by chance
)

// secrets are those that went into one request.
type secrets struct {
	values  []string // longest first, so that none is hidden by a part of it
	headers []string // that have them, in canonical form
}

// fill puts the secrets of a tenant into headers. Errors name secrets, and never have their values.
func fill(headers http.Header, lookup func(name string) (string, bool)) (secrets, error) {
	var s secrets
	for name, values := range headers {
		for i, value := range values {
			if !strings.Contains(value, secretOpen) {
				continue
			}
			filled, err := s.fillOne(value, lookup)
			if err != nil {
				return secrets{}, err
			}
			values[i] = filled
			s.headers = append(s.headers, name)
		}
	}
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) })
	return s, nil
}

func (s *secrets) fillOne(value string, lookup func(name string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(value, secretOpen)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, secretClose)
		if !closed {
			return "", failure(codeArguments, "a header has "+secretOpen+" without "+secretClose)
		}
		secret, ok := lookup(name)
		switch {
		case !ok:
			return "", failure(codeUnknownSecret, fmt.Sprintf("no secret %.64q", name))
		case secret == "" || !httpguts.ValidHeaderFieldValue(secret):
			return "", failure(codeBadSecret, fmt.Sprintf("the value of secret %.64q cannot be in a header", name))
		}
		b.WriteString(secret)
		s.values = append(s.values, secret)
		value = after
	}
}

// in reports whether an answer has one of the secrets.
func (s secrets) in(headers http.Header, body []byte) bool {
	for _, secret := range s.values {
		if len(secret) < minSearched {
			continue
		}
		if bytes.Contains(body, []byte(secret)) {
			return true
		}
		for name, values := range headers {
			if strings.Contains(strings.ToLower(name), strings.ToLower(secret)) {
				return true
			}
			for _, value := range values {
				if strings.Contains(value, secret) {
					return true
				}
			}
		}
	}
	return false
}

// describe is what may be said of the error of an exchange: not what quotes the peer, if that has been told a secret.
func (s secrets) describe(err error) string {
	var local *net.OpError
	var untrusted *tls.CertificateVerificationError
	if text := err.Error(); len(s.values) == 0 || errors.As(err, &local) || errors.As(err, &untrusted) {
		return s.redact(text)
	}
	return "the exchange broke off"
}

// redact takes the secrets out of a text.
func (s secrets) redact(text string) string {
	for _, secret := range s.values {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	return text
}

// longest is the length of the longest secret.
func (s secrets) longest() int {
	if len(s.values) == 0 {
		return 0
	}
	return len(s.values[0])
}

// strip takes credentials out of headers that go to another host.
func (s secrets) strip(headers http.Header) {
	for _, name := range []string{"Authorization", "Cookie", "Www-Authenticate"} {
		headers.Del(name)
	}
	for _, name := range s.headers {
		headers.Del(name)
	}
}
