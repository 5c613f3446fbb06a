package interop

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// pppdEnv names the directory over which Debian's pppd is unpacked.
const pppdEnv = "XWIRE_PPPD"

// TestPPP has pppd at both ends of a PPP connection: a PPPoE client, and the kernel's own L2TP. xwire is
// between them: as the LAC, with the client on its port, then as the LNS, where pppd ends the PPPoE
// session on a local interface and the other is the client.
//
//	pppd c0 ── a0 xwire k0 ── core ── k0 kernel: l2tp_ppp, pppd
//	                  pppoe0, pppd
func TestPPP(t *testing.T) {
	c := vm.Config{Limit: 5 * time.Minute}
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		if err != nil {
			t.Fatal(err)
		}
		root, err := vm.Unpacked(t.Context(), "ppp")
		if err != nil {
			t.Fatal(err)
		}
		c.Env = []string{lab.BinaryEnv + "=" + binary, pppdEnv + "=" + root}
	}
	if !vm.Inside(t, c) {
		return
	}
	for _, c := range []pppCase{
		{name: "l2tpv2", version: 2, tunnel: "version = \"l2tpv2\"\n"},
		{name: "l2tpv2 numbered", version: 2, tunnel: "version = \"l2tpv2\"\n", session: "lns_mode = false\n", seq: true},
		{name: "l2tpv3", version: 3, session: "l2spec_type = \"default\"\n"},
		{name: "l2tpv2, xwire is the LNS", version: 2, tunnel: "version = \"l2tpv2\"\n", lns: true},
	} {
		t.Run(c.name, c.run)
	}
}

type pppCase struct {
	name            string
	version         uint8
	tunnel, session string // further keys
	seq             bool   // the kernel numbers what it sends
	lns             bool
}

const (
	pppoeSession = 0x1234
	tid, ptid    = 11, 22 // xwire's, the kernel's
	sid, psid    = 33, 44
)

func (c pppCase) run(t *testing.T) {
	w := newNamespaces(t)
	config := fmt.Sprintf("%s[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = %d\nptid = %d\n%s", ports, tid, ptid, c.tunnel)
	config += fmt.Sprintf("[tunnel.t.session.s]\npseudowire = \"pppac\"\nsid = %d\npsid = %d\npppoe_session_id = %d\n%s", sid, psid, pppoeSession, c.session)
	client := net.HardwareAddr{2, 0, 0, 0, 0xc, 1}
	if !c.lns {
		var err error
		client, err = w.customer.MAC("c0")
		must(t, err)
		config += "attach = \"access\"\n"
	} else {
		config += "interface_name = \"pppoe0\"\n"
	}
	w.matrix = []*circuit{{}} // for waitUp: one session
	w.run(t, config+fmt.Sprintf("pppoe_peer_mac = %q\n", client))

	fd := c.kernelSession(t, w.kernel)
	const lnsAddr, clientAddr = "10.9.0.1", "10.9.0.2"
	kernelEnd := []string{"plugin", pppdPlugin("pppol2tp.so"), "pppol2tp", "3"}
	pppoeEnd := func(device string, peer net.HardwareAddr) []string {
		return []string{"plugin", pppdPlugin("pppoe.so"), "nic-" + device, "pppoe-sess", fmt.Sprintf("%d:%v", pppoeSession, peer)}
	}
	near, far := w.customer, w.kernel
	if c.lns {
		must(t, w.xwire.SetLink("pppoe0", true))
		startPPPD(t, w.xwire, nil, append(pppoeEnd("pppoe0", client), lnsAddr+":"+clientAddr)...)
		startPPPD(t, w.kernel, fd, append(kernelEnd, "noipdefault")...)
		near, far = w.kernel, w.xwire
	} else {
		concentrator, err := w.xwire.MAC("a0")
		must(t, err)
		startPPPD(t, w.kernel, fd, append(kernelEnd, lnsAddr+":"+clientAddr)...)
		startPPPD(t, w.customer, nil, append(pppoeEnd("c0", concentrator), "noipdefault")...)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		r, err := near.Ping(t.Context(), netip.MustParseAddr(lnsAddr), lab.PingConfig{Count: 1, Timeout: 2 * time.Second})
		if err == nil && r.Received == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("PPP does not come up: ping %+v, %v", r, err)
		}
	}
	before := w.pppSession(t)
	ping(t, near, lnsAddr, 0)
	ping(t, far, clientAddr, 0)
	ping(t, near, lnsAddr, 1400)
	if s := w.pppSession(t); s.TxPackets-before.TxPackets < 9 || s.RxPackets-before.RxPackets < 9 || s.TxErrors+s.RxErrors != 0 || s.SendSeq != c.seq {
		t.Errorf("%+v", s)
	}
	if k, err := w.kernel.KernelStats(ptid, psid); err != nil || k.RxErrors+k.RxSeqDiscards+k.TxErrors != 0 || k.RxPackets < 9 {
		t.Errorf("the kernel counts %+v, %v", k, err)
	}
}

func (w *world) pppSession(t *testing.T) api.Session {
	t.Helper()
	s, err := w.control.Session(t.Context(), "t/s", false)
	must(t, err)
	return s
}

func pppdPlugin(name string) string {
	found, _ := filepath.Glob(filepath.Join(os.Getenv(pppdEnv), "usr/lib/pppd/*", name))
	if len(found) == 0 {
		return name
	}
	return found[0]
}

func startPPPD(t *testing.T, n *lab.Namespace, fd *os.File, args ...string) {
	t.Helper()
	p := lab.Program{Path: filepath.Join(os.Getenv(pppdEnv), "usr/sbin/pppd"), Args: append(args, "nodetach", "noauth", "nodefaultroute", "noccp", "novj", "lcp-echo-interval", "0", "debug")}
	if fd != nil {
		p.Files = []*os.File{fd}
	}
	process, err := n.Start(p)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pppd in %s printed:\n%s", n.Name(), process.Output())
		}
	})
}

// Commands and attributes of linux/l2tp.h.
const (
	cmdTunnelCreate  = 1
	cmdSessionCreate = 5
)

// kernelSession makes the kernel's static tunnel and PPP session, which `ip l2tp` cannot, and a socket
// of it for pppd.
func (c pppCase) kernelSession(t *testing.T, n *lab.Namespace) *os.File {
	t.Helper()
	var f *os.File
	must(t, n.Run(func() error {
		family, err := netlink.GenlFamilyGet("l2tp")
		if err != nil {
			return err
		}
		do := func(cmd uint8, attrs ...*nl.RtAttr) error {
			r := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
			r.AddData(&nl.Genlmsg{Command: cmd, Version: 1})
			for _, a := range attrs {
				r.AddData(a)
			}
			_, err := r.Execute(unix.NETLINK_GENERIC, 0)
			return err
		}
		local, peer := netip.MustParseAddr("192.0.2.2").As4(), netip.MustParseAddr("192.0.2.1").As4()
		if err := do(cmdTunnelCreate,
			nl.NewRtAttr(9, nl.Uint32Attr(ptid)), nl.NewRtAttr(10, nl.Uint32Attr(tid)), // connection ids
			nl.NewRtAttr(7, nl.Uint8Attr(c.version)), nl.NewRtAttr(2, nl.Uint16Attr(0)), // UDP
			nl.NewRtAttr(24, local[:]), nl.NewRtAttr(25, peer[:]),
			nl.NewRtAttr(26, nl.Uint16Attr(1701)), nl.NewRtAttr(27, nl.Uint16Attr(1701))); err != nil {
			return fmt.Errorf("create a tunnel: %w", err)
		}
		seq := uint8(0)
		if c.seq {
			seq = 1
		}
		if err := do(cmdSessionCreate,
			nl.NewRtAttr(9, nl.Uint32Attr(ptid)), nl.NewRtAttr(11, nl.Uint32Attr(psid)), nl.NewRtAttr(12, nl.Uint32Attr(sid)),
			nl.NewRtAttr(1, nl.Uint16Attr(7)),                                                      // PPP
			nl.NewRtAttr(19, nl.Uint8Attr(seq)), nl.NewRtAttr(20, nl.Uint8Attr(seq))); err != nil { // send_seq, lns_mode
			return fmt.Errorf("create a session: %w", err)
		}
		f, err = pppol2tp(c.version)
		return err
	}))
	t.Cleanup(func() { f.Close() })
	return f
}

// pppol2tp opens a socket of the kernel's session: linux/if_pppol2tp.h.
func pppol2tp(version uint8) (*os.File, error) {
	const ol2tp = 1 // PX_PROTO_OL2TP
	fd, err := unix.Socket(unix.AF_PPPOX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ol2tp)
	if err != nil {
		return nil, fmt.Errorf("open a PPPoL2TP socket: %w", err)
	}
	e := binary.NativeEndian
	a := e.AppendUint32(e.AppendUint16(nil, unix.AF_PPPOX), ol2tp)
	a = e.AppendUint32(a, 0)           // pid
	a = e.AppendUint32(a, ^uint32(0))  // of the tunnel's socket: the kernel's own
	a = append(a, make([]byte, 16)...) // address
	for _, id := range []uint32{ptid, psid, tid, sid} {
		if version == 2 {
			a = e.AppendUint16(a, uint16(id))
		} else {
			a = e.AppendUint32(a, id)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a[0])), uintptr(len(a))); errno != 0 {
		unix.Close(fd)
		return nil, fmt.Errorf("connect a PPPoL2TP socket: %w", errno)
	}
	return os.NewFile(uintptr(fd), "pppol2tp"), nil
}
