package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// client is the PPPoE client's address at site 0.
var client = net.HardwareAddr{2, 0, 0, 0, 0xc, 1}

const pppoeID = 0x1234

// pppoeFrame is an Ethernet frame with a PPPoE header.
func pppoeFrame(dst, src net.HardwareAddr, tags []byte, typ uint16, code byte, id uint16, ppp []byte) []byte {
	b := append(append(append([]byte{}, dst...), src...), tags...)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(append(b, 0x11, code), id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ppp)))
	return append(b, ppp...)
}

// pppFrame is a PPP frame of IPv4 that nobody mistakes for another.
func pppFrame(n int, mark byte) []byte {
	return append([]byte{0x00, 0x21, 0x45, mark}, bytes.Repeat([]byte{mark}, n)...)
}

// lacTunnel is box i's side of a tunnel between the two boxes.
func lacTunnel(i int, keys string, six bool) string {
	addr := core4
	if six {
		addr = core6
	}
	return fmt.Sprintf("[tunnel.t]\nlocal = %q\npeer = %q\ntid = %d\nptid = %d\n%s", addr[i], addr[1-i], 11+11*i, 22-11*i, keys)
}

func lacSession(i int, keys string) string {
	return fmt.Sprintf("[tunnel.t.session.s]\npseudowire = \"pppac\"\nsid = %d\npsid = %d\npppoe_session_id = %d\npppoe_peer_mac = %q\n%s", 44-11*i, 33+11*i, pppoeID, client, keys)
}

// TestPPPoE carries a PPPoE session's frames from a client's port through L2TP to a local interface and
// back, byte by byte; discovery and other sessions go to the kernel of the client's side.
func TestPPPoE(t *testing.T) {
	vlan100 := []byte{0x81, 0x00, 0x00, 100}
	for _, c := range []struct {
		name, tunnel, session, attach string
		tags                          []byte
		six                           bool
		wire                          []byte // of the first packet from the client, from the L2TP header on
	}{
		{"l2tpv2", "version = \"l2tpv2\"\n", "", "", nil, false, []byte{0, 2, 0, 22, 0, 33}},
		{"l2tpv2 numbered, in a VLAN", "version = \"l2tpv2\"\nudp_checksum = true\n", "seqnum = true\n", "vlan = 100\n", vlan100, false, []byte{8, 2, 0, 22, 0, 33, 0, 0, 0, 0}},
		{"l2tpv3 over UDP", "", "tx_cookie = \"0102030405060708\"\nrx_cookie = \"0102030405060708\"\nl2spec_type = \"default\"\n", "vlan = \"untagged\"\n", nil, false,
			[]byte{0, 3, 0, 0, 0, 0, 0, 33, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0}},
		{"l2tpv3 over IP", "encap = \"ip\"\n", "l2spec_type = \"none\"\n", "vlan = 100\n", vlan100, false, []byte{0, 0, 0, 33}},
		{"l2tpv2 over IPv6", "version = \"l2tpv2\"\n", "", "", nil, true, []byte{0, 2, 0, 22, 0, 33}},
		{"l2tpv3 over UDP and IPv6", "", "l2spec_type = \"default\"\n", "", nil, true, []byte{0, 3, 0, 0, 0, 0, 0, 33, 0, 0, 0, 0}},
		{"l2tpv3 over IPv6", "encap = \"ip\"\n", "l2spec_type = \"none\"\n", "vlan = 100\n", vlan100, true, []byte{0, 0, 0, 33}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pair(t, shape{})
			lac := w.start(t, 0, corePort+accessPort+lacTunnel(0, c.tunnel, c.six)+lacSession(0, "attach = \"ac0\"\n"+c.attach+c.session))
			concentrator, err := w.hosts[0].MAC("ac0")
			must(t, err)
			kernel, err := w.hosts[0].Capture("ac0")
			must(t, err)
			defer kernel.Close()
			core, err := w.hosts[1].Capture("core0")
			must(t, err)
			defer core.Close()

			first := pppFrame(10, 0xa1)
			session := func(id uint16, ppp []byte) []byte {
				return pppoeFrame(concentrator, client, c.tags, 0x8864, 0, id, ppp)
			}
			padi := pppoeFrame(net.HardwareAddr{255, 255, 255, 255, 255, 255}, client, c.tags, 0x8863, 9, 0, []byte{1, 1, 0, 0})
			other := session(pppoeID+1, pppFrame(10, 0xa2))
			must(t, w.sites[0].SendFrames("eth0", padi, other, append(session(pppoeID, first), make([]byte, 18)...)))
			if !holds(core, func(b []byte) bool { return bytes.HasSuffix(b, join(c.wire, []byte{0xff, 3}, first)) }) {
				t.Errorf("not on the core: %x ff03 %x", c.wire, first)
			}
			for name, frame := range map[string][]byte{"discovery": padi, "another session": other} {
				if !holds(kernel, func(b []byte) bool { return bytes.Contains(b, frame[len(frame)-8:]) }) {
					t.Errorf("%s did not come to the kernel", name)
				}
			}
			if p := portOf(t, lac, "ac0"); p.Received != 1 {
				t.Errorf("port ac0 received %d, want the session's frame alone; drops %v", p.Received, p.Drops)
			}
			must(t, lac.Stop())

			// The LNS's half: the same frames on a local interface.
			lac = w.start(t, 0, corePort+accessPort+lacTunnel(0, c.tunnel, c.six)+lacSession(0, "attach = \"ac0\"\n"+c.attach+c.session))
			lns := w.start(t, 1, corePort+lacTunnel(1, c.tunnel, c.six)+lacSession(1, "interface_name = \"pppoe0\"\n"+c.session))
			server, err := w.hosts[1].MAC("pppoe0")
			must(t, err)
			must(t, w.hosts[1].SetLink("pppoe0", true))
			at, err := w.hosts[1].Capture("pppoe0")
			must(t, err)
			defer at.Close()
			seen, err := w.sites[0].Capture("eth0")
			must(t, err)
			defer seen.Close()
			sizes := []int{1, 39, 40, 500, 1490}
			for i, n := range sizes {
				up, down := pppFrame(n, byte(i)), pppFrame(n, 0x80|byte(i))
				must(t, w.sites[0].SendFrames("eth0", session(pppoeID, up)))
				if want := pppoeFrame(server, client, nil, 0x8864, 0, pppoeID, up); !holds(at, func(b []byte) bool { return bytes.Equal(b, want) }) {
					t.Errorf("%d bytes: not at the server: %x", n, want)
				}
				must(t, w.hosts[1].SendFrames("pppoe0", pppoeFrame(client, server, nil, 0x8864, 0, pppoeID, down)))
				if want := pppoeFrame(client, concentrator, c.tags, 0x8864, 0, pppoeID, down); !holds(seen, func(b []byte) bool { return bytes.Equal(b, want) }) {
					t.Errorf("%d bytes: not at the client: %x", n, want)
				}
			}
			for _, b := range []*lab.Box{lac, lns} {
				s := sessionOf(t, b, "t/s")
				if n := uint64(len(sizes)); s.State != "up" || s.TxPackets != n || s.RxPackets != n || s.RxErrors+s.TxErrors != 0 || s.PPPoESessionID != pppoeID {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

// TestPPPoEServerMoves: the server on a local interface may have another address, that of a bridge it is in,
// say; it is known as soon as the server has sent, and after a change of the session.
func TestPPPoEServerMoves(t *testing.T) {
	w := pair(t, shape{})
	w.start(t, 0, corePort+accessPort+lacTunnel(0, "version = \"l2tpv2\"\n", false)+lacSession(0, "attach = \"ac0\"\n"))
	lns := w.start(t, 1, corePort+lacTunnel(1, "version = \"l2tpv2\"\n", false)+lacSession(1, "interface_name = \"pppoe0\"\n"))
	concentrator, err := w.hosts[0].MAC("ac0")
	must(t, err)
	must(t, w.hosts[1].SetLink("pppoe0", true))
	at, err := w.hosts[1].Capture("pppoe0")
	must(t, err)
	defer at.Close()
	mark := byte(0)
	arrives := func(to net.HardwareAddr) {
		t.Helper()
		mark++
		up := pppFrame(50, mark)
		must(t, w.sites[0].SendFrames("eth0", pppoeFrame(concentrator, client, nil, 0x8864, 0, pppoeID, up)))
		if want := pppoeFrame(to, client, nil, 0x8864, 0, pppoeID, up); !holds(at, func(b []byte) bool { return bytes.Equal(b, want) }) {
			t.Errorf("not at %v: %x", to, want)
		}
	}
	first, err := w.hosts[1].MAC("pppoe0")
	must(t, err)
	arrives(first)
	moved := net.HardwareAddr{2, 0, 0, 0, 0xd, 1}
	if out, err := w.hosts[1].Command("ip", "link", "set", "pppoe0", "address", moved.String()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, w.hosts[1].SendFrames("pppoe0", pppoeFrame(client, moved, nil, 0x8864, 0, pppoeID, pppFrame(50, 0xff))))
	until(t, "the server's frame has been sent", func() (bool, string) {
		s := sessionOf(t, lns, "t/s")
		return s.TxPackets == 1, fmt.Sprintf("%+v", s.Statistics)
	})
	arrives(moved)
	_, err = api.NewClient(lns.Control).ModifySession(t.Context(), "t", "s", api.Keys{"mss_clamp": true})
	must(t, err)
	arrives(moved)
}

// TestSwitchPPP carries PPP between L2TPv2 and L2TPv3, UDP and IP, IPv4 and IPv6, through a box without an
// attachment circuit.
func TestSwitchPPP(t *testing.T) {
	w := pair(t, shape{})
	box := w.start(t, 0, corePort+lacTunnel(0, "version = \"l2tpv2\"\n", false)+`[tunnel.t.session.s]
pseudowire = "ppp"
sid = 44
psid = 33
`+fmt.Sprintf("[tunnel.far]\nencap = \"ip\"\nlocal = %q\npeer = %q\ntid = 3\nptid = 3\n", core6[0], core6[1])+`[tunnel.far.session.s]
pseudowire = "pppac"
sid = 300
psid = 400
l2spec_type = "default"
attach = "t/s"
`)
	core, err := w.hosts[1].Capture("core0")
	must(t, err)
	defer core.Close()
	far := packet{src: core6[1], dst: core6[0], sid: 300, sublayer: "00000000"}
	near := packet{src: core4[1], dst: core4[0], srcPort: 1701, dstPort: 1701, flags: 0x4002, sid: 11<<16 | 44}
	sizes := []int{0, 1, 38, 39, 500, 1400}
	for i, size := range sizes {
		for _, c := range []struct {
			name   string
			sent   packet
			ppp    byte
			header []byte // that it leaves with
		}{
			{"v3 to v2", far, 0x11, []byte{0, 2, 0, 22, 0, 33}},
			{"v2 to v3", near, 0x22, []byte{0, 0, 1, 0x90, 0, 0, 0, 0}},
		} {
			ppp := pppFrame(size, c.ppp+byte(i))
			c.sent.inner = ppp // without address and control, which are put before it
			if i%2 == 0 {
				c.sent.inner = join([]byte{0xff, 3}, ppp)
			}
			w.inject(t, c.sent)
			if !holds(core, func(b []byte) bool { return bytes.HasSuffix(b, join(c.header, []byte{0xff, 3}, ppp)) }) {
				t.Errorf("%s, %d bytes: not on the wire", c.name, size)
			}
		}
	}
	for name, other := range map[string]string{"t/s": "far/s", "far/s": "t/s"} {
		if s, n := sessionOf(t, box, name), uint64(len(sizes)); s.State != "up" || s.TxPackets != n || s.RxPackets != n || s.RxErrors+s.TxErrors != 0 || s.Switched != other {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// holds waits for a captured frame.
func holds(c *lab.Capture, is func([]byte) bool) bool {
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		for _, f := range c.Frames() {
			if is(f.Frame) {
				return true
			}
		}
	}
	return false
}

// TestPPPoEReload adds and removes PPPoE sessions while another carries frames, and makes an Ethernet
// tunnel one of L2TPv2.
func TestPPPoEReload(t *testing.T) {
	w := pair(t, shape{})
	tunnel := lacTunnel(0, "version = \"l2tpv2\"\nunknown = \"kernel\"\n", false)
	session := func(n int, mac net.HardwareAddr) string {
		return fmt.Sprintf("[tunnel.t.session.s%d]\npseudowire = \"pppac\"\nsid = %d\npsid = %d\npppoe_session_id = %d\npppoe_peer_mac = %q\nattach = \"ac0\"\n", n, n, n, n, mac)
	}
	other := net.HardwareAddr{2, 0, 0, 0, 0xc, 2}
	box := w.start(t, 0, corePort+accessPort+lacTunnel(0, "encap = \"ip\"\n", false)+"[tunnel.t.session.s1]\nsid = 1\npsid = 1\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = \"all\"\n")
	concentrator, err := w.hosts[0].MAC("ac0")
	must(t, err)
	kernel, err := w.hosts[0].Capture("ac0")
	must(t, err)
	defer kernel.Close()
	core, err := w.hosts[1].Capture("core0")
	must(t, err)
	defer core.Close()
	mark := byte(0)
	// goes sends a client's frame and tells whether it left for its session, or came to the kernel. Where it
	// ought to come is waited for.
	goes := func(id uint16, from net.HardwareAddr, psid byte, want string) string {
		t.Helper()
		patience := soon
		if want == "nowhere" {
			patience = time.Second
		}
		mark++
		ppp := pppFrame(20, mark)
		must(t, w.sites[0].SendFrames("eth0", pppoeFrame(concentrator, from, nil, 0x8864, 0, id, ppp)))
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			for _, f := range core.Frames() {
				if bytes.HasSuffix(f.Frame, join([]byte{0, 2, 0, 22, 0, psid, 0xff, 3}, ppp)) {
					return "core"
				}
			}
			for _, f := range kernel.Frames() {
				if bytes.Contains(f.Frame, ppp) {
					return "kernel"
				}
			}
		}
		return "nowhere"
	}
	for _, step := range []struct {
		name, sessions string
		want           [3]string // of session 1 of the client, of the other client's, of session 2
	}{
		{"L2TPv3 becomes L2TPv2", session(1, client), [3]string{"core", "nowhere", "kernel"}},
		{"others come", session(1, client) + session(2, client) + strings.Replace(session(3, other), "pppoe_session_id = 3", "pppoe_session_id = 1", 1), [3]string{"core", "core", "core"}},
		{"the first goes", session(2, client) + strings.Replace(session(3, other), "pppoe_session_id = 3", "pppoe_session_id = 1", 1), [3]string{"nowhere", "core", "core"}},
		{"clients change places", strings.Replace(session(2, client), "pppoe_session_id = 2", "pppoe_session_id = 1", 1) + strings.Replace(session(3, other), "pppoe_session_id = 3", "pppoe_session_id = 1", 1), [3]string{"2", "core", "kernel"}},
	} {
		must(t, box.Configure(corePort+accessPort+tunnel+step.sessions))
		if out, err := box.Run(t.Context(), "reload", "--control", box.Control); err != nil {
			t.Fatalf("%s: %v\n%s", step.name, err, out)
		}
		waitUp(t, box)
		psid := byte(1)
		if step.want[0] == "2" {
			step.want[0], psid = "core", 2
		}
		if got := [3]string{goes(1, client, psid, step.want[0]), goes(1, other, 3, step.want[1]), goes(2, client, 2, step.want[2])}; got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	// The other way, at an address where the steering program has to know the session, whatever form
	// the header has.
	seen, err := w.sites[0].Capture("eth0")
	must(t, err)
	defer seen.Close()
	down := packet{src: core4[1], dst: core4[0], srcPort: 1701, dstPort: 1701, flags: 0x4002, sid: 11<<16 | 3, inner: join([]byte{0xff, 3}, pppFrame(50, 0xee))}
	nobodys := down
	nobodys.sid++
	nobodys.passes = true
	w.inject(t, nobodys)
	w.inject(t, down)
	if want := pppoeFrame(other, concentrator, nil, 0x8864, 0, 1, down.inner[2:]); !holds(seen, func(b []byte) bool { return bytes.Equal(b, want) }) {
		t.Errorf("not at the client: %x", want)
	}
	if p := portOf(t, box, "core0"); p.Received != 1 || p.ToKernel["unknown_session"] != 1 {
		t.Errorf("port core0: received %d, to the kernel %v", p.Received, p.ToKernel)
	}
}
