package liveness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"xwire/l2tp/control"
)

// script drives a hello by a clock of its own, and notes what it sends and which state it takes.
type script struct {
	t   *testing.T
	h   *hello
	at  time.Duration // since the start
	log []string
}

var epoch = time.Unix(1_000_000, 0)

func (s *script) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%v ", s.at)+fmt.Sprintf(format, args...))
}

func (s *script) now() time.Time { return epoch.Add(s.at) }

func (s *script) speak() {
	s.t.Helper()
	for {
		before := s.h.status.State
		b, ok := s.h.next(s.now(), nil)
		if ok {
			m, err := control.Parse(b)
			if err != nil {
				s.t.Fatal(err)
			}
			s.note("%v %d/%d", m.Type, m.Ns, m.Nr)
		}
		if st := s.h.status.State; st != before {
			s.note("is %v", st)
		}
		if !ok {
			return
		}
	}
}

// until lets the time pass.
func (s *script) until(at time.Duration) {
	s.t.Helper()
	for {
		due, ok := s.h.deadline()
		if !ok || due.Sub(epoch) > at {
			s.at = at
			return
		}
		s.at = max(s.at, due.Sub(epoch))
		s.speak()
	}
}

// hears has the peer say something.
func (s *script) hears(typ control.Type, ns, nr uint16) {
	s.t.Helper()
	before := s.h.status.State
	s.h.receive(s.now(), &control.Message{Version: 3, ID: 1, Ns: ns, Nr: nr, Type: typ})
	if st := s.h.status.State; st != before {
		s.note("is %v", st)
	}
	s.speak()
}

func TestHello(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name string
		t    Tunnel
		run  func(c *script)
		want string
	}{
		{"only answers", Tunnel{}, func(c *script) {
			c.until(100 * s)
			c.hears(control.Hello, 0, 0)
			c.hears(control.Hello, 0, 0) // our answer was lost
			c.hears(control.Hello, 1, 0)
		}, "1m40s ACK 0/1; 1m40s ACK 0/1; 1m40s ACK 0/2"},
		{"asks at its interval", Tunnel{Hello: 10 * s}, func(c *script) {
			c.speak()
			c.hears(control.ACK, 0, 1)
			c.until(10 * s)
			c.hears(control.ACK, 0, 2)
			c.until(15 * s)
		}, "0s HELLO 0/0; 0s is up; 10s HELLO 1/0"},
		{"the peer's messages put it off", Tunnel{Hello: 10 * s}, func(c *script) {
			c.speak()
			c.hears(control.ACK, 0, 1)
			c.until(9 * s)
			c.hears(control.Hello, 0, 1)
			c.until(18 * s)
			c.hears(control.Hello, 1, 1)
			c.until(27 * s)
			c.until(28 * s)
		}, "0s HELLO 0/0; 0s is up; 9s ACK 1/1; 18s ACK 1/2; 28s HELLO 1/2"},
		{"what the peer sends again does not put it off", Tunnel{Hello: 10 * s}, func(c *script) {
			c.speak()
			c.hears(control.ACK, 0, 1)
			c.until(9 * s)
			c.hears(control.Hello, 0, 1)
			c.until(12 * s)
			c.hears(control.Hello, 0, 1)
			c.until(18 * s)
			c.hears(control.Hello, 0, 1)
			c.until(19 * s)
		}, "0s HELLO 0/0; 0s is up; 9s ACK 1/1; 12s ACK 1/1; 18s ACK 1/1; 19s HELLO 1/1"},
		{"down after three, then tried again", Tunnel{Hello: 20 * s, Retry: s}, func(c *script) {
			c.speak()
			c.hears(control.ACK, 0, 1)
			c.until(35 * s)
			c.hears(control.ACK, 0, 3)
		}, "0s HELLO 0/0; 0s is up; 20s HELLO 1/0; 21s HELLO 1/0; 23s HELLO 1/0; 27s is down; 35s HELLO 0/0; 35s is up"},
		{"times of the tunnel", Tunnel{Hello: 500 * time.Millisecond, Retry: 100 * time.Millisecond, Sends: 2}, func(c *script) {
			c.speak()
			c.until(800 * time.Millisecond)
		}, "0s HELLO 0/0; 100ms HELLO 0/0; 300ms is down; 800ms HELLO 0/0"},
		{"a peer that comes back is asked at once", Tunnel{Hello: 60 * s}, func(c *script) {
			c.until(8 * s)
			c.hears(control.Hello, 0, 0)
			c.hears(control.ACK, 1, 1)
		}, "0s HELLO 0/0; 1s HELLO 0/0; 3s HELLO 0/0; 7s is down; 8s HELLO 0/1; 8s is up"},
		{"a HELLO does not prove that ours arrive", Tunnel{Hello: 60 * s}, func(c *script) {
			c.speak()
			c.hears(control.Hello, 0, 0)
		}, "0s HELLO 0/0; 0s ACK 1/1"},
		{"an acknowledgement of what was not asked is nothing", Tunnel{Hello: 60 * s}, func(c *script) {
			c.speak()
			c.hears(control.ACK, 0, 1)
			c.hears(control.ACK, 0, 1)
		}, "0s HELLO 0/0; 0s is up"},
		{"the peer began anew", Tunnel{Hello: 10 * s}, func(c *script) {
			c.h.ch.Receive(&control.Message{Ns: 56, Nr: 57, Type: control.ACK, Version: 3})
			c.speak()
			c.hears(control.ACK, 0, 0) // it has 57, and expects 0: an answer all the same
			c.until(10 * s)
			c.hears(control.ACK, 0, 1)
			c.hears(control.Hello, 0, 1)
		}, "0s HELLO 57/0; 0s is up; 10s HELLO 0/0; 10s ACK 1/1"},
		{"the peer began anew, and says so with a HELLO", Tunnel{Hello: 10 * s}, func(c *script) {
			c.h.ch.Receive(&control.Message{Ns: 56, Nr: 57, Type: control.ACK, Version: 3})
			c.hears(control.Hello, 0, 0)
		}, "0s HELLO 0/1"},
		{"StopCCN is acknowledged and no more", Tunnel{Hello: 10 * s}, func(c *script) {
			c.speak()
			c.hears(control.ACK, 0, 1)
			c.hears(control.StopCCN, 0, 1)
		}, "0s HELLO 0/0; 0s is up; 0s ACK 1/1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.t.Version = 3
			c := &script{t: t, h: newHello(&test.t, epoch)}
			test.run(c)
			if got := strings.Join(c.log, "; "); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}
