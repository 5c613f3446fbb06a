package capture

import (
	"xwire/pw"
	"xwire/rings"
)

// A Tap is all that a Forwarder is to rings, and sees what could not be sent.
var (
	_ rings.Spreader  = (*Tap)(nil)
	_ rings.Keeper    = (*Tap)(nil)
	_ rings.SpanMaker = (*Tap)(nil)
	_ rings.Watcher   = (*Tap)(nil)
)

// Tap stands between a worker and its Forwarder. It belongs to the worker's goroutine.
type Tap struct {
	*pw.Forwarder
	hub    *Hub
	worker int
	now    int64
	before []byte // the frame under way, as it was received
	record Record
}

// Tap is that of one worker.
func (h *Hub) Tap(worker int, f *pw.Forwarder) *Tap {
	return &Tap{Forwarder: f, hub: h, worker: worker, before: make([]byte, 0, h.longest())}
}

// Process is the Forwarder's, and shows what is wanted.
func (t *Tap) Process(mem []byte, in []rings.Frame, now int64, out []rings.Frame) []rings.Frame {
	if list := t.hub.active.Load(); list != nil {
		return t.watched(*list, mem, in, now, out)
	}
	return t.Forwarder.Process(mem, in, now, out)
}

// watched takes frames that may be wanted one by one, and those between them as ever.
func (t *Tap) watched(list []*Capture, mem []byte, in []rings.Frame, now int64, out []rings.Frame) []rings.Frame {
	t.now = now
	from := 0
	for i := range in {
		seen := t.Look(mem, in[i])
		wanted := false
		for _, c := range list {
			wanted = wanted || c.of(&seen)
		}
		if !wanted {
			continue
		}
		if from < i {
			out = t.Forwarder.Process(mem, in[from:i], now, out)
		}
		from = i + 1
		out = t.one(list, mem, in[i], &seen, now, out)
	}
	if from < len(in) {
		out = t.Forwarder.Process(mem, in[from:], now, out)
	}
	for _, c := range list {
		c.tell()
	}
	return out
}

// one processes a frame by itself and shows it, and what became of it.
func (t *Tap) one(list []*Capture, mem []byte, fr rings.Frame, seen *pw.Seen, now int64, out []rings.Frame) []rings.Frame {
	t.before = append(t.before[:0], mem[fr.Addr:fr.Addr+uint64(fr.Len)]...)
	n := len(out)
	out, why, dropped := t.Alone(mem, fr, now, out)
	r := &t.record
	*r = Record{Time: now, Port: fr.In, Outer: seen.Outer, Way: seen.Way, Session: seen.Session, Other: seen.Other, Worker: uint8(t.worker), Held: true}
	end := t.hub.layout.End(fr.Addr)
	for _, o := range out[n:] {
		if t.hub.layout.End(o.Addr) != end {
			continue
		}
		r.Held = false
		switch {
		case o.Out != rings.NoPort:
		case dropped:
			r.Drop = why.String()
		default: // its data lie with the first fragment's
			r.Held = true
		}
	}
	t.show(list, seen, t.before)
	r.Sent, r.Held, r.Drop = true, false, ""
	r.Outer = seen.Way == pw.WayEncap || seen.Other != 0
	for _, o := range out[n:] {
		if o.Out != rings.NoPort {
			r.Port = o.Out
			t.show(list, seen, mem[o.Addr:o.Addr+uint64(o.Len)])
		}
	}
	t.publish(list)
	return out
}

// publish lets the readers have what was shown of a frame.
func (t *Tap) publish(list []*Capture) {
	for _, c := range list {
		c.rings[t.worker].publish()
	}
}

func (t *Tap) show(list []*Capture, seen *pw.Seen, data []byte) {
	for _, c := range list {
		if c.of(seen) {
			c.put(t.worker, &t.record, data)
		}
	}
}

// Expire is the Forwarder's, and shows what it gives out.
func (t *Tap) Expire(mem []byte, now int64, out []rings.Frame) []rings.Frame {
	list := t.hub.active.Load()
	if list == nil {
		return t.Forwarder.Expire(mem, now, out)
	}
	n := len(out)
	out = t.Forwarder.Expire(mem, now, out)
	t.now = now
	for _, o := range out[n:] {
		if o.Out != rings.NoPort {
			t.record = Record{Time: now, Port: o.Out, Sent: true, Outer: t.OuterPort(o.Out), Worker: uint8(t.worker)}
			t.show(*list, &pw.Seen{}, mem[o.Addr:o.Addr+uint64(o.Len)])
		}
	}
	t.publish(*list)
	for _, c := range *list {
		c.tell()
	}
	return out
}

// Unsent shows a frame that did not get where it was to go.
func (t *Tap) Unsent(mem []byte, f rings.Frame, why rings.Drop) {
	list := t.hub.active.Load()
	if list == nil {
		return
	}
	r := &t.record
	*r = Record{Time: t.now, Port: f.Out, Sent: true, Outer: t.OuterPort(f.Out), Drop: why.String(), Worker: uint8(t.worker)}
	seen := pw.Seen{}
	if f.Out == rings.NoPort { // on its way to another worker, as it was received
		seen = t.Look(mem, f)
		r.Port, r.Sent, r.Outer, r.Way, r.Session, r.Other = f.In, false, seen.Outer, seen.Way, seen.Session, seen.Other
	}
	end := min(f.Addr+uint64(f.Len), t.hub.layout.End(f.Addr))
	t.show(*list, &seen, mem[f.Addr:end])
	t.publish(*list)
	for _, c := range *list {
		c.tell()
	}
}
