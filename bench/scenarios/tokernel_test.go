package scenarios

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"
)

// TestToKernel sends what is about a tunnel and yet the kernel's.
func TestToKernel(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	ip4 := &wire{name: "ip4", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none}
	udp4 := &wire{name: "udp4", udp: true, sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: none}
	box := w.start(t, 0, config(0, ip4, udp4))
	stranger := netip.MustParseAddr("192.0.2.200")
	before := portOf(t, box, "core0").ToKernel
	if len(before) != 0 {
		t.Fatalf("before anything was sent: %v", before)
	}
	for _, c := range []struct {
		wire   *wire
		change func(*packet)
	}{
		{ip4, func(p *packet) { p.sid = 0 }},                           // control
		{udp4, func(p *packet) { p.flags, p.sid = 0xc803, 999 }},       // control, to a tunnel that is another's
		{udp4, func(p *packet) { p.flags = 0xc803 }},                   // control, ours
		{ip4, func(p *packet) { p.fragment, p.src = 100, stranger }},   // without the first one
		{udp4, func(p *packet) { p.options = []byte{7, 4, 0, 0} }},     // record route
		{udp4, func(p *packet) { p.inner, p.sid = nil, 0x01020304 }},   // 8 bytes behind UDP
		{ip4, func(p *packet) { p.tags = vids(5) }},                    // no such device
		{ip4, func(p *packet) { p.passes = false }},                    // ours
		{udp4, func(p *packet) { p.dst, p.dstPort = core4[1], 65000 }}, // nothing to do with us
	} {
		p := c.wire.to(bare())
		p.passes = true
		c.change(&p)
		w.inject(t, p)
	}
	want := map[string]uint64{"control": 2, "fragment": 1, "ip_options": 1, "short": 1, "foreign_vlan": 1}
	until(t, "one is received, one is a control message to hear", func() (bool, string) {
		p := portOf(t, box, "core0")
		return maps.Equal(p.ToKernel, want) && p.Received == 1 && p.ControlHeard == 1,
			fmt.Sprintf("left to the kernel %v, want %v; %d received and %d control messages heard", p.ToKernel, want, p.Received, p.ControlHeard)
	})
}
