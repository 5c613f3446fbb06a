package locals

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"xwire/bench/lab"
	"xwire/l2tp"
)

// intruder sends packets of a tunnel by the core's wire, in VLANs of its choice, and sees at the site
// which come through.
type intruder struct {
	t        *testing.T
	from     *lab.Namespace
	dst, src []byte
	seen     *lab.Capture
	number   uint32
}

// packet is a message of session 5 from the peer, with a payload that is like no other.
func (x *intruder) packet(tags ...l2tp.Tag) (packet, payload []byte) {
	x.number++
	payload = binary.BigEndian.AppendUint32([]byte("spoofed packet "), x.number)
	inner := append([]byte("\x02\x00\x00\x00\x0a\x0b\x02\x00\x00\x00\x0a\x0a\x88\xb5"), payload...)
	inner = append(inner, make([]byte, 64)...)
	n := uint16(l2tp.IPv4Len + 4 + len(inner))
	b := append(append([]byte(nil), x.dst...), x.src...)
	for _, tag := range tags {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, tag.TPID), tag.TCI)
	}
	b = append(b, 8, 0)
	ip := append([]byte{0x45, 0, byte(n >> 8), byte(n), 0, 0, 0, 0, 64, l2tp.ProtoL2TP, 0, 0}, core4[1].AsSlice()...)
	ip = append(ip, core4[0].AsSlice()...)
	l2tp.IPv4(ip).SetChecksum()
	return append(append(append(b, ip...), 0, 0, 0, 5), inner...), payload
}

// passes tells whether a packet with tags comes through: it is followed by one without, which does.
func (x *intruder) passes(tags ...l2tp.Tag) bool {
	x.t.Helper()
	packet, want := x.packet(tags...)
	for range 20 { // where the queue was just opened, the second may get lost too
		after, end := x.packet()
		must(x.t, x.from.SendFrames("core0", packet, after))
		for start := time.Now(); time.Since(start) < soon()/10; time.Sleep(time.Millisecond) {
			passed, ended := false, false
			for _, f := range x.seen.Frames() {
				passed = passed || bytes.Contains(f.Frame, want)
				ended = ended || bytes.Contains(f.Frame, end)
			}
			if ended {
				return passed
			}
		}
	}
	x.t.Fatal("packets without tags do not come through")
	return false
}

// A packet of a tunnel is taken without tags, and with those of a VLAN device that is there and up,
// for as long as that is so.
func testForeignVLANs(t *testing.T) {
	w := newWorld(t)
	b := w.boxes[0]
	launch(t, b, onPorts(0, core4[0].String(), core4[1].String(), ""))
	must(t, w.hosts[1].Run(func() error { return lab.Offloads("core0", false) }))
	x := &intruder{t: t, from: w.hosts[1]}
	dst, err := w.hosts[0].MAC("core0")
	must(t, err)
	src, err := w.hosts[1].MAC("core0")
	must(t, err)
	x.dst, x.src = dst, src
	x.seen, err = w.sites[0].Capture("eth0")
	must(t, err)
	defer x.seen.Close()

	c := func(vid uint16) l2tp.Tag { return l2tp.Tag{TPID: l2tp.TPIDC, TCI: vid} }
	s := func(vid uint16) l2tp.Tag { return l2tp.Tag{TPID: l2tp.TPIDS, TCI: vid} }
	expect := func(what string, want bool, tags ...l2tp.Tag) {
		t.Helper()
		until(t, fmt.Sprintf("%s: tags %v pass: %v", what, tags, want), func() (bool, string) { return x.passes(tags...) == want, "" })
	}
	never := func(what string) {
		t.Helper()
		for _, tags := range [][]l2tp.Tag{{c(101)}, {s(100)}, {c(100), c(20)}, {s(200), c(21)}, {c(200), c(20)}, {{TPID: l2tp.TPIDQ, TCI: 100}}} {
			if x.passes(tags...) {
				t.Errorf("%s: a packet with tags %v comes through", what, tags)
			}
		}
	}
	never("no device")
	expect("no device", false, c(100))
	expect("no device", true, c(0))
	must(t, w.hosts[0].AddVLAN(lab.VLAN{Name: "core0.100", Parent: "core0", ID: 100}))
	expect("made", true, c(100))
	expect("made", true, c(0xe000|100))
	never("core0.100")
	ip(t, w.hosts[0], "link set core0.100 down")
	expect("down", false, c(100))
	ip(t, w.hosts[0], "link set core0.100 up")
	expect("up", true, c(100))
	must(t, w.hosts[0].AddVLAN(lab.VLAN{Name: "s200", Parent: "core0", ID: 200, Service: true}))
	must(t, w.hosts[0].AddVLAN(lab.VLAN{Name: "c20", Parent: "s200", ID: 20}))
	expect("stacked", true, s(200), c(20))
	expect("stacked", true, s(200))
	never("stacked")
	ip(t, w.hosts[0], "link set c20 down")
	expect("upper one down", false, s(200), c(20))
	expect("upper one down", true, s(200))
	ip(t, w.hosts[0], "link set core0.100 netns "+w.sites[1].Name())
	expect("in another namespace", false, c(100))
	must(t, w.sites[1].DelLink("core0.100"))
	must(t, w.hosts[0].DelLink("s200"))
	expect("deleted", false, s(200))

	// What is there when the box starts counts at once.
	must(t, w.hosts[0].AddVLAN(lab.VLAN{Name: "core0.100", Parent: "core0", ID: 100}))
	must(t, b.Stop())
	relaunch(t, b)
	if !x.passes(c(100)) {
		t.Error("started with the device there: its packets do not come through")
	}
	never("started again")
	must(t, b.Stop())
}
