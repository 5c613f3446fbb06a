package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"xwire/bench/lab"
)

// switchConfig is a box without an attachment circuit: a session over IPv4 and IP, with cookies and a
// sublayer, is switched to one over UDP and IPv6 with neither. Only one of them says so.
func switchConfig() string {
	return corePort + fmt.Sprintf(`
[tunnel.near]
encap = "ip"
local = "%v"
peer  = "%v"
tid   = 1
ptid  = 1
[tunnel.near.session.s]
sid  = 100
psid = 200
tx_cookie = "a1a2a3a4"
rx_cookie = "0102030405060708"
l2spec_type = "default"
attach = "far/s"

[tunnel.far]
encap = "udp"
local = "[%v]:1701"
peer  = "[%v]:1702"
tid   = 2
ptid  = 2
[tunnel.far.session.s]
sid  = 300
psid = 400
l2spec_type = "none"
`, core4[0], core4[1], core6[0], core6[1])
}

// TestSwitching sends frames of every length through a box that has no attachment circuit, from
// either side, and looks for each byte at the other.
func TestSwitching(t *testing.T) {
	w := pair(t, shape{})
	box := w.start(t, 0, switchConfig())
	capture, err := w.hosts[1].Capture("core0")
	must(t, err)
	defer capture.Close()
	near := packet{src: core4[1], dst: core4[0], sid: 100, cookie: "0102030405060708", sublayer: "00000000"}
	far := packet{src: core6[1], dst: core6[0], srcPort: 1702, dstPort: 1701, sid: 300}
	nearHeader := []byte{0, 0, 0, 200, 0xa1, 0xa2, 0xa3, 0xa4, 0, 0, 0, 0}
	farHeader := []byte{0, 3, 0, 0, 0, 0, 0x01, 0x90}
	n := uint64(0)
	for _, size := range []int{60, 61, 64, 512, 1380} {
		n++
		inner := append(tagged(1, vids(100, 20)...), bytes.Repeat([]byte{0xa5}, size)...)
		for _, c := range []struct {
			name  string
			sent  packet
			typ   uint16
			l4    int
			after []byte
		}{{"near to far", near, 0x86dd, 14 + 40 + 8, farHeader}, {"far to near", far, 0x0800, 14 + 20, nearHeader}} {
			c.sent.inner = inner
			from := len(capture.Frames())
			w.inject(t, c.sent)
			want := append(append([]byte{}, c.after...), inner...)
			if !arrives(capture, from, c.typ, c.l4, want) {
				t.Errorf("%s, %d bytes: not on the wire: %x", c.name, len(inner), want)
			}
		}
	}
	for _, name := range []string{"near/s", "far/s"} {
		s := sessionOf(t, box, name)
		other := map[string]string{"near/s": "far/s", "far/s": "near/s"}[name]
		if s.State != "up" || s.Switched != other || s.RxPackets != n || s.TxPackets != n || s.RxErrors+s.TxErrors != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// arrives waits for a packet with an EtherType and a last part of its own.
func arrives(c *lab.Capture, from int, typ uint16, at int, want []byte) bool {
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		for _, f := range c.Frames()[from:] {
			if b := f.Frame; len(b) > at && binary.BigEndian.Uint16(b[12:]) == typ && bytes.Equal(b[at:], want) {
				return true
			}
		}
	}
	return false
}
