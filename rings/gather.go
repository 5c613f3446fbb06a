package rings

import "golang.org/x/sys/unix"

// gathering is a jumbo frame on its way out of an RX ring.
type gathering struct {
	under bool   // its first descriptor was read, its last was not
	span  uint32 // first chunk of the span that it is copied into
	len   uint32
	why   Drop // unless it is dropped at its end
	lost  bool
}

// gather is the part of receive for a port whose frames may have several descriptors: it copies each such
// frame into a span, where it lies as others do. It tells how many frames ended.
func (w *worker) gather(s *socket, c *portCounters, n uint32) (in []Frame, frames uint64) {
	in = w.in[:0]
	q, g := s.queue, &s.gathered
	for range n {
		desc := s.rx.get()
		frame := desc.Addr >> w.shift
		if frame >= uint64(len(w.owners)) || w.owners[frame] != q.receiveOwner {
			q.port.complain(errForeignFrame)
			continue
		}
		more := desc.Options&unix.XDP_PKT_CONTD != 0
		if !more && !g.under {
			w.owners[frame] = ownerHeld
			in = append(in, Frame{Addr: desc.Addr, Len: desc.Len, In: q.port.index, Out: NoPort})
			frames++
			continue
		}
		w.add(g, desc)
		w.free(uint32(frame))
		if more {
			continue
		}
		frames++
		if g.lost {
			c.drops[g.why].add(1)
		} else {
			w.owners[g.span] = ownerHeld
			in = append(in, Frame{Addr: uint64(g.span)<<w.shift + headroom, Len: g.len, In: q.port.index, Out: NoPort})
		}
		*g = gathering{}
	}
	return in, frames
}

// add copies what a descriptor brings behind what came before.
func (w *worker) add(g *gathering, desc unix.XDPDesc) {
	if !g.under {
		g.under = true
		span, ok := w.spans.take()
		g.span, g.lost, g.why = span, !ok, DropNoSpan
	}
	if !g.lost && g.len+desc.Len > SpanSize-headroom {
		w.spans.free(g.span)
		g.lost, g.why = true, DropFrameTooLong
	}
	if g.lost {
		return
	}
	at := uint64(g.span)<<w.shift + headroom + uint64(g.len)
	copy(w.memory[at:at+uint64(desc.Len)], w.memory[desc.Addr:])
	g.len += desc.Len
}

// forget gives up what a socket that is about to be closed had begun.
func (w *worker) forget(s *socket) {
	if s.gathered.under && !s.gathered.lost {
		w.spans.free(s.gathered.span)
	}
	s.gathered = gathering{}
}

// gathering is how many spans the queue's sockets are filling.
func (q *queue) gathering() (n int) {
	for _, s := range q.sockets {
		if s.gathered.under && !s.gathered.lost {
			n++
		}
	}
	return n
}
