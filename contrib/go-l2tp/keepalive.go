package gol2tp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/katalix/go-l2tp/l2tp"
	"golang.org/x/sys/unix"

	"xwire/l2tp/control"
)

// Probe sends the peer of a tunnel a HELLO whose number was used already. The peer takes it for a
// repetition, which it must acknowledge and not act on (RFC 2661 section 5.8), so that go-l2tp's own
// numbers go on undisturbed.
func (p *Plane) Probe(tid l2tp.ControlConnID, ns, nr uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tunnels[tid]
	if t == nil || t.control < 0 {
		return fmt.Errorf("probe tunnel %d: it has no socket", tid)
	}
	m := control.Message{Version: t.version, ID: uint32(t.peer), Ns: ns, Nr: nr, Body: control.Body(control.Hello)}
	err := unix.Send(t.control, m.Append(nil), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err != nil && !errors.Is(err, unix.ECONNREFUSED) { // ICMP's word on an earlier one
		return fmt.Errorf("probe tunnel %s: %w", t.name, err)
	}
	return nil
}

// keepalive probes a tunnel when nothing came for its interval, and returns when the peer answers
// none of its probes, or ctx ends.
type keepalive struct {
	plane    *Plane
	log      *Log
	tunnel   string // go-l2tp's name
	tid      l2tp.ControlConnID
	interval time.Duration
	retry    time.Duration
	sends    int
}

func (k *keepalive) run(ctx context.Context) error {
	start := time.Now()
	for {
		last := k.log.heard(k.tunnel).at
		if last.IsZero() {
			last = start
		}
		if !sleep(ctx, time.Until(last.Add(k.interval))) {
			return nil
		}
		if k.log.heard(k.tunnel).at.After(last) {
			continue
		}
		if !k.probe(ctx, last) {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("peer answered none of %d HELLOs", k.sends)
		}
	}
}

// probe reports whether the peer answered.
func (k *keepalive) probe(ctx context.Context, last time.Time) bool {
	wait := k.retry
	for range k.sends {
		h := k.log.heard(k.tunnel)
		if err := k.plane.Probe(k.tid, h.ns, h.nr); err != nil {
			k.log.To.Warn("probe", "tunnel", k.tunnel, "error", err)
		}
		for end := time.Now().Add(wait); time.Now().Before(end); {
			if !sleep(ctx, min(wait/10, 100*time.Millisecond)) {
				return false
			}
			if k.log.heard(k.tunnel).at.After(last) {
				return true
			}
		}
		wait = min(2*wait, 8*time.Second)
	}
	return false
}

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(max(d, time.Millisecond)):
		return true
	}
}
