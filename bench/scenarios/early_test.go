package scenarios

import (
	"bytes"
	"fmt"
	"testing"
)

// TestFragmentsOutOfOrder: a packet of which the first fragment comes last arrives whole, where a tunnel is
// between the addresses.
func TestFragmentsOutOfOrder(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	ip4 := &wire{name: "ip4", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none}
	udp4 := &wire{name: "udp4", udp: true, sid: [2]uint32{12, 22}, vlan: vlanOf(2), pwVLAN: none}
	box := w.start(t, 0, config(0, ip4, udp4))
	seen, err := w.sites[0].Capture("eth0")
	must(t, err)
	dst, err := w.hosts[0].MAC("core0")
	must(t, err)
	src, err := w.hosts[1].MAC("core0")
	must(t, err)
	for n, x := range []*wire{ip4, udp4} {
		size := 1000 + 100*n // tells whose it is
		p := x.to(sized(size))
		p.sum = sumZero
		whole := p.frame(dst, src)
		const split = 14 + 20 + 480
		first, second := bytes.Clone(whole[:split]), append(bytes.Clone(whole[:14+20]), whole[split:]...)
		try := byte(0)
		until(t, x.name+": the packet arrives", func() (bool, string) {
			// A machine that hesitates between the two costs the packet: then another one is sent.
			try++
			for _, b := range [][]byte{first, second} {
				b[14+4] = try
			}
			refragment(first, 0x2000)
			refragment(second, 480/8)
			must(t, w.hosts[1].SendFrames("core0", second, first))
			for _, b := range received(seen, n+1) {
				if len(b) >= size {
					return true, ""
				}
			}
			return false, fmt.Sprintf("the core port %+v", portOf(t, box, "core0"))
		})
	}
	if p := portOf(t, box, "core0"); p.Reassembled < 2 || p.ToKernel["fragment"] != 0 {
		t.Errorf("the core port %+v", p)
	}
}
