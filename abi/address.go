package abi

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Defaults of the parts of an address that may be left out.
const (
	DefaultTenant = "default"
	DefaultKey    = "main"
)

// MaxKeyBytes is the length of the longest key.
const MaxKeyBytes = 256

// ErrBadAddress is in every error about an address that cannot be one. It does not say that nothing lives there.
var ErrBadAddress = errors.New("bad address")

// Address names a store.
type Address struct{ Tenant, Module, Key string }

// ParseAddress reads module, module/key or tenant/module/key. A key with a / in it needs all three parts.
// Errors are ErrBadAddress with what is wrong.
func ParseAddress(s string) (Address, error) {
	a := Address{Tenant: DefaultTenant, Module: s, Key: DefaultKey}
	switch parts := strings.SplitN(s, "/", 3); len(parts) {
	case 2:
		a.Module, a.Key = parts[0], parts[1]
	case 3:
		a.Tenant, a.Module, a.Key = parts[0], parts[1], parts[2]
	}
	return a, a.Validate()
}

// String is the address in full.
func (a Address) String() string { return a.Tenant + "/" + a.Module + "/" + a.Key }

// Validate checks the three parts.
func (a Address) Validate() error {
	if err := ValidateName("tenant", a.Tenant); err != nil {
		return err
	}
	if err := ValidateName("module", a.Module); err != nil {
		return err
	}
	return ValidateKey(a.Key)
}

// ValidateName checks the name of a tenant or module, [a-z0-9][a-z0-9-]{0,62}; what says which.
func ValidateName(what, s string) error {
	ok := len(s) >= 1 && len(s) <= 63 && s[0] != '-'
	for i := 0; i < len(s) && ok; i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if !ok {
		return badAddress("%s %q is not 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit", what, clip(s, 80))
	}
	return nil
}

// ValidateKey checks a store key: 1 to 256 bytes of text without control characters.
func ValidateKey(s string) error {
	if len(s) == 0 || len(s) > MaxKeyBytes {
		return badAddress("a key of %d bytes, want 1 to %d", len(s), MaxKeyBytes)
	}
	if fault := textFault(s); fault != "" {
		return badAddress("the key %q %s", s, fault)
	}
	return nil
}

// textFault says why s cannot be shown to people as it is; "" if it can.
func textFault(s string) string {
	for _, c := range s {
		if c < 0x20 || c >= 0x7f && c < 0xa0 {
			return "has a control character"
		}
	}
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	return ""
}

// addressError is an ErrBadAddress with what is wrong.
type addressError struct{ what string }

func (e *addressError) Error() string { return ErrBadAddress.Error() + ": " + e.what }
func (e *addressError) Unwrap() error { return ErrBadAddress }

func badAddress(f string, args ...any) error { return &addressError{format(f, args...)} }

// AddressError is the refusal of an address: err, from this file, says why.
func AddressError(err error) *Error {
	return &Error{Code: CodeBadAddress, Text: strings.TrimPrefix(err.Error(), ErrBadAddress.Error()+": "), Err: err}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
