package httpcall_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/crhost/crhost/effects/retry"
)

// Literal addresses, in every way that a resolver may take for one: refused without a grant, before anything is sent.
func TestAddress_literal(t *testing.T) {
	s := peer(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	c := granted()
	c.Private = func(store abi.Address, host string) bool {
		require.Equal(t, "acme", store.Tenant)
		return false
	}
	h := handler(t, c)
	port := hostOf(s)[strings.Index(hostOf(s), ":"):]
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254",
		"100.64.0.1", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "224.0.0.1", "255.255.255.255",
	} {
		e, err := failure(t, h, args{"url": "http://" + host + port})
		require.Equal(t, "target_refused", e.Code, "%s: %s", host, e.Message)
		require.True(t, retry.IsPermanent(err))
	}
}

// A connection of a tenant with the grant is not handed to one without.
func TestAddress_keptConnection(t *testing.T) {
	s := peer(t, func(http.ResponseWriter, *http.Request) {})
	h := handler(t, granted())
	for range 2 {
		do(t, h, args{"url": s.URL})
		r := request(t, args{"url": s.URL})
		r.Store.Tenant = "other"
		_, err := h.Do(t.Context(), r)
		require.ErrorContains(t, err, "target_refused")
	}
}

// resolver answers every question for an address with these.
func resolver(t *testing.T, answers ...string) *net.Resolver {
	serve := func(c net.Conn) { // as over TCP: each message behind its length
		defer c.Close()
		var size [2]byte
		for {
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			b := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(b); err != nil {
				t.Error(err)
				return
			}
			m.Response, m.Additionals = true, nil
			for _, a := range answers {
				addr := netip.MustParseAddr(a)
				head := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
				switch {
				case addr.Is4() && m.Questions[0].Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
				case addr.Is6() && m.Questions[0].Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
				}
			}
			b, err := m.Pack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
		}
	}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serve(server)
		return client, nil
	}}
}

// What a name stands for is checked, and not the name.
func TestAddress_dns(t *testing.T) {
	s := peer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	a := args{"url": "http://api.example.com:" + u.Port()}
	for _, answers := range [][]string{
		{"127.0.0.1"}, {"::1"}, {"10.1.2.3"}, {"169.254.169.254"}, {"::ffff:127.0.0.1"}, {"fd00::1"}, {"64:ff9b::a00:1"}, {"127.0.0.1", "10.0.0.1", "::1"},
	} {
		c := granted()
		c.Resolver = resolver(t, answers...)
		c.Private = nil
		e, err := failure(t, handler(t, c), a)
		require.Equal(t, "target_refused", e.Code, "%v: %s", answers, e.Message)
		require.True(t, retry.IsPermanent(err))
		require.NotContains(t, e.Message, answers[0])
	}
	c := granted()
	c.Resolver = resolver(t, "127.0.0.1")
	require.Equal(t, "api.example.com:"+u.Port(), string(do(t, handler(t, c), a).Body), "with the grant")
	c.Resolver = resolver(t)
	e, err := failure(t, handler(t, c), a)
	require.Equal(t, "connection", e.Code)
	require.False(t, retry.IsPermanent(err))
}
