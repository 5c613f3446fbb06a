package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// endpoint is an address as a tunnel names it; hasPort tells ":0" from no port.
type endpoint struct {
	netip.AddrPort
	hasPort bool
}

func parseEndpoint(s string) (endpoint, error) {
	var ep endpoint
	if ap, err := netip.ParseAddrPort(s); err == nil {
		ep = endpoint{ap, true}
	} else {
		host := s
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			host = s[1 : len(s)-1]
		}
		a, err := netip.ParseAddr(host)
		if err != nil {
			return ep, fmt.Errorf("%q is not an IP address; write 192.0.2.1, 192.0.2.1:1701, 2001:db8::1 or [2001:db8::1]:1701 (host names are not looked up)", s)
		}
		ep = endpoint{netip.AddrPortFrom(a, 0), false}
	}
	return ep, checkAddress(ep.Addr())
}

// checkAddress refuses what no tunnel can end on.
func checkAddress(a netip.Addr) error {
	switch {
	case a.Is4In6():
		return fmt.Errorf("%s is an IPv4 address in IPv6 form; write %s", a, a.Unmap())
	case a.Zone() != "":
		return fmt.Errorf("%s has a zone; use a global or unique local address", a)
	case a.IsUnspecified():
		return fmt.Errorf("%s names no host; write the address itself", a)
	case a.IsMulticast():
		return fmt.Errorf("%s is a multicast address; use a unicast address", a)
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s is the broadcast address; use a unicast address", a)
	case a.Is6() && a.IsLinkLocalUnicast():
		return fmt.Errorf("%s is a link-local address; use a global or unique local address", a)
	}
	return nil
}
