package liveness

import (
	"fmt"
	"time"

	"xwire/l2tp/control"
)

// probeCap is the longest time between two tries to reach a peer that is down.
const probeCap = 8 * time.Second

// hello keeps one tunnel alive. It has no socket and no clock, and is not safe for concurrent use.
type hello struct {
	interval time.Duration // 0: only answers
	sends    int
	ch       *control.Channel
	due      time.Time // of the next HELLO, unless one is in flight
	status   Status
}

// newHello returns the keeper of a tunnel whose first HELLO is due at first.
func newHello(t *Tunnel, first time.Time) *hello {
	s := control.Settings{Version: t.Version, Peer: t.PTID, Retry: t.Retry, Sends: t.Sends, Window: t.Window, Static: true}
	h := &hello{interval: t.Hello, sends: t.Sends, ch: control.NewChannel(s), due: first}
	if h.sends == 0 {
		h.sends = 3
	}
	h.status.Reason = h.notAsked()
	return h
}

func (h *hello) notAsked() string {
	if h.interval == 0 {
		return "hello_timeout is not set"
	}
	return "not answered yet"
}

// receive takes a message of the peer to this tunnel.
func (h *hello) receive(now time.Time, m *control.Message) {
	h.status.Received++
	waited := !h.ch.Idle()
	verdict := h.ch.Receive(m)
	if verdict == control.Senseless {
		return
	}
	h.status.Heard = now
	if h.interval == 0 {
		return
	}
	switch {
	case waited && h.ch.Idle():
		h.turn(now, Up, "")
		h.due = now.Add(h.interval)
	case h.status.State == Up:
		// One that is sent again tells that our acknowledgement did not arrive: that does not put our
		// question off.
		if verdict != control.Duplicate {
			h.due = now.Add(h.interval)
		}
	case h.ch.Idle(): // it is back: ask at once, for it may not hear us
		h.due = now
	}
}

// next appends to b what is to be sent now, if there is anything: call it until there is nothing.
func (h *hello) next(now time.Time, b []byte) ([]byte, bool) {
	if h.interval > 0 && h.ch.Idle() && !now.Before(h.due) {
		h.ch.Send(control.Body(control.Hello))
	}
	b, ok := h.ch.Next(now, b)
	if ok {
		h.status.Sent++
	}
	if h.ch.Failed() {
		h.ch.Forget()
		h.due = now.Add(min(h.interval, probeCap))
		h.turn(now, Down, fmt.Sprintf("peer acknowledged none of %d HELLOs", h.sends))
	}
	return b, ok
}

// deadline is when next is to be called again, if nothing comes before.
func (h *hello) deadline() (time.Time, bool) {
	if h.interval > 0 && h.ch.Idle() {
		return h.due, true
	}
	return h.ch.Deadline()
}

// begin is for a tunnel whose socket was opened; the first HELLO is due at first.
func (h *hello) begin(first time.Time) {
	h.ch.Forget()
	h.due = first
	if h.status.State == Unknown {
		h.status.Reason = h.notAsked()
	}
}

// end tells that the tunnel has no socket.
func (h *hello) end(now time.Time, reason string) {
	h.turn(now, Unknown, reason)
}

func (h *hello) turn(now time.Time, s State, reason string) {
	if h.status.Reason = reason; h.status.State != s {
		h.status.State, h.status.Since = s, now
	}
}
