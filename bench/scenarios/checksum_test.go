package scenarios

import (
	"maps"
	"testing"
)

// TestUDPChecksums has every setting of the three keys, in both directions.
func TestUDPChecksums(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	wires := []*wire{
		{name: "off4", udp: true},
		{name: "on4", udp: true, more: "udp_checksum = true"},
		{name: "on6", udp: true, six: true},
		{name: "off6", udp: true, six: true, more: "udp6_checksum_tx = false"},
		{name: "zero6", udp: true, six: true, more: "udp6_zero_checksum_rx = true"},
	}
	for n, x := range wires {
		x.sid, x.vlan, x.pwVLAN = [2]uint32{uint32(10 + n), uint32(20 + n)}, vlanOf(n), none
		x.port = [2]uint16{1701, uint16(1710 + n)}
	}
	w.start(t, 0, config(0, wires...))
	for _, c := range []struct {
		n     int
		zero  string // drop reason of packets without a checksum
		sends bool   // packets that leave have one
	}{
		{n: 0}, {n: 1, sends: true}, {n: 2, sends: true, zero: "udp_zero_checksum"}, {n: 3, zero: "udp_zero_checksum"}, {n: 4, sends: true},
	} {
		x := wires[c.n]
		t.Run(x.name, func(t *testing.T) {
			for _, s := range []struct {
				name string
				sum  checksum
				drop string
			}{{"right", sumRight, ""}, {"wrong", sumWrong, "udp_checksum"}, {"zero", sumZero, c.zero}} {
				// Odd and even lengths.
				for _, inner := range [][]byte{bare(), append(bare(), 0x5a)} {
					p := x.to(inner)
					p.sum = s.sum
					delivered, drops, gained, _ := w.verdict(t, x, p, 2)
					want, packets := map[string]uint64{}, 2
					if s.drop != "" {
						want[s.drop], packets = 2, 0
					}
					if delivered != packets || gained.RxPackets != uint64(packets) || !maps.Equal(drops, want) {
						t.Errorf("%s: delivered %d, rx_packets +%d, drops %v, want %d and %v", s.name, delivered, gained.RxPackets, drops, packets, want)
					}
				}
			}
			capture, err := w.hosts[1].Capture("core0")
			must(t, err)
			defer capture.Close()
			must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(uint16(100+c.n))...)))
			got := received(capture, 1)
			if len(got) != 1 {
				t.Fatalf("%d packets left, want 1", len(got))
			}
			l3 := 14 + 20
			addrs := got[0][14+12 : 14+20]
			if x.six {
				l3, addrs = 14+40, got[0][14+8:14+40]
			}
			udp := got[0][l3:]
			present := udp[6] != 0 || udp[7] != 0
			if present != c.sends {
				t.Errorf("UDP checksum present: %v, want %v", present, c.sends)
			}
			if pseudo := append(append([]byte{}, addrs...), 0, 17, udp[4], udp[5]); present && onesSum(append(pseudo, udp...)) != 0 {
				t.Errorf("the UDP checksum is wrong in %x", got[0])
			}
		})
	}
}

// TestCookieRollover accepts two cookies and tells which of them still comes.
func TestCookieRollover(t *testing.T) {
	w := pair(t, shape{})
	text := corePort + accessPort
	x := &wire{name: "x", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: [2]string{"none", "none"}}
	text += x.toml(0) + "rx_cookie = [\"0102030405060708\", \"1112131415161718\"]\n"
	box := w.start(t, 0, text)
	send := func(cookie string, times int) (int, map[string]uint64) {
		p := x.to(bare())
		p.cookie = cookie
		delivered, drops, _, _ := w.verdict(t, x, p, times)
		return delivered, drops
	}
	if n, drops := send("0102030405060708", 5); n != 5 || len(drops) != 0 {
		t.Errorf("first cookie: delivered %d of 5, drops %v", n, drops)
	}
	if n, drops := send("1112131415161718", 3); n != 3 || len(drops) != 0 {
		t.Errorf("second cookie: delivered %d of 3, drops %v", n, drops)
	}
	// Halves of the two do not make a third.
	if n, drops := send("0102030415161718", 2); n != 0 || drops["cookie_mismatch"] != 2 {
		t.Errorf("a mix of both: delivered %d, drops %v", n, drops)
	}
	s := sessionOf(t, box, x.session())
	if len(s.CookieFrames) != 2 || s.CookieFrames[0] != 5 || s.CookieFrames[1] != 3 || s.RxCookieDiscards != 2 || s.RxPackets != 8 {
		t.Errorf("frames for each cookie: %v, discards %d, rx_packets %d", s.CookieFrames, s.RxCookieDiscards, s.RxPackets)
	}
}
