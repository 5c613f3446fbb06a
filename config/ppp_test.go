package config

import (
	"bytes"
	"testing"

	"xwire/l2tp"
)

func TestPPP(t *testing.T) {
	c := load(t, "testdata/ppp.toml")
	lns := c.Tunnel("lns")
	if lns.Version != 2 || lns.Encap != l2tp.EncapUDP || c.Tunnel("v3").Version != 3 {
		t.Errorf("versions %d and %d", lns.Version, c.Tunnel("v3").Version)
	}
	mac := l2tp.MAC{2, 0, 0, 0, 0, 1}
	if s := lns.Session("untagged"); s.Pseudowire != l2tp.PWPPPAC || s.VLAN.Kind != VLANUntagged || s.PPPoESession != 1234 || s.PPPoEPeer != mac {
		t.Errorf("untagged: %+v", s)
	}
	if s := lns.Session("vlan"); s.Pseudowire != l2tp.PWPPP || s.VLAN.Lo != 100 || s.PPPoEPeer != mac || !s.Sequence.Send || !s.Sequence.Require {
		t.Errorf("vlan: %+v", s)
	}
	if s := lns.Session("onward"); !s.Switched() || s.PPPoESession != 0 {
		t.Errorf("onward: %+v", s)
	}
	if s := c.Tunnel("v3").Session("local"); !s.Local() || s.InterfaceName != "l2tpeth44" {
		t.Errorf("local: %+v", s)
	}
	var b bytes.Buffer
	if err := c.WriteTOML(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again", b.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, &b)
	}
	same(t, c, again)

	// The kernel's interface has 40 bytes less than the path, whatever the headers have.
	for _, want := range []struct {
		tunnel, session string
		overhead, mtu   int
	}{
		{"lns", "untagged", 20 + 8 + 6 + 2, 1460},
		{"lns", "vlan", 20 + 8 + 10 + 2, 1458},
		{"v3", "onward", 40 + 8 + 4 + 4 + 8 + 4 + 2, 1428},
	} {
		tun := c.Tunnel(want.tunnel)
		s := tun.Session(want.session)
		if o, m := s.Overhead(tun), s.PathMTU(tun, 1500); o != want.overhead || m != want.mtu {
			t.Errorf("%s: overhead %d, MTU %d; want %d, %d", want.session, o, m, want.overhead, want.mtu)
		}
	}
	if got := c.Tunnel("v3").Session("local").InterfaceMTU(c.Tunnel("v3"), 1500); got != 1500-40-8-4-4-4-2-2+8 {
		t.Errorf("MTU of the local interface: %d", got)
	}
	for kind, want := range map[PeerKind]string{
		PeerLinux: "# Session onward carries PPP, for which no commands are known.\n",
		PeerCisco: "! tunnel \"lns\": no commands are known for the other end of a static L2TPv2 tunnel\n",
	} {
		text, err := c.PeerCommands(kind, 1500, false)
		if err != nil || !bytes.Contains([]byte(text), []byte(want)) || bytes.Contains([]byte(text), []byte("session_id")) {
			t.Errorf("PeerCommands(%s) = %s, %v", kind, text, err)
		}
	}
}
