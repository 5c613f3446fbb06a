package pw

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"xwire/l2tp"
)

var keyed6 = with(ip6, func(s *TunnelSpec) { s.Keyed = true })

// keyedSession is as RFC 8159 section 3 has it, in the middle of changing the cookie that we accept.
func keyedSession(t testing.TB) SessionSpec {
	return SessionSpec{
		PSID: 0xffffffff, Type: l2tp.PWEth, AC: Attachment{Port: 1},
		TxCookie:      cookie(t, "0102030405060708"),
		RxCookies:     [2]l2tp.Cookie{cookie(t, "1112131415161718"), cookie(t, "2122232425262728")},
		RxCookieCount: 2,
	}
}

// newKeyedBox has a keyed tunnel whose session ends at port 1, and between the same addresses a session
// 7 that ends at port 2.
func newKeyedBox(t testing.TB, workers int) (*Table, SessionID) {
	table := NewTable(workers)
	table.SetPort(0, PortSpec{Core: true})
	hop := table.AddNextHop(NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}})
	add := func(tun TunnelSpec, s SessionSpec) SessionID {
		s.Tunnel = must(table.AddTunnel(tun))(t)
		table.SetTunnelNextHop(s.Tunnel, hop)
		return must(table.AddSession(s))(t)
	}
	add(ip6, SessionSpec{SID: 7, PSID: 7, Type: l2tp.PWEth, AC: Attachment{Port: 2}})
	return table, add(keyed6, keyedSession(t))
}

// keyedPacket is what the peer of ip6 and keyed6 sends.
func keyedPacket(t testing.TB, sid, rest string) []byte {
	p := wire(t, "02 00 00 00 00 01", "02 00 00 00 00 02", "86dd", "6000 0000", "0000 73 40",
		"2001 0db8 0001 0000 0000 0000 0000 0002", "2001 0db8 0000 0000 0000 0000 0000 0001", sid, rest)
	binary.BigEndian.PutUint16(p[18:], uint16(len(p)-54))
	return p
}

func TestKeyed(t *testing.T) {
	const inner = "020000000a0b 020000000a0a 0800 4500001600000000"
	for _, tt := range []struct {
		name, sid, rest string
		out             uint16
		drop            Drop
	}{
		{"the id that RFC 8159 recommends", "ffffffff", "1112131415161718" + inner, 1, 0},
		{"another id", "00000001", "1112131415161718" + inner, 1, 0},
		{"the second cookie", "00000001", "2122232425262728" + inner, 1, 0},
		{"id of a session between the same addresses", "00000007", inner, 2, 0},
		{"id 0", "00000000", "1112131415161718" + inner, NoPort, DropControl},
		{"a third cookie", "ffffffff", "3132333435363738" + inner, NoPort, DropCookieMismatch},
		{"no room for the cookie", "ffffffff", "11121314151617", NoPort, DropShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, id := newKeyedBox(t, 1)
			r := newRig(t, table)
			p := keyedPacket(t, tt.sid, tt.rest)
			for round := range 3 { // alone, then as a row
				in := slices.Repeat([]Frame{{}}, 1+4*round)
				for i := range in {
					in[i] = r.put(i, 0, 256, p)
				}
				before := table.PortDrops(0)
				for _, o := range table.Forwarder(0).Process(r.mem, in, 1, r.out[:0]) {
					if o.Out != tt.out {
						t.Fatalf("round %d: out of port %d, want %d; dropped %v", round, o.Out, tt.out, dropsAt(table, 0))
					}
				}
				after := table.PortDrops(0)
				if tt.out == NoPort && after[tt.drop] != before[tt.drop]+uint64(len(in)) {
					t.Fatalf("dropped %v, want %v", dropsAt(table, 0), tt.drop)
				}
			}
			if c := table.SessionCounters(id); (tt.out == 1) != (c.RxPackets == 15) {
				t.Errorf("counted %+v", c)
			}
			assertNoAllocs(t, r, 0, 256, p)
		})
	}
}

func TestKeyedSends(t *testing.T) {
	table, _ := newKeyedBox(t, 1)
	r := newRig(t, table)
	out, got := r.one(1, customer(0x0800))
	if want := "ffffffff0102030405060708"; out != 0 || fmt.Sprintf("%x", got[54:66]) != want {
		t.Errorf("out of port %d: %x, want %s behind the IPv6 header", out, got, want)
	}
}

// Frames of a keyed session are one worker's whatever their ids, or they would overtake each other.
func TestKeyedSpread(t *testing.T) {
	const workers = 16
	table, _ := newKeyedBox(t, workers)
	r := newRig(t, table)
	var in []Frame
	for i := range uint32(100) {
		in = append(in, r.put(int(i), 0, 256, keyedPacket(t, fmt.Sprintf("%08x", 1000+i), "1112131415161718")))
	}
	to := make([]uint8, len(in))
	table.Forwarder(3).Spread(r.mem, in, workers, to)
	if to[0] >= workers || len(slices.Compact(slices.Clone(to))) != 1 {
		t.Errorf("went to workers %v, want one of %d", to, workers)
	}
}

func TestKeyedRefused(t *testing.T) {
	change := func(f func(*SessionSpec)) SessionSpec { s := keyedSession(t); f(&s); return s }
	for _, tt := range []struct {
		name    string
		tunnel  TunnelSpec
		session SessionSpec
	}{
		{"over IPv4", with(ip4, func(s *TunnelSpec) { s.Keyed = true }), keyedSession(t)},
		{"over UDP", with(udp6, func(s *TunnelSpec) { s.Keyed = true }), keyedSession(t)},
		{"with a session id", keyed6, change(func(s *SessionSpec) { s.SID = 1 })},
		{"without a cookie to send", keyed6, change(func(s *SessionSpec) { s.TxCookie = l2tp.Cookie{} })},
		{"without a cookie to accept", keyed6, change(func(s *SessionSpec) { s.RxCookieCount = 0 })},
		{"with short cookies", keyed6, change(func(s *SessionSpec) { s.RxCookies[0], s.RxCookieCount = cookie(t, "01020304"), 1 })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := NewTable(1)
			var err error
			if tt.session.Tunnel, err = table.AddTunnel(tt.tunnel); err == nil {
				_, err = table.AddSession(tt.session)
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
	table, id := newKeyedBox(t, 1)
	s, _ := table.Session(id)
	if _, err := table.AddSession(s); err == nil {
		t.Error("a second session in a keyed tunnel: no error")
	}
	if err := table.SetTunnel(s.Tunnel, ip6); err == nil {
		t.Error("a keyed tunnel with a session becomes an ordinary one: no error")
	}
	if tun, _, _ := table.Tunnel(s.Tunnel); !tun.Keyed {
		t.Errorf("tunnel reads as %+v, want it keyed", tun)
	}
}
