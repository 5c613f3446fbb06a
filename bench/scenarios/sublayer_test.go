package scenarios

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
)

// TestSublayerBits goes through the bits of the default sublayer (RFC 3931 section 4.6, RFC 4623,
// RFC 5085): |V S B E x x x x| sequence number (24)|.
func TestSublayerBits(t *testing.T) {
	w := pair(t, shape{})
	x := &wire{name: "x", sid: [2]uint32{10, 20}, sublayer: "default", vlan: vlanOf(0), pwVLAN: [2]string{"none", "none"}}
	box := w.start(t, 0, config(0, x))
	for _, c := range []struct {
		name, word string
		drop       string
		gained     api.Session
	}{
		{"nothing set", "00000000", "", api.Session{}},
		{"S and a sequence number", "40000007", "", api.Session{}},
		{"a sequence number without S", "00000007", "", api.Session{}},
		{"V", "80000000", "oam", api.Session{OAM: 2}},
		{"V and S", "c0000001", "oam", api.Session{OAM: 2}},
		{"B", "20000000", "fragment", api.Session{Fragments: 2}},
		{"E", "10000000", "fragment", api.Session{Fragments: 2}},
		{"B and E", "30000000", "fragment", api.Session{Fragments: 2}},
		{"a reserved bit", "01000000", "", api.Session{SublayerBits: 2}},
		{"all reserved bits and S", "4f000001", "", api.Session{SublayerBits: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := x.to(bare())
			p.sublayer = c.word
			delivered, drops, gained, _ := w.verdict(t, x, p, 2)
			want := c.gained
			if c.drop == "" {
				want.RxPackets = 2
				if delivered != 2 || len(drops) != 0 {
					t.Errorf("delivered %d of 2, drops %v", delivered, drops)
				}
			} else {
				want.RxErrors = 2
				if delivered != 0 || !maps.Equal(drops, map[string]uint64{c.drop: 2}) {
					t.Errorf("delivered %d of 2, drops %v, want %s", delivered, drops, c.drop)
				}
			}
			if fmt.Sprint(gained) != fmt.Sprint(want) {
				t.Errorf("the session gains %+v, want %+v", gained, want)
			}
		})
	}
	workers, err := api.NewClient(box.Control).Workers(t.Context())
	must(t, err)
	if w := workers[0]; w.OAM != 4 || w.OAMLost != 0 {
		t.Errorf("%d VCCV messages handed over and %d lost, want 4 and 0", w.OAM, w.OAMLost)
	}
	const told = "VCCV message of a channel that nothing here answers"
	until(t, "the log tells", func() (bool, string) {
		out := box.Process().Output()
		return strings.Contains(out, told), out
	})
	if out := box.Process().Output(); strings.Count(out, told) != 1 || !strings.Contains(out, "session=x/s channel=0") {
		t.Errorf("xwire is to tell once of a %s:\n%s", told, out)
	}
}

// arp is an untagged frame of a kind that is known at sight, as suspicion needs.
func arp() []byte {
	b := append(append([]byte{}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), stations[1]...)
	return append(b, unhex("08060001080006040001"+"020000000002"+"0a000002"+"000000000000"+"0a000001"+strings.Repeat("00", 18))...)
}

// lookAgain is longer than pw leaves a flow without looking whether it is suspect.
const lookAgain = 20 * time.Millisecond

// TestSuspicion sends what a peer with other settings would send, and reads what `show session`
// makes of it.
func TestSuspicion(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	plain := &wire{name: "plain", sid: [2]uint32{10, 20}, vlan: [2]string{"untagged", "untagged"}}
	sub := &wire{name: "sub", sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: none, sublayer: "default"}
	cookie := &wire{name: "cookie", sid: [2]uint32{12, 22}, vlan: vlanOf(2), pwVLAN: none, cookie: [2]string{"01020304", "05060708"}}
	both := &wire{name: "both", sid: [2]uint32{13, 23}, vlan: vlanOf(3), pwVLAN: none, cookie: [2]string{"0102030405060708", ""}, sublayer: "default"}
	// Tags that are pushed or replaced on decap write over what was before the frame.
	pushed := &wire{name: "pushed", sid: [2]uint32{14, 24}, vlan: vlanOf(4), pwVLAN: none}
	replaced := &wire{name: "replaced", sid: [2]uint32{15, 25}, vlan: vlanOf(5), pwVLAN: [2]string{"300", "300"}}
	box := w.start(t, 0, config(0, plain, sub, cookie, both, pushed, replaced))
	for _, c := range []struct {
		wire             *wire
		cookie, sublayer string // as the peer sends them
		text             string
	}{
		{plain, "", "00000000", "peer seems to send a 4-byte sublayer; l2spec_type is none"},
		{plain, "a1a2a3a4", "", "peer seems to send a cookie of 4 bytes; rx_cookie is not set"},
		{plain, "a1a2a3a4a5a6a7a8", "40000001", "peer seems to send a 4-byte sublayer; l2spec_type is none; and peer seems to send a cookie of 8 bytes; rx_cookie is not set"},
		{sub, "", "", "peer seems to send no sublayer; l2spec_type is default"},
		{cookie, "a1a2a3a4", "", "peer seems to send another cookie than rx_cookie, of the same length"},
		{cookie, "a1a2a3a4a5a6a7a8", "", "peer seems to send a cookie of 8 bytes; rx_cookie has 4"},
		{cookie, "", "", "peer seems to send no cookie; rx_cookie has 4"},
		{both, "0102030405060708", "", "peer seems to send no sublayer; l2spec_type is default"},
		{pushed, "", "00000000", "peer seems to send a 4-byte sublayer; l2spec_type is none"},
		{pushed, "a1a2a3a4a5a6a7a8", "40000001", "peer seems to send a 4-byte sublayer; l2spec_type is none; and peer seems to send a cookie of 8 bytes; rx_cookie is not set"},
		{replaced, "", "00000000", "peer seems to send a 4-byte sublayer; l2spec_type is none"},
	} {
		t.Run(c.wire.name+" "+c.cookie+" "+c.sublayer, func(t *testing.T) {
			p := c.wire.to(arp())
			p.cookie, p.sublayer = c.cookie, c.sublayer
			before := sessionOf(t, box, c.wire.session())
			time.Sleep(lookAgain)
			w.inject(t, p)
			out, err := box.Run(t.Context(), "show", "session", c.wire.session())
			must(t, err)
			if after := sessionOf(t, box, c.wire.session()); after.Suspect != before.Suspect+1 || after.Suspicion != c.text {
				t.Errorf("suspect %d to %d, %q, want %q", before.Suspect, after.Suspect, after.Suspicion, c.text)
			}
			if !strings.Contains(string(out), c.text) {
				t.Errorf("show session does not say %q:\n%s", c.text, out)
			}
		})
	}
}

// TestSuspicionInAFlow: a peer that changes its settings while frames flow is found out too, as
// frames that follow each other are treated alike.
func TestSuspicionInAFlow(t *testing.T) {
	w := pair(t, shape{})
	x := &wire{name: "x", sid: [2]uint32{10, 20}, vlan: [2]string{"all", "all"}}
	box := w.start(t, 0, config(0, x))
	p := x.to(arp())
	for range 10 {
		w.inject(t, p)
	}
	if s := sessionOf(t, box, x.session()); s.Suspect != 0 || s.RxPackets != 10 {
		t.Errorf("right packets: suspect %d, rx_packets %d", s.Suspect, s.RxPackets)
	}
	p.sublayer = "00000000"
	for range 10 {
		time.Sleep(lookAgain)
		w.inject(t, p)
	}
	if s := sessionOf(t, box, x.session()); s.Suspect < 5 || s.RxPackets != 20 {
		t.Errorf("after the change: suspect %d, rx_packets %d", s.Suspect, s.RxPackets)
	}
}
