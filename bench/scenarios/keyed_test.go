package scenarios

import (
	"fmt"
	"testing"

	"xwire/bench/lab"
)

// keyedConfig is box i of a keyed tunnel; each end sends another session id, and box 1 is in the middle
// of changing the cookie that it accepts.
func keyedConfig(i int) string {
	keys := [2]string{
		"tx_cookie = \"0102030405060708\"\nrx_cookie = \"1112131415161718\"\n",
		"psid = 5\ntx_cookie = \"1112131415161718\"\nrx_cookie = [\"2122232425262728\", \"0102030405060708\"]\n",
	}
	return corePort + accessPort + fmt.Sprintf("[tunnel.t]\nkeyed = true\nlocal = \"%v\"\npeer = \"%v\"\n[tunnel.t.session.s]\n%sattach = \"ac0\"\nvlan = \"all\"\n",
		core6[i], core6[1-i], keys[i])
}

// TestKeyed has a keyed IPv6 tunnel (RFC 8159) between two boxes, whose session ids mean nothing.
func TestKeyed(t *testing.T) {
	w := pair(t, shape{})
	// What is of no session is the kernel's, but what comes from the peer is the tunnel's.
	w.start(t, 0, "[appliance]\nunknown = \"kernel\"\n"+keyedConfig(0))
	w.start(t, 1, keyedConfig(1))
	r, err := w.sites[0].Ping(t.Context(), siteAddr[1], lab.PingConfig{Count: 5, Size: 1472, DontFragment: true, Timeout: soon})
	must(t, err)
	if r.Lost()+r.Duplicates+r.Damaged != 0 {
		t.Errorf("ping: %+v", r)
	}
	if s := sessionOf(t, w.boxes[0], "t/s"); s.SessionID != 0 || s.PeerSessionID != 0xffffffff || s.RxPackets < 5 {
		t.Errorf("session of box 0 is %+v, want session id 0, the peer's 4294967295, and 5 packets or more", s)
	}
	if s := sessionOf(t, w.boxes[1], "t/s"); len(s.CookieFrames) != 2 || s.CookieFrames[1] < 5 {
		t.Errorf("box 1 accepted %v by each cookie, want 5 or more by the second", s.CookieFrames)
	}

	x := &wire{name: "t", six: true, sid: [2]uint32{1, 1}, cookie: [2]string{"1112131415161718", ""}}
	for _, c := range []struct {
		name      string
		change    func(*packet)
		delivered int
		drop      string
	}{
		{"one session id", func(p *packet) {}, 1, ""},
		{"another session id", func(p *packet) { p.sid = 0xdeadbeef }, 1, ""},
		{"a wrong cookie", func(p *packet) { p.cookie = "1112131415161719" }, 0, "cookie_mismatch"},
		{"not the peer, the kernel's", func(p *packet) { p.src, p.passes = core6[1].Next(), true }, 0, ""},
		{"session id 0, control", func(p *packet) { p.sid, p.passes = 0, true }, 0, ""},
	} {
		p := x.to(bare())
		c.change(&p)
		delivered, drops, _, _ := w.verdict(t, x, p, 1)
		if delivered != c.delivered || len(drops) > 1 || c.drop != "" && drops[c.drop] != 1 || c.drop == "" && len(drops) != 0 {
			t.Errorf("%s: %d delivered, dropped %v, want %d and %q", c.name, delivered, drops, c.delivered, c.drop)
		}
	}
	if p := portOf(t, w.boxes[0], "core0"); p.ToKernel["unknown_session"] != 1 || p.ToKernel["control"] != 1 {
		t.Errorf("left to the kernel %v, want 1 of an unknown session and 1 control", p.ToKernel)
	}
}
