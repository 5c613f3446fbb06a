package control

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// end is one end of a lab: a channel, what it received, and its clock.
type end struct {
	t    *testing.T
	c    *Channel
	now  time.Time
	got  []byte // the last byte of each fresh message's body
	last Verdict
}

func newEnd(t *testing.T, s Settings) *end {
	if s.Version == 0 {
		s.Version = 3
	}
	return &end{t: t, c: NewChannel(s), now: time.Unix(1000, 0)}
}

// say is all that an end sends now.
func (e *end) say() (list []Message) {
	e.t.Helper()
	for {
		b, ok := e.c.Next(e.now, nil)
		if !ok {
			return list
		}
		m, err := Parse(b)
		if err != nil {
			e.t.Fatalf("sent %x: %v", b, err)
		}
		list = append(list, m)
	}
}

func (e *end) hear(list ...Message) {
	for _, m := range list {
		if e.last = e.c.Receive(&m); e.last == Fresh {
			e.got = append(e.got, m.Body[len(m.Body)-1])
		}
	}
}

// body is a HELLO with a mark at its end, in an AVP that nobody knows.
func body(mark byte) []byte {
	return AVP{Vendor: 9, Type: 1, Value: []byte{mark}}.Append(Body(Hello))
}

func numbers(list []Message) (ns []uint16) {
	for _, m := range list {
		ns = append(ns, m.Ns)
	}
	return ns
}

func TestAcknowledgements(t *testing.T) {
	for _, version := range []uint8{2, 3} {
		a, b := newEnd(t, Settings{Version: version, Peer: 22}), newEnd(t, Settings{Version: version, Peer: 11})
		a.c.Send(Body(Hello))
		sent := a.say()
		if len(sent) != 1 || sent[0].Ns != 0 || sent[0].Nr != 0 || sent[0].ID != 22 || sent[0].Type != Hello {
			t.Fatalf("version %d: sent %+v, want one HELLO with number 0 to id 22", version, sent)
		}
		b.hear(sent...)
		answer := b.say()
		if len(answer) != 1 || !answer[0].Acknowledges() || answer[0].Nr != 1 || answer[0].Ns != 0 || answer[0].ID != 11 {
			t.Fatalf("version %d: answered %+v, want an acknowledgement with Nr 1 to id 11", version, answer)
		}
		if want := map[uint8]Type{2: ZLB, 3: ACK}[version]; answer[0].Type != want {
			t.Errorf("version %d: answered with %v, want %v", version, answer[0].Type, want)
		}
		a.hear(answer...)
		if !a.c.Idle() || a.last != Reply {
			t.Errorf("version %d: idle %v, verdict %v after the acknowledgement", version, a.c.Idle(), a.last)
		}
		if more := a.say(); more != nil {
			t.Errorf("version %d: an acknowledgement was answered with %+v", version, more)
		}
		// A message of b's own acknowledges what comes before it.
		a.c.Send(Body(Hello))
		b.hear(a.say()...)
		b.c.Send(Body(Hello))
		if both := b.say(); len(both) != 1 || both[0].Nr != 2 || both[0].Type != Hello {
			t.Errorf("version %d: b sent %+v, want one HELLO with Nr 2", version, both)
		}
	}
}

func TestBackOff(t *testing.T) {
	for _, test := range []struct {
		name     string
		s        Settings
		at       []time.Duration // of each transmission
		failedAt time.Duration
	}{
		{"defaults", Settings{}, []time.Duration{0, time.Second, 3 * time.Second}, 7 * time.Second},
		{"twice, 100 ms", Settings{Retry: 100 * time.Millisecond, Sends: 2}, []time.Duration{0, 100 * time.Millisecond}, 300 * time.Millisecond},
		{"capped at 8 s", Settings{Sends: 6}, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 23 * time.Second}, 31 * time.Second},
		{"longer than the cap", Settings{Retry: 10 * time.Second, Sends: 2}, []time.Duration{0, 10 * time.Second}, 20 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newEnd(t, test.s)
			start := a.now
			a.c.Send(Body(Hello))
			var at []time.Duration
			for range 100 {
				for _, m := range a.say() {
					if at = append(at, a.now.Sub(start)); m.Ns != 0 {
						t.Errorf("sent again with number %d", m.Ns)
					}
				}
				due, ok := a.c.Deadline()
				if !ok {
					break
				}
				a.now = due
			}
			if !slices.Equal(at, test.at) || !a.c.Failed() || a.now.Sub(start) != test.failedAt {
				t.Errorf("sent at %v, failed %v at %v; want %v, failed at %v", at, a.c.Failed(), a.now.Sub(start), test.at, test.failedAt)
			}
			a.c.Forget()
			a.c.Send(Body(Hello))
			if m := a.say(); len(m) != 1 || m[0].Ns != 1 {
				t.Errorf("after the failure sent %+v, want one message with number 1", m)
			}
		})
	}
}

// Slow start: one message, then two, then four, then by one for each whole window.
func TestWindow(t *testing.T) {
	a, b := newEnd(t, Settings{Window: 5}), newEnd(t, Settings{})
	for i := range 40 {
		a.c.Send(body(byte(i)))
	}
	var sizes []int
	for range 6 {
		sent := a.say()
		sizes = append(sizes, len(sent))
		b.hear(sent...)
		a.hear(b.say()...)
	}
	if want := []int{1, 2, 4, 5, 5, 5}; !slices.Equal(sizes, want) {
		t.Errorf("windows %v, want %v", sizes, want)
	}
	lost := a.say()
	a.now = a.now.Add(time.Second)
	a.say()
	if a.c.window != 1 || a.c.threshold >= len(lost) {
		t.Errorf("after a loss window %d, threshold %d; want 1 and less than %d", a.c.window, a.c.threshold, len(lost))
	}
}

func TestWrongNumbers(t *testing.T) {
	strict := newEnd(t, Settings{})
	hello := func(ns, nr uint16) Message {
		return Message{Version: 3, Ns: ns, Nr: nr, Type: Hello, Body: Body(Hello)}
	}
	for _, step := range []struct {
		name   string
		m      Message
		want   Verdict
		wantNr int // of the answer; -1: none
	}{
		{"ahead", hello(1, 0), Early, 0},
		{"next", hello(0, 0), Fresh, 1},
		{"again", hello(0, 0), Duplicate, 1},
		{"acknowledges what was never sent", hello(1, 1), Senseless, -1},
		{"next again", hello(1, 0), Fresh, 2},
		{"from before the wrap", hello(0xffff, 0), Duplicate, 2},
	} {
		strict.hear(step.m)
		nr := -1
		for _, m := range strict.say() {
			nr = int(m.Nr)
		}
		if strict.last != step.want || nr != step.wantNr {
			t.Errorf("%s: verdict %d, answer's Nr %d; want %d, %d", step.name, strict.last, nr, step.want, step.wantNr)
		}
	}
}

// Either end of a static tunnel begins anew at 0 and the other goes on where it was.
func TestStaticRestart(t *testing.T) {
	for _, far := range []uint16{2, 57, 40000, 65535} {
		for _, restarted := range []string{"sender", "answerer"} {
			a, b := newEnd(t, Settings{Static: true}), newEnd(t, Settings{Static: true})
			if restarted == "sender" {
				b.c.nr = far
			} else {
				a.c.ns = far
			}
			sends := 0
			a.c.Send(Body(Hello))
			for !a.c.Idle() {
				sent := a.say()
				if sends += len(sent); sends > 2 {
					t.Errorf("%s began anew, numbers %d apart: not acknowledged after two messages", restarted, far)
					break
				}
				b.hear(sent...)
				a.hear(b.say()...)
				a.now = a.now.Add(time.Second)
			}
			// From here on the numbers agree.
			a.c.Send(Body(Hello))
			b.hear(a.say()...)
			if a.hear(b.say()...); b.last != Fresh || !a.c.Idle() {
				t.Errorf("%s began anew, numbers %d apart: the next HELLO is not taken at once", restarted, far)
			}
		}
	}
}

// A peer that keeps to the RFC answers a HELLO of our new start with the number that it expects.
func TestStaticAgainstStrict(t *testing.T) {
	for _, far := range []uint16{3, 57, 40000} {
		a, b := newEnd(t, Settings{Static: true}), newEnd(t, Settings{})
		b.c.nr = far
		a.c.Send(Body(Hello))
		for range 3 {
			b.hear(a.say()...)
			a.hear(b.say()...)
			a.now = a.now.Add(2 * time.Second)
		}
		if !a.c.Idle() {
			t.Errorf("numbers %d apart: not acknowledged", far)
		}
	}
}

// Two ends over a wire that loses, doubles and swaps messages: all come, once and in order.
func TestLossyWire(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		a, b := newEnd(t, Settings{Sends: 30, Window: 1 + int(seed%8)}), newEnd(t, Settings{Sends: 30})
		a.c.ns, b.c.nr = 65530, 65530 // over the wrap
		var want []byte
		for i := range 60 {
			a.c.Send(body(byte(i)))
			want = append(want, byte(i))
		}
		var air []Message
		carry := func(from, to *end) {
			air = air[:0]
			for _, m := range from.say() {
				for r.IntN(10) < 7 {
					air = append(air, m)
				}
			}
			r.Shuffle(len(air), func(i, j int) { air[i], air[j] = air[j], air[i] })
			to.hear(air...)
		}
		for round := 0; !a.c.Idle() && !a.c.Failed() && round < 20000; round++ {
			carry(a, b)
			carry(b, a)
			a.now = a.now.Add(200 * time.Millisecond)
		}
		if !slices.Equal(b.got, want) || !a.c.Idle() {
			t.Fatalf("seed %d: %d of %d messages came: %v", seed, len(b.got), len(want), b.got)
		}
	}
}

func TestNumbersAreInOrder(t *testing.T) {
	a := newEnd(t, Settings{Window: 4})
	a.c.window, a.c.ns = 4, 0xfffe
	for range 4 {
		a.c.Send(Body(Hello))
	}
	if got, want := numbers(a.say()), []uint16{0xfffe, 0xffff, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("numbers %v, want %v", got, want)
	}
}
