package httpcall

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// errRefused is in the error about an address that only a grant can reach.
var errRefused = errors.New("the address is not public")

// control is a net.Dialer.Control that refuses addresses which are not public. It sees what name resolution came to, right before the connection is made, so
// that there is no second look-up in between which could answer otherwise.
func control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q", errRefused, address)
	}
	if !public(at.Addr()) {
		return errRefused
	}
	return nil
}

// reserved4 and reserved6 are what the registries of special addresses (RFC 6890) keep from the public, beyond what netip knows: "this" network,
// shared (CGNAT), protocol assignments, documentation, 6to4 relays, benchmarks, future use and broadcast.
var reserved4 = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
)

// All but 2000::/3 is reserved, multicast, local or not assigned: Teredo, benchmarks, ORCHID and the like, documentation, 6to4.
var (
	unicast6  = netip.MustParsePrefix("2000::/3")
	reserved6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(list ...string) []netip.Prefix {
	p := make([]netip.Prefix, len(list))
	for i, s := range list {
		p[i] = netip.MustParsePrefix(s)
	}
	return p
}

// public reports whether an address is one of the public internet. IPv4 inside of IPv6 counts as what it is.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	special := reserved4
	if a.Is6() {
		if special = reserved6; !unicast6.Contains(a) {
			return false
		}
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
