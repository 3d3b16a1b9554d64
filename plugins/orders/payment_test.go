package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHost(t *testing.T) {
	for url, want := range map[string]string{
		"https://bank.example/pay":    "bank.example",
		"http://127.0.0.1:8080":       "127.0.0.1:8080",
		"http://[::1]:8080?x":         "[::1]:8080",
		"https://bank.example#x":      "bank.example",
		"https://ann:pw@bank.example": "",
		"ftp://bank.example":          "",
		"bank.example":                "",
		"https:///pay":                "",
		"":                            "",
	} {
		require.Equal(t, want, host(url), url)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		config Config
		fault  string // "" = none
	}{
		{Config{"", 30}, ""},
		{Config{"http://bank", 1}, ""},
		{Config{"http://bank", 86400}, ""},
		{Config{"bank", 30}, "payment_url"},
		{Config{"", 0}, "payment_seconds"},
		{Config{"", 86401}, "payment_seconds"},
	} {
		err := c.config.Validate()
		if c.fault == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.fault)
	}
}

// Whatever the text, a reader of JSON gets it as it was.
func TestQuote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\x00-\x7f]*`)).Draw(t, "s")
		var got string
		require.NoError(t, json.Unmarshal([]byte(quote(s)), &got), quote(s))
		require.Equal(t, s, got)
	})
	var got string
	require.NoError(t, json.Unmarshal([]byte(quote("a\xffb")), &got))
	require.Equal(t, "a\ufffdb", got)
}
