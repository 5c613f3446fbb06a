package pw

import (
	"fmt"
	"testing"

	"xwire/l2tp"
)

// newOAMBox has session 5 with cookie and sublayer at port 1, and a packet of it with a VCCV message.
func newOAMBox(t testing.TB, body string) (*rig, SessionID, []byte) {
	table := NewTable(1)
	table.SetPort(0, PortSpec{Core: true})
	id := must(table.AddTunnel(ip6))(t)
	s := SessionSpec{Tunnel: id, SID: 5, PSID: 5, Type: l2tp.PWEth, Sublayer: l2tp.SublayerDefault, AC: Attachment{Port: 1},
		RxCookies: [2]l2tp.Cookie{cookie(t, "01020304")}, RxCookieCount: 1}
	return newRig(t, table), must(table.AddSession(s))(t), keyedPacket(t, "00000005", "01020304"+body)
}

func TestOAM(t *testing.T) {
	const bfd = "80000007" + "20c0030000000001000000020000000300000004" // up to where it does not matter
	r, id, p := newOAMBox(t, bfd)
	q := r.table.Forwarder(0).OAM()
	buf := make([]byte, 0, MaxOAM)
	if _, ok := q.Take(buf); ok {
		t.Fatal("a message before there was one")
	}
	wrong := append([]byte(nil), p...)
	wrong[58]++ // of the cookie
	r.one(0, wrong)
	if _, ok := q.Take(buf); ok {
		t.Fatal("a message with a wrong cookie was handed over")
	}
	if out, _ := r.one(0, p); out != NoPort {
		t.Fatalf("left by port %d", out)
	}
	select {
	case <-q.Came():
	default:
		t.Error("the reader was not told")
	}
	m, ok := q.Take(buf)
	if !ok || m.Session != id || m.Time != 1 || fmt.Sprintf("%x", m.Message) != bfd {
		t.Fatalf("took %+v, %v, want %s of session %d", m, ok, bfd, id)
	}
	if v := l2tp.VCCV(m.Message); !v.Valid() || v.Channel() != l2tp.ChannelBFD || len(v.Payload()) != len(bfd)/2-4 {
		t.Errorf("message %x: valid %v, channel %#x", m.Message, v.Valid(), v.Channel())
	}
	if _, ok := q.Take(buf); ok {
		t.Error("the message came twice")
	}
	if c := r.table.SessionCounters(id); c.RxOAM != 1 || dropsAt(r.table, 0)["oam"] != 1 {
		t.Errorf("counted %+v, dropped %v", c, dropsAt(r.table, 0))
	}
	assertNoAllocs(t, r, 0, 256, p)
}

// A queue that nobody reads costs nothing but what it loses, and goes on once it is read.
func TestOAMFull(t *testing.T) {
	r, _, p := newOAMBox(t, "80000007")
	q := r.table.Forwarder(0).OAM()
	buf := make([]byte, 0, MaxOAM)
	for range oamSlots + 3 {
		r.one(0, p)
	}
	if handed, lost := q.Count(); handed != oamSlots || lost != 3 {
		t.Errorf("%d handed over and %d lost, want %d and 3", handed, lost, oamSlots)
	}
	for i := range oamSlots {
		if _, ok := q.Take(buf); !ok {
			t.Fatalf("%d messages in the queue, want %d", i, oamSlots)
		}
	}
	r.one(0, p)
	if _, ok := q.Take(buf); !ok {
		t.Error("nothing came after the queue was emptied")
	}
	long, _, p := newOAMBox(t, "80000021"+fmt.Sprintf("%0*d", 2*MaxOAM, 0))
	long.one(0, p)
	if handed, lost := long.table.Forwarder(0).OAM().Count(); handed != 0 || lost != 1 {
		t.Errorf("a message of more than %d bytes: %d handed over, %d lost", MaxOAM, handed, lost)
	}
}

// One goroutine reads while the worker writes.
func TestOAMAcross(t *testing.T) {
	r, id, p := newOAMBox(t, "8000000701020304")
	q := r.table.Forwarder(0).OAM()
	const all = 5000
	read, done := make(chan int), make(chan struct{})
	go func() {
		n := 0
		buf := make([]byte, 0, MaxOAM)
		for more := true; more; {
			select {
			case <-q.Came():
			case <-done:
				more = false
			}
			for {
				m, ok := q.Take(buf)
				if !ok {
					break
				}
				if n++; m.Session != id || fmt.Sprintf("%x", m.Message) != "8000000701020304" {
					t.Errorf("message %d: %+v", n, m)
				}
			}
		}
		read <- n
	}()
	for range all {
		r.one(0, p)
	}
	close(done)
	n := <-read
	if handed, lost := q.Count(); n != int(handed) || uint64(handed)+lost != all {
		t.Errorf("%d read, %d handed over, %d lost, want %d in all", n, handed, lost, all)
	}
}
