package httpcall

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/effects/retry"
)

func packed(t require.TestingT, v any) []byte {
	b, err := msgpack.Marshal(v)
	require.NoError(t, err)
	return b
}

func TestReadArguments(t *testing.T) {
	type args = map[string]any
	for name, c := range map[string]struct {
		args  any
		host  string
		fault string // "" = none
	}{
		"least":              {args{"url": "https://example.com/x"}, "example.com", ""},
		"case and port":      {args{"url": "HTTPS://Example.COM:443/x"}, "example.com", ""},
		"the target's port":  {args{"url": "http://example.com"}, "EXAMPLE.com:80", ""},
		"empty port":         {args{"url": "http://example.com:/"}, "example.com", ""},
		"IPv6":               {args{"url": "http://[2001:db8::1]:8080/"}, "[2001:db8::1]:8080", ""},
		"all there is":       {args{"method": "PATCH", "url": "http://a", "headers": args{"a": "b", "c": []string{}}, "body": []byte{1}, "timeout": uint(1), "max_bytes": MaxBody}, "a", ""},
		"no map":             {1, "a", "want a map"},
		"no url":             {args{}, "a", "scheme"},
		"unknown":            {args{"url": "http://a", "metod": "GET"}, "a", `unknown argument "metod"`},
		"method":             {args{"url": "http://a", "method": "get"}, "a", `method "get"`},
		"CONNECT":            {args{"url": "http://a", "method": "CONNECT"}, "a", "method"},
		"scheme":             {args{"url": "ftp://a"}, "a", `scheme is "ftp"`},
		"relative":           {args{"url": "//a/b"}, "a", "scheme"},
		"opaque":             {args{"url": "http:a"}, "a", "host is not one"},
		"user":               {args{"url": "http://u:p@a"}, "a", "has a user"},
		"another host":       {args{"url": "http://b"}, "a", "the url's host is b, the target's is a"},
		"another port":       {args{"url": "http://a:8080"}, "a", "the url's host is a:8080, the target's is a"},
		"the other's port":   {args{"url": "https://a:80"}, "a", "the url's host is a:80"},
		"subdomain":          {args{"url": "http://x.a"}, "a", "the url's host"},
		"empty host":         {args{"url": "http:///x"}, "", "host is not one"},
		"only a port":        {args{"url": "http://:80"}, "", "host is not one"},
		"other script":       {args{"url": "http://ä"}, "ä", "host is not one"},
		"wide digits":        {args{"url": "http://１２７.0.0.1"}, "127.0.0.1", "host is not one"},
		"zone":               {args{"url": "http://[fe80::1%25eth0]"}, "[fe80::1%25eth0]", "host is not one"},
		"long host":          {args{"url": "http://" + strings.Repeat("a", 300)}, strings.Repeat("a", 300), "host is not one"},
		"url with a newline": {args{"url": "http://a/\n"}, "a", "the url cannot be parsed"},
		"bad escape":         {args{"url": "http://a/%zz"}, "a", "the url cannot be parsed"},
		"header name":        {args{"url": "http://a", "headers": args{"a b": "c"}}, "a", `"a b" is not the name of a header`},
		"header value":       {args{"url": "http://a", "headers": args{"a": "b\r\nc: d"}}, "a", "header A has control"},
		"number in a header": {args{"url": "http://a", "headers": args{"a": 1}}, "a", "want a str"},
		"host header":        {args{"url": "http://a", "headers": args{"HOST": "b"}}, "a", "header Host is the host's"},
		"key header":         {args{"url": "http://a", "headers": args{"idempotency-key": "b"}}, "a", "header Idempotency-Key is the host's"},
		"trace header":       {args{"url": "http://a", "headers": args{"traceparent": "b"}}, "a", "header Traceparent is the host's"},
		"framing header":     {args{"url": "http://a", "headers": args{"transfer-encoding": "chunked"}}, "a", "header Transfer-Encoding is the host's"},
		"proxy header":       {args{"url": "http://a", "headers": args{"proxy-authorization": "b"}}, "a", "header Proxy-Authorization is the host's"},
		"body":               {args{"url": "http://a", "body": args{}}, "a", "want a bin"},
		"timeout":            {args{"url": "http://a", "timeout": 0}, "a", "the timeout is not positive"},
		"cap":                {args{"url": "http://a", "max_bytes": MaxBody + 1}, "a", "want at most"},
		"negative cap":       {args{"url": "http://a", "max_bytes": -1}, "a", "not negative"},
	} {
		a, err := readArguments(packed(t, c.args), c.host)
		if c.fault != "" {
			require.ErrorContains(t, err, c.fault, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, hostOf(a.url), canonicalHost(c.host, a.url.Scheme), name)
	}
}

func FuzzArguments(f *testing.F) {
	f.Add(packed(f, map[string]any{"url": "https://example.com/x", "headers": map[string]any{"a": []string{"b"}}, "body": "x"}), "example.com")
	f.Add(packed(f, map[string]any{"url": "http://[::1]:80"}), "[::1]")
	f.Add(packed(f, map[string]any{"url": "http://user@a"}), "a")
	f.Fuzz(func(t *testing.T, b []byte, host string) {
		a, err := readArguments(b, host)
		if err != nil {
			return
		}
		require.Contains(t, methods, a.method)
		require.Nil(t, a.url.User)
		require.Equal(t, canonicalHost(host, a.url.Scheme), hostOf(a.url))
		require.LessOrEqual(t, a.max, int64(MaxBody))
		again, err := readURL(a.url.String(), host)
		require.NoError(t, err, "what is requested is what was checked")
		require.Equal(t, a.url.Host, again.Host)
		for _, name := range reserved {
			require.NotContains(t, a.headers, name)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, "17": 17 * time.Second, " 17\t": 17 * time.Second, "007": 7 * time.Second, "3600": time.Hour, "3601": retry.MaxAfter,
		"99999999999999999999999999":    retry.MaxAfter,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Friday, 02-Jan-26 03:05:05 GMT": time.Minute, "Fri Jan  2 03:05:05 2026": time.Minute,
		"Fri, 02 Jan 2026 03:04:04 GMT": 0, "Fri, 02 Jan 9999 03:04:04 GMT": retry.MaxAfter,
	} {
		d, ok := retryAfter(value, now)
		require.True(t, ok, value)
		require.Equal(t, want, d, value)
	}
	for _, value := range []string{"", " ", "-1", "1.5", "soon", "1 2", "2026-01-02T03:04:05Z", "１"} {
		_, ok := retryAfter(value, now)
		require.False(t, ok, value)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 02 Jan 2026 03:05:05 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		d, ok := retryAfter(value, time.Unix(1_700_000_000, 0))
		require.True(t, d >= 0 && d <= retry.MaxAfter)
		require.True(t, ok || d == 0)
	})
}

func TestPublic(t *testing.T) {
	for _, a := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:4860:4860::8888",
	} {
		require.True(t, public(netip.MustParseAddr(a)), a)
	}
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0",
		"172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.0", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1",
		"2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fdff::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "4000::1", "::ffff:0:7f00:1",
	} {
		require.False(t, public(netip.MustParseAddr(a)), a)
	}
	require.False(t, public(netip.Addr{}))
	require.ErrorIs(t, control("tcp", "pipe", nil), errRefused)
	require.ErrorIs(t, control("tcp4", "127.0.0.1:80", nil), errRefused)
	require.ErrorIs(t, control("tcp6", "[fe80::1%eth0]:80", nil), errRefused)
	require.NoError(t, control("tcp4", "1.1.1.1:80", nil))
}
