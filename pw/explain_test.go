package pw

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

type testNames struct{}

func (testNames) PortName(p uint16) string        { return fmt.Sprintf("port%d", p) }
func (testNames) TunnelName(id TunnelID) string   { return fmt.Sprintf("tunnel%d", id) }
func (testNames) SessionName(id SessionID) string { return fmt.Sprintf("session%d", id) }

// agrees holds an explanation to what Process does with the frame afterwards. spare counts the chunks
// that were given to make fragments in.
func agrees(t *testing.T, r *rig, spare *uint64, name string, port uint16, frame []byte) {
	t.Helper()
	x := r.table.Explain(frame, port, testNames{})
	before := dropsAt(r.table, port)
	f := r.table.Forwarder(0)
	for f.Spares() < 8 {
		*spare++
		f.Supply([]uint64{(100+*spare%100)*minChunk + 256})
	}
	got, why, dropped := f.Alone(r.mem, r.put(0, port, 256, frame), 1, r.out[:0])
	after := dropsAt(r.table, port)
	bad := 0
	for _, s := range x.Steps {
		if !s.OK {
			bad++
		}
	}
	var sent []Frame
	for _, o := range got {
		if o.Out < gone {
			sent = append(sent, o)
		}
	}
	switch {
	case why == DropStorm || why == DropPoliced || why == DropOld: // it tells of the first frame
	case dropped && (len(x.Out) > 0 || x.Drop != why || bad != 1 || x.Steps[len(x.Steps)-1].OK):
		t.Errorf("%s: dropped for %v (%v to %v), explained as %v\n%v", name, why, before, after, x.Drop, x.Steps)
	case !dropped && (bad != 0 || len(x.Out) != len(sent)):
		t.Errorf("%s: sent as %+v, explained as %+v\n%v", name, sent, x.Out, x.Steps)
	case !dropped:
		for i, o := range sent {
			if a, b := withoutFragmentID(r.bytes(o)), withoutFragmentID(x.Out[i].Frame); o.Out != x.Out[i].Port || !bytes.Equal(a, b) {
				t.Errorf("%s: sent by port %d\n%x\nexplained as by port %d\n%x", name, o.Out, a, x.Out[i].Port, b)
			}
		}
	}
}

// withoutFragmentID is withoutRandom, and for fragments over IPv6 too.
func withoutFragmentID(frame []byte) []byte {
	b := withoutRandom(frame)
	if at := 14 + 4*len(tagsOf(b)); len(b) >= at+48 && u16(b[at-2:]) == 0x86dd && b[at+6] == 44 {
		clear(b[at+44 : at+48])
	}
	return b
}

func TestExplainDrops(t *testing.T) {
	for _, c := range dropCases(t) {
		if c.room != 0 { // of frames that are in memory, not of those that were received
			continue
		}
		t.Run(c.why.String()+"/"+c.name, func(t *testing.T) {
			table := dropBox(t)
			if c.change != nil {
				c.change(table)
			}
			agrees(t, newRig(t, table), new(uint64), c.name, c.port, c.frame)
		})
	}
}

// TestExplainAgainstProcess: in random worlds it says what Process then does.
func TestExplainAgainstProcess(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 99))
		w := newWorld(t, rng, 1)
		r := newRig(t, w.table)
		spare := uint64(0)
		for range 40 {
			id := pick(rng, w.sessions...)
			s, _ := w.table.Session(id)
			if s.Sequence != (Sequence{}) { // what is told is of the first frame
				continue
			}
			agrees(t, r, &spare, fmt.Sprintf("seed %d, customer of session %d", seed, id), s.AC.Port%worldPorts, w.customer(id))
			agrees(t, r, &spare, fmt.Sprintf("seed %d, packet for session %d", seed, id), uint16(rng.IntN(2)), w.packet(id, rng.IntN(3) == 0))
		}
	}
}

// TestExplainSteps: in words, and without a cookie in them.
func TestExplainSteps(t *testing.T) {
	table := dropBox(t)
	text := func(x Explanation) string {
		var b strings.Builder
		for _, s := range x.Steps {
			fmt.Fprintf(&b, "%v %s: %s\n", s.OK, s.What, s.Text)
		}
		return b.String()
	}
	a := wire(t, dropIP4...)
	x := table.Explain(a, 0, testNames{})
	for _, want := range []string{
		"true outer: 198.51.100.7 to 192.0.2.1, protocol 115, session id 100", "true tunnel: tunnel1", "true session: session1",
		"true cookie: 8 bytes, right", "true sublayer: 00000000, without a sequence number", "true inner: 26 bytes", "VLAN 100",
	} {
		if got := text(x); !strings.Contains(got, want) {
			t.Errorf("decap: no %q in\n%s", want, got)
		}
	}
	if x.Way != WayDecap || x.Session != 1 || len(x.Out) != 1 || x.Out[0].Port != 1 {
		t.Errorf("decap: %+v", x)
	}
	x = table.Explain(patch(a, 38, 9), 0, testNames{})
	if got := text(x); x.Drop != DropCookieMismatch || !strings.HasSuffix(got, "false cookie: "+DropCookieMismatch.Help()+"\n") || strings.Contains(got, "0102030405") {
		t.Errorf("wrong cookie: %v\n%s", x.Drop, got)
	}
	x = table.Explain(wire(t, dropInner...), 1, testNames{})
	for _, want := range []string{"true session: session1 takes VLAN 100 of port port1", "true tunnel: tunnel1, 192.0.2.1 to 198.51.100.7, ip", "true next hop: port port0"} {
		if got := text(x); !strings.Contains(got, want) {
			t.Errorf("encap: no %q in\n%s", want, got)
		}
	}
}

// A first outer fragment waits for the others; one of the others alone is dropped.
func TestExplainFragments(t *testing.T) {
	for _, tun := range sizedTunnels {
		near, far := reassembler(t, tun, 1500)
		spare := uint64(0)
		for i, b := range fragmentsOf(t, near, payload(1514, 1)) {
			agrees(t, far, &spare, fmt.Sprint("fragment ", i), 0, b)
			far.table.Forwarder(0).Expire(far.mem, 1<<62, nil)
		}
	}
}
