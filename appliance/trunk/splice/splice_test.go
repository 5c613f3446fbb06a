package splice

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// frame has MAC addresses, what stands after them in hexadecimal, and then bytes that differ.
func frame(after string, size int) []byte {
	b, err := hex.DecodeString("020000000002" + "020000000001" + after)
	if err != nil {
		panic(err)
	}
	for len(b) < size {
		b = append(b, byte(len(b)))
	}
	return b
}

// tagged puts tags after the MAC addresses of a frame.
func tagged(tags string, f []byte) []byte {
	t, err := hex.DecodeString(tags)
	if err != nil {
		panic(err)
	}
	return append(append(append([]byte{}, f[:12]...), t...), f[12:]...)
}

const local = "88b5" // an EtherType for experiments

func TestTags(t *testing.T) {
	newTrunk(t, "1")
	at := newPeek(t)
	s := start(t)
	join(t, s, Place{CVLAN: 7}, newInterface(t, "one"))
	join(t, s, Place{SVLAN: 3, CVLAN: 7}, newInterface(t, "two"))
	inner := newSocket(t, "po")
	n := uint64(0)
	for _, c := range []struct{ name, tags string }{{"one", "81000007"}, {"two", "88a8000381000007"}} {
		outer := newSocket(t, c.name)
		// The largest is a full frame with a tag of the customer's.
		for _, f := range [][]byte{frame(local, 60), frame(local, 1514), frame("81000fff"+local, 1518)} {
			outer.send(t, f)
			n++
			if got, want := at.last(t, n), tagged(c.tags, f)[:peeked]; !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes, on the trunk:\n%x, want\n%x", c.name, len(f), got, want)
			}
		}
		for _, f := range [][]byte{frame(local, 60), frame(local, 1514)} {
			inner.send(t, tagged(c.tags, f))
			if got := outer.receive(t, soon); !bytes.Equal(got, f) {
				t.Errorf("%s, %d bytes, received:\n%x, want\n%x", c.name, len(f), got, f)
			}
		}
		// A tag of the customer's stays; the packet socket shows it beside the frame.
		inner.send(t, tagged(c.tags, frame("81000fff"+local, 1518)))
		if got, want := outer.receive(t, soon), frame(local, 1518)[:1514]; len(got) != len(want) || !bytes.Equal(got[:14], want[:14]) {
			t.Errorf("%s: with a tag inside, received %x", c.name, got[:min(len(got), 20)])
		}
	}
	if d, err := s.Drops(); err != nil || d != (Drops{}) {
		t.Errorf("Drops = %+v, %v, want none", d, err)
	}
}

func TestDrops(t *testing.T) {
	newTrunk(t, "1")
	newPeek(t)
	s := start(t)
	end := newInterface(t, "one")
	join(t, s, Place{CVLAN: 7}, end)
	inner, stack := newSocket(t, "po"), newSocket(t, "st")
	want := Drops{}
	drops := func(what string) {
		t.Helper()
		got, err := s.Drops()
		for deadline := time.Now().Add(soon); err == nil && got != want && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			got, err = s.Drops()
		}
		if err != nil || got != want {
			t.Errorf("%s: Drops = %+v, %v, want %+v", what, got, err, want)
		}
	}
	f := frame(local, 60)
	for _, tags := range []string{"81000008", "88a8000781000007", "88a8000381000007"} {
		inner.send(t, tagged(tags, f))
		want.NoPlace++
	}
	drops("other tags")
	for _, tags := range []string{"", "88a80007", "91000007"} {
		inner.send(t, tagged(tags, f))
		want.Untagged++
	}
	drops("no tags of a place")
	if got := stack.receive(t, 500*time.Millisecond); got != nil {
		t.Errorf("the stack got %x", got)
	}
	s.Leave(Place{CVLAN: 7})
	s.Leave(Place{CVLAN: 7})
	inner.send(t, tagged("81000007", f))
	want.NoPlace++
	drops("after Leave")
	join(t, s, Place{CVLAN: 7}, end)
	run(t, "ip link del one")
	inner.send(t, tagged("81000007", f))
	want.NoPlace++
	drops("deleted")
	// Its place is free for another device.
	join(t, s, Place{CVLAN: 7}, newInterface(t, "one"))
	outer := newSocket(t, "one")
	inner.send(t, tagged("81000007", f))
	if got := outer.receive(t, soon); !bytes.Equal(got, f) {
		t.Errorf("made anew, received %x", got)
	}
	drops("made anew")
}

// Frames of one flow stay in one queue of the trunk, and flows spread over all.
func TestQueues(t *testing.T) {
	newTrunk(t, "2")
	at := newPeek(t)
	s := start(t)
	join(t, s, Place{CVLAN: 7}, newInterface(t, "one"))
	run(t, "ip addr add 10.0.0.1/24 dev one")
	run(t, "ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev one nud permanent")
	for flow := range 16 {
		before := at.perQueue(t)
		at.sendDatagrams(t, fmt.Sprintf("10.0.0.2:%d", 1000+flow), 8)
		after := at.perQueue(t)
		if a, b := after[0]-before[0], after[1]-before[1]; a+b != 8 || a*b != 0 {
			t.Errorf("flow %d: %d frames in queue 0, %d in queue 1", flow, a, b)
		}
	}
	if q := at.perQueue(t); q[0] == 0 || q[1] == 0 {
		t.Errorf("16 flows in one queue: %v", q)
	}
}

func TestOneOwner(t *testing.T) {
	newTrunk(t, "1")
	s := start(t)
	if _, err := Load(Config{Stack: index(t, "st"), Name: "st"}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second Load = %v, want a refusal", err)
	}
	join(t, s, Place{CVLAN: 7}, newInterface(t, "one"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command("ip", "link", "show").Output(); strings.Contains(string(out), "xdp") {
		t.Errorf("programs left after Close:\n%s", out)
	}
	again, err := Load(Config{Stack: index(t, "st"), Name: "st"})
	if err != nil {
		t.Fatal(err)
	}
	join(t, again, Place{CVLAN: 7}, index(t, "x-one"))
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
