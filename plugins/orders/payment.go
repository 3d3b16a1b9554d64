package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/crhost/crhost/sdk"
)

// What a payment can be. One that nobody has asked for is "".
const (
	paymentAsked    = "asked"
	paymentMade     = "made"
	paymentFailed   = "failed"   // nobody knows whether money has moved: the answer may have been lost
	paymentReturned = "returned" // the bank was told to refund whatever it has
)

// The ids of the effects that may end a payment: whichever does cancels the other.
const (
	payment = "payment"
	timeout = "payment_timeout"
)

// Config is what a revision may set.
type Config struct {
	PaymentURL     string `msgpack:"payment_url"`     // where payments are asked for; without it no order can be placed
	PaymentSeconds int64  `msgpack:"payment_seconds"` // how long one may take, all attempts together
}

// Validate refuses a config that no payment could be made with.
func (c *Config) Validate() error {
	if c.PaymentURL != "" && host(c.PaymentURL) == "" {
		return errors.New("payment_url is not of the form https://host/path")
	}
	if c.PaymentSeconds < 1 || c.PaymentSeconds > 86400 {
		return errors.New("payment_seconds is not between 1 and 86400")
	}
	return nil
}

// host is the host of an http or https URL, with its port if it has one; "" if there is none.
func host(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	if scheme != "http" && scheme != "https" {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if strings.Contains(rest, "@") {
		return "" // a password is a secret of the host's, and not for a config
	}
	return rest
}

// charge asks the bank for the order's total, and for a reminder in case that it does not answer.
func (s *State) charge(env *sdk.Env) sdk.Effects {
	patience := time.Duration(sdk.Config[Config](env).PaymentSeconds) * time.Second
	return sdk.Effects{
		s.ask("charge", env).ID(payment).OK("payment_ok").Err("payment_failed"),
		sdk.Delay(patience, "payment_timed_out", struct{}{}).ID(timeout),
	}
}

// refund asks the bank to give back what it has taken for the order, if anything. When it fails for good, it is a dead letter: what is left to do is an
// operator's.
func (s *State) refund(env *sdk.Env) sdk.Effects { return sdk.Effects{s.ask("refund", env)} }

// ask sends the bank a request about the order. The host adds an Idempotency-Key.
func (s *State) ask(do string, env *sdk.Env) sdk.Effect {
	url := sdk.Config[Config](env).PaymentURL
	return sdk.Call("http:"+host(url), request{
		Method:  "POST",
		URL:     url,
		Headers: map[string]string{"content-type": "application/json"},
		Body: `{"do":"` + do + `","order":` + quote(env.Store().Key) + `,"customer":` + quote(s.Customer) +
			`,"cents":` + strconv.FormatInt(s.Total, 10) + `}`,
	})
}

// request is the arguments of a call over http.
type request struct {
	Method  string            `msgpack:"method"`
	URL     string            `msgpack:"url"`
	Headers map[string]string `msgpack:"headers"`
	Body    string            `msgpack:"body"`
}

// quote is s as JSON. (Package encoding/json would be most of the module.)
func quote(s string) string {
	const hex = "0123456789abcdef"
	q := []byte{'"'}
	for _, r := range s { // what is not UTF-8 comes as U+FFFD
		switch {
		case r == '"' || r == '\\':
			q = append(q, '\\', byte(r))
		case r < 0x20:
			q = append(q, `\u00`...)
			q = append(q, hex[r>>4], hex[r&15])
		default:
			q = utf8.AppendRune(q, r)
		}
	}
	return string(append(q, '"'))
}
