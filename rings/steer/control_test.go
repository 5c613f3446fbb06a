package steer

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"
)

// hear adds control connection 9 of L2TPv3 and tunnel 9 of L2TPv2.
func (b bench) hear(t testing.TB) (list []Control) {
	t.Helper()
	l := Local{Addr: tunnelAddr, Encap: EncapUDP, Port: 1701}
	list = []Control{{l, 3, 9}, {l, 2, 9}}
	for _, c := range list {
		if err := b.s.AddControl(c); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func hello(version, high, low byte) []byte {
	return []byte{0xc8, version, 0, 20, 0, high, 0, low, 0, 1, 0, 2, 0x80, 8, 0, 0, 0, 0, 0, 6}
}

func TestControlIsHeard(t *testing.T) {
	b := newBench(t)
	b.core(t)
	b.devices(t, Stack{{0x8100, 7}})
	list := b.hear(t)
	v3, v2 := hello(3, 0, 9), hello(2, 9, 0)
	in := func(payload []byte, tags ...[]byte) []byte {
		return join(ether(ownMAC, tags...), typeIPv4, ipv4(17, 1, nil), udp(1701, payload))
	}
	heard := []verdict{
		{"L2TPv3", in(v3), xdpDrop, isHeard},
		{"L2TPv3 in a VLAN", in(v3, tag(0x8100, 7)), xdpDrop, isHeard},
		{"L2TPv2", in(v2), xdpDrop, isHeard},
		{"L2TPv2 of a session", in(hello(2, 9, 5)), xdpDrop, isHeard},
		{"the longest", in(padded(v3, 1500-28)), xdpDrop, isHeard},
	}
	b.verdicts(t, heard)
	for _, c := range heard {
		got, err := b.s.ReadControl()
		if want := c.frame[bytes.Index(c.frame, typeIPv4)+2:]; err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: read %x, %v, want %x", c.name, got, err, want)
		}
	}
	left := []verdict{
		{"another tunnel", in(hello(3, 0, 8)), xdpPass, isControl},
		{"no tunnel", in(hello(3, 0, 0)), xdpPass, isControl},
		{"L2TPv2, another tunnel", in(hello(2, 8, 9)), xdpPass, isControl},
		{"cut", in(v3[:7]), xdpPass, isControl},
		{"version 0", in(hello(0, 0, 9)), xdpPass, isControl},
		{"too long", in(padded(v3, 1501-28)), xdpPass, isControl},
		{"in a VLAN without a device", in(v3, tag(0x8100, 8)), xdpPass, isControl},
		{"to another station's MAC", join(ether(otherMAC), typeIPv4, ipv4(17, 1, nil), udp(1701, v3)), xdpPass, isControl},
		{"over IPv6", join(ether(ownMAC), typeIPv6, ipv6(17, 1), udp(1701, v3)), xdpPass, isControl},
		{"to another port", join(ether(ownMAC), typeIPv4, ipv4(17, 1, nil), udp(1702, v3)), xdpPass, isOther},
		{"a fragment", join(ether(ownMAC), typeIPv4, ipv4(17, 1, func(h []byte) { h[6] = 0x20 }), udp(1701, v3)), xdpPass, isFragment},
	}
	b.verdicts(t, left)
	for range 2 { // counted
		if err := b.s.AddControl(list[0]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		if want := (verdict{"added", in(v3), xdpDrop, isHeard}); i < 3 {
			b.verdicts(t, []verdict{want})
		} else {
			b.verdicts(t, []verdict{{"removed", in(v3), xdpPass, isControl}})
		}
		if err := b.s.RemoveControl(list[0]); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, err := b.s.ReadControl(); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := b.s.ReadControl()
		done <- err
	}()
	if err := b.s.StopControl(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("ReadControl = %v after StopControl", err)
	}
}

func padded(b []byte, size int) []byte { return join(b, make([]byte, size-len(b))) }

// Messages that nobody reads are the kernel's in the end, and cost nothing else.
func TestRingIsFull(t *testing.T) {
	b := newBench(t)
	b.core(t)
	b.hear(t)
	for range 2000 {
		if _, err := b.p.objs.XwireSteer.Run(&ebpf.RunOptions{Data: overUDP(hello(3, 0, 9))}); err != nil {
			t.Fatal(err)
		}
	}
	s := b.stats(t)
	if s.Heard < 100 || s.Control < 100 || s.Heard+s.Control != 2000 {
		t.Errorf("heard %d, to the kernel %d, want 2000 in all", s.Heard, s.Control)
	}
}

func TestControlRefused(t *testing.T) {
	udp := Local{Addr: tunnelAddr, Encap: EncapUDP, Port: 1701}
	for _, c := range []Control{
		{Local{Addr: tunnelAddr, Encap: EncapIP}, 3, 1}, {udp, 2, 65536}, {udp, 4, 1}, {Local{Addr: netip.Addr{}, Encap: EncapUDP, Port: 1}, 3, 1},
	} {
		if _, err := c.key(); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}
