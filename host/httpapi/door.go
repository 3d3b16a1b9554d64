package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/crhost/crhost/abi"
)

// door refuses requests that a browser makes for another site: a foreign Host header (DNS rebinding) always, a foreign Origin wherever the
// request may change something or opens a WebSocket, which no same-origin policy guards.
func (a *api) door(r *http.Request) error {
	if !a.ours(hostOf(r.Host)) {
		return refusal(abi.CodeForeignOrigin, "the Host header names "+quoteShort(r.Host)+", which is not this host")
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if safe && r.Header.Get("Upgrade") == "" {
		return nil
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !a.ours(u.Hostname()) {
			return refusal(abi.CodeForeignOrigin, "the request comes from "+quoteShort(origin)+", another site")
		}
	}
	return nil
}

// ours reports whether a host name without its port is a loopback address or Config.Hostname.
func (a *api) ours(name string) bool {
	if name == "" {
		return false
	}
	return IsLoopback(name) || a.cfg.Hostname != "" && strings.EqualFold(name, a.cfg.Hostname)
}

// IsLoopback reports whether name, a host name or address without a port, can only mean this machine: localhost or a loopback address.
// No name is looked up.
func IsLoopback(name string) bool {
	if strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}

// hostOf is a Host header without its port and brackets.
func hostOf(header string) string {
	if name, _, err := net.SplitHostPort(header); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
}

func quoteShort(s string) string {
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	return `"` + s + `"`
}
