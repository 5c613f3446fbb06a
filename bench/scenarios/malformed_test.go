package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// resum makes an IPv4 frame's header checksum right again.
func resum(f []byte) {
	f[24], f[25] = 0, 0
	binary.BigEndian.PutUint16(f[24:], onesSum(f[14:34]))
}

// TestMalformed spoils the outer headers of right packets, byte by byte.
func TestMalformed(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	ip4 := &wire{name: "ip4", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none}
	udp4 := &wire{name: "udp4", udp: true, sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: none}
	ip6 := &wire{name: "ip6", six: true, sid: [2]uint32{12, 22}, vlan: vlanOf(2), pwVLAN: none}
	box := w.start(t, 0, config(0, ip4, udp4, ip6))
	dst, err := w.hosts[0].MAC("core0")
	must(t, err)
	src, err := w.hosts[1].MAC("core0")
	must(t, err)
	capture, err := w.sites[0].Capture("eth0")
	must(t, err)
	defer capture.Close()
	for _, c := range []struct {
		name  string
		wire  *wire
		spoil func([]byte) []byte
		drop  string // "": delivered
	}{
		{"as it is", ip4, func(f []byte) []byte { return f }, ""},
		{"another ToS and TTL", ip4, func(f []byte) []byte { f[15], f[22] = 0xb8, 1; resum(f); return f }, ""},
		{"don't fragment", ip4, func(f []byte) []byte { f[20] = 0x40; resum(f); return f }, ""},
		{"padding behind the packet", ip4, func(f []byte) []byte { return append(f, make([]byte, 18)...) }, ""},
		{"padding behind the packet, IPv6", ip6, func(f []byte) []byte { return append(f, make([]byte, 18)...) }, ""},
		{"padding behind UDP", udp4, func(f []byte) []byte {
			f = append(f, make([]byte, 4)...)
			binary.BigEndian.PutUint16(f[16:], uint16(len(f)-14))
			resum(f)
			return f
		}, ""},
		{"header checksum", ip4, func(f []byte) []byte { f[25] ^= 1; return f }, "ip_checksum"},
		{"cut off", ip4, func(f []byte) []byte { return f[:len(f)-1] }, "ip_length"},
		{"cut off, IPv6", ip6, func(f []byte) []byte { return f[:len(f)-1] }, "ip_length"},
		{"UDP longer than IP", udp4, func(f []byte) []byte { f[39]++; return f }, "udp_length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.wire.to(bare())
			p.sum = sumZero
			old, before := len(received(capture, 0)), portOf(t, box, "core0").Drops
			must(t, w.hosts[1].SendFrames("core0", c.spoil(p.frame(dst, src))))
			want, count := map[string]uint64{}, 1
			if c.drop != "" {
				want[c.drop], count = 1, 0
			}
			var drops map[string]uint64
			for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
				if drops = differences(before, portOf(t, box, "core0").Drops); maps.Equal(drops, want) {
					break
				}
			}
			got := received(capture, old+count)[old:]
			if len(got) != count || !maps.Equal(drops, want) {
				t.Fatalf("delivered %d, want %d; drops %v, want %v", len(got), count, drops, want)
			}
			// What was inside, with the circuit's tag, and nothing of the padding.
			tag := vids(uint16(100 + map[*wire]int{ip4: 0, udp4: 1, ip6: 2}[c.wire]))
			if count == 1 && !bytes.Equal(got[0], tagged(1, tag...)) {
				t.Errorf("delivered %x, want %x", got[0], tagged(1, tag...))
			}
		})
	}
	t.Run("another station's", func(t *testing.T) {
		p := ip4.to(bare())
		before := portOf(t, box, "core0").Received
		must(t, w.hosts[1].SendFrames("core0", p.frame([]byte{2, 9, 9, 9, 9, 9}, src)))
		time.Sleep(20 * time.Millisecond)
		if after := portOf(t, box, "core0").Received; after != before {
			t.Errorf("xwire took %d", after-before)
		}
	})
}

// TestTooLong: an access link whose frames are longer than any that a port has room for. They are dropped and
// counted, and the log says so; the others pass.
func TestTooLong(t *testing.T) {
	w := pair(t, shape{CoreMTU: 3400, AccessMTU: 16000})
	x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
	box := w.start(t, 0, config(0, x))
	w.start(t, 1, config(1, x))
	run := nextRun()
	sink, err := w.sites[1].ReceiveStream("eth0", run)
	must(t, err)
	defer sink.Close()
	const count = 40
	_, err = w.sites[0].SendStream(t.Context(), "eth0", lab.Stream{Run: run, Count: count, Rate: 1000,
		Sizes: []int{60, 16014, 1514, 12033}, Dst: stations[1], Src: stations[0]})
	must(t, err)
	r := sink.Wait(t.Context(), count/2, soon)
	var p api.Port
	until(t, "all are counted", func() (bool, string) {
		p = portOf(t, box, "ac0")
		return p.Received >= count, fmt.Sprintf("%+v", p)
	})
	balanced(t, box)
	p = portOf(t, box, "ac0")
	if r.Received != count/2 || r.Torn+r.Duplicates != 0 || p.Received != count || p.Drops["frame_too_long"] != count/2 {
		t.Errorf("sent %d, half of them too long: %v; port %+v", count, r, p)
	}
	until(t, "the log tells", func() (bool, string) {
		out := box.Process().Output()
		return strings.Contains(out, "frames above 12032 bytes are dropped"), out
	})
}
