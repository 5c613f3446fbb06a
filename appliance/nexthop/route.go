package nexthop

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// question is one RTM_GETROUTE.
type question struct {
	peer, local netip.Addr // local may be invalid
	oif         int        // a VRF device, or the zone of a link-local peer; 0: none
	configured  bool       // the route as it stands in its table, without what ICMP has taught
}

// route is the kernel's answer to a question.
type route struct {
	errno   unix.Errno // 0, or why there is none
	typ     uint8      // RTN_UNICAST, ...
	dev     int        // the device it leaves by
	gateway netip.Addr // invalid: the peer is on the link
	mtu     int        // of the route; 0: the device's
	expires bool       // something of it was learnt: from ICMP, or from router advertisements
}

func (q question) appendTo(b []byte) []byte {
	peer := q.peer.WithZone("")
	rt := make([]byte, sizeofRtMsg)
	rt[0] = family(peer)
	rt[1] = uint8(peer.BitLen())
	if q.local.IsValid() {
		rt[2] = uint8(q.local.BitLen())
	}
	flags := uint32(unix.RTM_F_LOOKUP_TABLE)
	if q.configured {
		flags |= unix.RTM_F_FIB_MATCH
	}
	native.PutUint32(rt[8:], flags)
	b = append(b, rt...)
	b = attr(b, unix.RTA_DST, peer.AsSlice())
	if q.local.IsValid() {
		b = attr(b, unix.RTA_SRC, q.local.WithZone("").AsSlice())
	}
	if q.oif != 0 {
		b = attrUint32(b, unix.RTA_OIF, uint32(q.oif))
	}
	return b
}

func parseRoute(body []byte, errno unix.Errno) route {
	if errno != 0 || len(body) < sizeofRtMsg {
		if errno == 0 {
			errno = unix.EBADMSG
		}
		return route{errno: errno}
	}
	r := route{typ: body[7]}
	attrs(body[sizeofRtMsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.RTA_OIF:
			r.dev = attrInt(v)
		case unix.RTA_GATEWAY:
			r.gateway = attrAddr(v)
		case unix.RTA_VIA: // struct rtvia: family, then an address of that family (an IPv6 gateway of an IPv4 route)
			if len(v) > 2 {
				r.gateway = attrAddr(v[2:])
			}
		case unix.RTA_CACHEINFO: // struct rta_cacheinfo
			r.expires = len(v) >= 12 && native.Uint32(v[8:]) != 0
		case unix.RTA_METRICS:
			attrs(v, func(typ uint16, v []byte) {
				if typ == unix.RTAX_MTU {
					r.mtu = attrInt(v)
				}
			})
		}
	})
	return r
}

// askRouteMTUs is askRoutes with the MTUs that routes were given. The kernel mixes in what ICMP has taught
// it, which it takes, for protocol 115, from anyone who names our peer, and it does not tell when that is
// over. Path MTUs are appliance/pathmtu's to learn, which compares what is quoted with what we send.
func askRouteMTUs(c *conn, qs []question) ([]route, error) {
	routes, err := askRoutes(c, qs)
	if err != nil {
		return nil, err
	}
	var again []question
	var places []int
	for i := range routes {
		if routes[i].expires && routes[i].mtu != 0 {
			q := qs[i]
			q.configured = true
			again, places = append(again, q), append(places, i)
		}
	}
	given, err := askRoutes(c, again)
	for i := range given {
		routes[places[i]].mtu = given[i].mtu
	}
	return routes, err
}

// askRoutes asks all questions; answers are in their order.
func askRoutes(c *conn, qs []question) ([]route, error) {
	out := make([]route, len(qs))
	for i := range out {
		out[i].errno = unix.EAGAIN
	}
	err := c.ask(unix.RTM_GETROUTE, 0, len(qs),
		func(b []byte, i int) []byte { return qs[i].appendTo(b) },
		func(i int, body []byte, errno unix.Errno) { out[i] = parseRoute(body, errno) })
	return out, err
}

// reject is a sentence part for the route types that carry nothing; empty for RTN_UNICAST.
func reject(typ uint8) string {
	switch typ {
	case unix.RTN_BLACKHOLE:
		return "is a blackhole"
	case unix.RTN_UNREACHABLE:
		return "is unreachable"
	case unix.RTN_PROHIBIT:
		return "is prohibited"
	case unix.RTN_THROW:
		return "is a throw route"
	}
	return ""
}

// routeChange reads what a route notification is about: the destination prefix and the type.
func routeChange(body []byte) (p netip.Prefix, typ uint8, ok bool) {
	if len(body) < sizeofRtMsg || body[0] != unix.AF_INET && body[0] != unix.AF_INET6 {
		return netip.Prefix{}, 0, false
	}
	dst := netip.IPv4Unspecified()
	if body[0] == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	attrs(body[sizeofRtMsg:], func(typ uint16, v []byte) {
		if a := attrAddr(v); typ == unix.RTA_DST && a.IsValid() {
			dst = a
		}
	})
	p, err := dst.Prefix(int(body[1]))
	return p, body[7], err == nil
}
