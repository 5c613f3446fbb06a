package pw

import "testing"

// A worker must not begin a streak on what it looked at before a change and what it looks at after
// it: here it found the session of VLAN 100, then the port ceased to look at VLANs.
func TestNoStreakBeginsWithinAChange(t *testing.T) {
	h := newHostile(t)
	h.session(1, Attachment{Port: 1})
	id := h.session(2, Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: 100}})
	f := h.table.Forwarder(0)
	mine := func(room int) Frame { return h.put(0, 1, room, customer(0x0800, tag(0x8100, 100))) }
	h.one(1, customer(0x0800, tag(0x8100, 100)))

	record := h.table.slots.at(uint32(id)).record
	d := h.table.session(record)
	h.table.begin()
	h.table.attach(0, d, -1)
	h.table.publishPort(1)
	fr := mine(256)
	f.encapSlowly(h.mem, &fr, d, record, 1) // as in a batch that began before the change
	out, got := h.one(1, customer(0x0800, tag(0x8100, 5)))
	if out != 0 || u32(got[34:]) != 1 {
		t.Errorf("a frame of VLAN 5 left port %d as %x", out, got)
	}
	h.table.attach(record, d, 1)
	h.table.publishPort(1)
	h.table.end()
	for range 3 {
		h.one(1, customer(0x0800, tag(0x8100, 100)))
	}
	if f.encapStreak.in != 1 {
		t.Error("no streak after the change")
	}
}

// Where there is no streak, a frame from no port does not go on with it.
func TestFrameFromNoPort(t *testing.T) {
	h := newHostile(t)
	h.session(1, Attachment{Port: 1})
	for _, n := range []int{streakMin, 60, 100} {
		for _, frame := range [][]byte{customer(0x0800)[:min(n, 94)], h.packet(1, customer(0x0800), nil)} {
			if out, _ := h.one(NoPort, frame); out != NoPort {
				t.Errorf("%d bytes left port %d", n, out)
			}
		}
		for range 3 { // and where one has ended
			h.one(1, customer(0x0800))
			h.one(0, h.packet(1, customer(0x0800), nil))
		}
		h.table.SetPort(1, PortSpec{})
	}
}
