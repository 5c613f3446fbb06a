package pathmtu

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"xwire/l2tp"
)

// wire reads lines of hexadecimal digits with comments.
func wire(t testing.TB, lines ...string) []byte {
	t.Helper()
	var s strings.Builder
	for _, l := range lines {
		l, _, _ = strings.Cut(l, "//")
		s.WriteString(strings.Join(strings.Fields(l), ""))
	}
	b, err := hex.DecodeString(s.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sum puts an ICMP checksum right; over IPv4 behind a header of 20 bytes.
func sum(b []byte) []byte {
	icmp := b[l2tp.IPv4Len:]
	binary.BigEndian.PutUint16(icmp[2:], 0)
	binary.BigEndian.PutUint16(icmp[2:], ^l2tp.Sum(0, icmp))
	return b
}

func fragNeeded(t testing.TB) []byte {
	return sum(wire(t,
		"45 00 0038 0000 0000 40 01 0000", "c6 33 64 fe", "c0 00 02 01", // from 198.51.100.254
		"03 04 0000 0000 0514",                                          // fragmentation needed, 1300
		"45 00 05dc 1234 4000 3f 73 0000", "c0 00 02 01", "c6 33 64 07", // 1500 bytes to 198.51.100.7
		"000000c8 01020304", // session id, half a cookie
	))
}

func tooBig6(t testing.TB) []byte {
	return wire(t,
		"02 00 0000 00000514", // packet too big, 1300
		"60000000 059c 11 3f",
		"2001 0db8 0000 0000 0000 0000 0000 0001", "2001 0db8 0001 0000 0000 0000 0000 0002",
		"06a5 06a6 059c 0000", "00030000 000000c8", // UDP 1701 to 1702, session id
	)
}

func TestReports(t *testing.T) {
	edit := func(b []byte, at int, with ...byte) []byte {
		b = slices.Clone(b)
		copy(b[at:], with)
		if b[0]>>4 == 4 {
			sum(b)
		}
		return b
	}
	b4, b6 := fragNeeded(t), tooBig6(t)
	fragment := slices.Concat(b6[:8+6], []byte{44}, b6[8+7:48], []byte{17, 0, 0, 1, 0, 0, 0, 9}, b6[48:])
	for _, tt := range []struct {
		name  string
		b     []byte
		mtu   int // 0: no report
		local string
		peer  string
	}{
		{"IPv4", b4, 1300, "192.0.2.1:0", "198.51.100.7:0"},
		{"IPv4, below the least", edit(b4, 26, 0, 68), 552, "192.0.2.1:0", "198.51.100.7:0"},
		{"IPv4, a router that tells none", edit(b4, 26, 0, 0), 1492, "192.0.2.1:0", "198.51.100.7:0"},
		{"IPv4, none and a small packet", edit(edit(b4, 26, 0, 0), 30, 2, 0), 552, "192.0.2.1:0", "198.51.100.7:0"},
		{"IPv4, another code", edit(b4, 21, 3), 0, "", ""},
		{"IPv4, wrong checksum", append(b4[:len(b4)-1:len(b4)-1], 99), 0, "", ""},
		{"IPv4, a later fragment", edit(b4, 34, 0, 1), 0, "", ""},
		{"IPv4, TCP", edit(b4, 37, 6), 0, "", ""},
		{"IPv4, cut", b4[:40], 0, "", ""},
		{"IPv6 UDP", b6, 1300, "[2001:db8::1]:1701", "[2001:db8:1::2]:1702"},
		{"IPv6, below the least", edit(b6, 6, 4, 0), 1280, "[2001:db8::1]:1701", "[2001:db8:1::2]:1702"},
		{"IPv6, far too large", edit(b6, 4, 0xff), 65535, "[2001:db8::1]:1701", "[2001:db8:1::2]:1702"},
		{"IPv6, first fragment", fragment, 1300, "[2001:db8::1]:1701", "[2001:db8:1::2]:1702"},
		{"IPv6, later fragment", edit(fragment, 50, 1), 0, "", ""},
		{"IPv6, time exceeded", edit(b6, 0, 3), 0, "", ""},
		{"IPv6, UDP cut", b6[:50], 0, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parse := parse4
			if tt.b[0]>>4 != 4 {
				parse = parse6
			}
			r, ok := parse(tt.b)
			if ok != (tt.mtu != 0) {
				t.Fatalf("%+v, %v", r, ok)
			}
			if ok && (r.MTU != tt.mtu || r.Local != netip.MustParseAddrPort(tt.local) || r.Peer != netip.MustParseAddrPort(tt.peer) || len(r.Message) != 8) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func FuzzReport(f *testing.F) {
	f.Add(fragNeeded(f), false)
	f.Add(tooBig6(f), true)
	f.Fuzz(func(t *testing.T, b []byte, ip6 bool) {
		parse := parse4
		if ip6 {
			parse = parse6
		}
		r, ok := parse(b)
		if ok && (r.MTU < leastIP4 || r.MTU > 65535 || r.Local.Addr().Is6() != ip6 || len(r.Message) > len(b)) {
			t.Errorf("%+v", r)
		}
	})
}
