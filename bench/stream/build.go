package stream

import (
	"xwire/bench/traffic"
)

// builder makes the frames of a plan: sessions and flows in turn, and with each frame the next size of the
// mix. When all flows have had a turn the mix goes on from one size further, so that every flow has every
// size, whatever their number.
type builder struct {
	plan  *Plan
	macs  MACs
	flows int
	mix   traffic.Mix
	run   uint32

	session, flow int
	first, size   int      // of the mix: of this turn's first frame, and of the next frame
	numbers       []uint64 // next of each flow of each session
	sequence      []uint32 // next of L2TP's of each session
	inner         []byte
}

func newBuilder(p *Plan, macs MACs, flows int, mix traffic.Mix, run uint32) *builder {
	return &builder{plan: p, macs: macs, flows: flows, mix: mix, run: run,
		numbers: make([]uint64, len(p.lanes)*flows), sequence: make([]uint32, len(p.lanes)), inner: make([]byte, 0, maxInner)}
}

// next appends the next frame to b.
func (x *builder) next(b []byte, time int64) []byte {
	n := &x.numbers[x.session*x.flows+x.flow]
	b = x.frame(b, x.mix[x.size], *n, time)
	*n++
	x.size = (x.size + 1) % len(x.mix)
	if x.step() {
		x.first = (x.first + 1) % len(x.mix)
		x.size = x.first
	}
	return b
}

// step goes to the next flow and tells whether all have had their turn.
func (x *builder) step() bool {
	if x.session++; x.session < len(x.plan.lanes) {
		return false
	}
	x.session = 0
	if x.flow++; x.flow < x.flows {
		return false
	}
	x.flow = 0
	return true
}

// end appends the end mark of the current flow.
func (x *builder) end(b []byte, time int64) []byte {
	return x.frame(b, traffic.MinSize, endMark|x.numbers[x.session*x.flows+x.flow], time)
}

func (x *builder) frame(b []byte, size int, number uint64, time int64) []byte {
	l := &x.plan.lanes[x.session]
	at := len(b)
	inner := b
	if l.outer != nil {
		inner, at = x.inner[:0], 0
	}
	header := l.headerLen()
	body := max(size-traffic.FCS-header-l.popped, stampLen) // a size is the customer's frame's
	inner = l.appendHeader(inner, x.macs, uint16(x.flow), body)
	inner = append(inner, filling[:body]...)
	s := stamp{run: x.run, session: l.index, flow: uint16(x.flow), size: uint16(body), number: number, time: time}
	s.put(inner[at+header:])
	if l.outer == nil {
		return inner
	}
	outer := *l.outer
	outer.Number = x.sequence[x.session]
	x.sequence[x.session]++
	return outer.Append(b, inner)
}

// Sample is a frame of the plan's First session, and where its body begins, behind the inner
// EtherType. checksum tells that a UDP checksum covers the body.
func (p *Plan) Sample(macs MACs, size int) (frame []byte, bodyAt int, checksum bool) {
	x := newBuilder(p, macs, 1, traffic.Mix{size}, 1)
	x.session = p.first()
	l := &p.lanes[x.session]
	frame = x.next(nil, 0)
	bodyAt = l.headerLen()
	if l.outer != nil {
		bodyAt += l.outer.Overhead()
		checksum = l.outer.Checksum
	}
	return frame, bodyAt, checksum
}
