package control

import (
	"slices"
	"time"
)

// Settings of a channel. The zero value of each but Version and Peer is its default.
type Settings struct {
	Version uint8         // 2 or 3
	Peer    uint32        // the id that the peer gave: it goes into each header
	Retry   time.Duration // until a message is sent again, doubled each time up to 8 s; 1 s
	Sends   int           // how often a message is sent before the peer counts as unreachable; 3
	Window  int           // messages sent and not acknowledged, at most; 4

	// Static is for tunnels that no SCCRQ sets up. Either end may begin anew at 0 at any time and
	// nothing tells the other. Then what the peer numbers otherwise than expected is taken as it
	// comes; a message that does nothing but acknowledge answers what is in flight, whatever it
	// counts, because nothing else would have the peer send it; and the own numbers follow what
	// the peer expects. Only messages that may be taken twice (HELLO) can travel so.
	Static bool
}

const (
	defaultRetry  = time.Second
	defaultSends  = 3
	defaultWindow = 4
	retryCap      = 8 * time.Second // RFC 3931 section 4.2: no less than that
)

// Verdict is what a channel says of a received message.
type Verdict uint8

const (
	Fresh     Verdict = iota // the next message: act on it
	Duplicate                // acknowledged again
	Early                    // ones before it are missing: the peer sends it again
	Reply                    // an acknowledgement only
	Senseless                // acknowledges what was never sent: not taken
)

// Channel is one end's reliable delivery of control messages, RFC 3931 section 4.2 and appendix A,
// RFC 2661 section 5.8. It is driven by Receive, Next and Deadline, and is not safe for concurrent
// use.
type Channel struct {
	s      Settings
	ns, nr uint16 // of the next message sent; of the next one expected
	queue  [][]byte
	flight []sent

	window, threshold, acks int // congestion window, slow start threshold, acks in this window
	owes                    bool
	failed                  bool
	expects                 uint16 // Static: the number that the peer expects, if misnumbered
	misnumbered             bool
}

// sent is a message in flight.
type sent struct {
	ns    uint16
	times int
	due   time.Time // when it is sent again, or given up
	body  []byte
}

// NewChannel returns a channel whose first message has the number 0.
func NewChannel(s Settings) *Channel {
	if s.Retry <= 0 {
		s.Retry = defaultRetry
	}
	if s.Sends <= 0 {
		s.Sends = defaultSends
	}
	if s.Window <= 0 {
		s.Window = defaultWindow
	}
	return &Channel{s: s, window: 1, threshold: s.Window}
}

// Send queues a message. Next has it when the window allows.
func (c *Channel) Send(body []byte) { c.queue = append(c.queue, body) }

// Idle reports that every message sent was acknowledged.
func (c *Channel) Idle() bool { return len(c.queue) == 0 && len(c.flight) == 0 }

// Failed reports that a message was sent as often as the settings allow and not acknowledged.
func (c *Channel) Failed() bool { return c.failed }

// Forget drops what was not acknowledged, so that the channel can be tried anew.
func (c *Channel) Forget() {
	c.queue, c.flight, c.failed = nil, nil, false // their numbers are used: the peer may have had them
	c.window, c.acks = 1, 0
	if c.s.Static {
		// A peer that was away has most likely begun anew, and some (go-l2tp) never recover from a
		// number that they do not expect yet. One that goes on where it was answers this, too.
		c.ns, c.misnumbered = 0, false
	}
}

// before compares numbers modulo 2^16.
func before(a, b uint16) bool { return a != b && b-a < 0x8000 }

// Receive takes a message of the peer. Its id and version are the caller's to check.
func (c *Channel) Receive(m *Message) Verdict {
	if c.s.Static && m.Acknowledges() {
		for range c.flight {
			c.grow()
		}
		c.flight, c.ns, c.misnumbered = nil, m.Nr, false
		return Reply
	}
	if !c.acknowledged(m.Nr) {
		return Senseless
	}
	if m.Acknowledges() {
		return Reply
	}
	c.owes = true
	switch {
	case m.Ns == c.nr:
	case c.s.Static && m.Ns != c.nr-1: // the peer began anew, or we did
	case before(m.Ns, c.nr):
		return Duplicate
	default:
		return Early
	}
	c.nr = m.Ns + 1
	return Fresh
}

// acknowledged takes the peer's Nr. It reports false for one that cannot be.
func (c *Channel) acknowledged(nr uint16) bool {
	oldest := c.ns
	if len(c.flight) > 0 {
		oldest = c.flight[0].ns
	}
	switch {
	case before(c.ns, nr):
		if !c.s.Static {
			return false
		}
		// It remembers an earlier start of ours, and answers this one.
		c.ns = nr
	case before(nr, oldest):
		if c.s.Static {
			// It began anew, or this was long on its way: known when the message is sent again.
			c.expects, c.misnumbered = nr, true
		}
		return true
	}
	c.misnumbered = false
	done := 0
	for done < len(c.flight) && before(c.flight[done].ns, nr) {
		done++
	}
	c.flight = slices.Delete(c.flight, 0, done)
	for range done {
		c.grow()
	}
	return true
}

// grow opens the congestion window for one message acknowledged: by one each in slow start, else
// by one for each whole window.
func (c *Channel) grow() {
	if c.window >= c.s.Window {
		return
	}
	if c.window >= c.threshold {
		if c.acks++; c.acks < c.window {
			return
		}
		c.acks = 0
	}
	c.window++
}

// Deadline is when Next is to be called again; false: not before something is sent or received.
func (c *Channel) Deadline() (time.Time, bool) {
	var first time.Time
	for i := range c.flight {
		if first.IsZero() || c.flight[i].due.Before(first) {
			first = c.flight[i].due
		}
	}
	return first, !first.IsZero() && !c.failed
}

// Next appends to b the next message that is to be sent now, if there is one: call it until there
// is none.
func (c *Channel) Next(now time.Time, b []byte) ([]byte, bool) {
	for i := range c.flight {
		m := &c.flight[i]
		if c.failed || now.Before(m.due) {
			continue
		}
		if m.times >= c.s.Sends {
			c.failed = true
			continue
		}
		c.threshold, c.window, c.acks = max(c.window/2, 1), 1, 0
		c.renumber()
		return c.transmit(now, m, b), true
	}
	if len(c.queue) > 0 && len(c.flight) < c.window && !c.failed {
		if len(c.flight) == 0 {
			c.renumber()
		}
		c.flight = append(c.flight, sent{ns: c.ns, body: c.queue[0]})
		c.queue = slices.Delete(c.queue, 0, 1)
		c.ns++
		return c.transmit(now, &c.flight[len(c.flight)-1], b), true
	}
	if c.owes {
		c.owes = false
		m := Message{Version: c.s.Version, ID: c.s.Peer, Ns: c.ns, Nr: c.nr}
		if m.Version == 3 {
			m.Body = Body(ACK)
		}
		return m.Append(b), true
	}
	return b, false
}

// renumber gives the messages in flight the numbers that the peer waits for.
func (c *Channel) renumber() {
	if !c.misnumbered {
		return
	}
	c.misnumbered = false
	c.ns = c.expects
	for i := range c.flight {
		c.flight[i].ns = c.ns
		c.ns++
	}
}

func (c *Channel) transmit(now time.Time, m *sent, b []byte) []byte {
	wait := c.s.Retry
	for range m.times {
		if wait = 2 * wait; wait >= retryCap {
			wait = max(retryCap, c.s.Retry)
			break
		}
	}
	m.times++
	m.due = now.Add(wait)
	c.owes = false // its Nr acknowledges
	out := Message{Version: c.s.Version, ID: c.s.Peer, Ns: m.ns, Nr: c.nr, Body: m.body}
	return out.Append(b)
}
