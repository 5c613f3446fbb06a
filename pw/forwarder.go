package pw

import (
	"math/rand/v2"
	"sync/atomic"

	"xwire/l2tp"
)

const (
	// burst is how many frames go through the stages together: enough for the cache misses of
	// one stage to overlap, few enough for what they fetched to be there still in the next.
	burst = 64

	// minChunk is the smallest chunk of the frames' memory. Larger ones are multiples of it, so a
	// frame's room in a chunk is never less than its offset in minChunk.
	minChunk = 2048

	// manyTunnels is how many tunnels have records that do not stay in the cache.
	manyTunnels = 256

	// encapWindow is what encap writes before a frame at most: 20 bytes of Ethernet with two tags,
	// 54 of EtherType, IPv6, UDP and flags, 16 of session part, and what copies of fixed size
	// write in excess.
	encapWindow = 128
	// encapRoom is the room before a frame that encap wants: the window and a tag.
	encapRoom = encapWindow + 4
)

// Forwarder forwards for one worker. Its methods belong to that worker's goroutine.
type Forwarder struct {
	epoch  epoch
	table  *Table
	worker int

	ipID, ipIDStep uint16

	gen         uint64 // of the table, when the streaks began
	encapStreak encapStreak
	decapStreak decapStreak
	outer       outer
	lastEncap   uint32 // record of the last frame that went the long way
	lastDecap   uint32
	looked      int64 // when the streak last ended so that suspect sees a frame

	toEncap, toDecap [burst]lookup

	emitted   []Frame // of sessions with an extra, in the order in which they leave
	unsettled bool    // some frame has left its place in the batch

	waiting []waiting // sessions with frames held
	held    int
	due     int64 // when the first of them is to be released; 0: none is held
	marks   marks // of the frame that is encapsulated, if its session has a Marking

	layout     Layout
	reassembly *reassembly // nil: outer fragments are dropped
	gathering  []*pieces   // those that hold a frame, the first due first

	now     int64 // of Process
	answers [256]allowance
	oam     *OAMQueue

	spare []uint64 // free chunks to make frames in
	made  []madeFrame

	spareSpans []uint64
	woven      []Frame
	fragID     uint32

	sessions      *array[session]
	extraCounters array[extraCounters] // by SessionID
	invalid       array[counter]       // by TunnelID
	portCounters  [MaxPorts]portCounters

	why   Drop // of the last frame dropped
	alone [1]Frame
}

// lookAgain is how long, in nanoseconds, a streak may hide its session's frames from suspect: a peer's
// settings may change at any time.
const lookAgain = 10_000_000

// lookup is a frame between two stages.
type lookup struct {
	tag    uint32
	place  uint32 // in the index, where the search for tag begins
	record uint32 // session found, not yet compared; 0: none
	frame  uint8  // place in the burst

	// Decap only.
	class class
	l3    uint8  // where the IP header begins
	at    uint16 // where the session id is, or an L2TPv2 message begins
	end   uint16 // where the payload ends
	sid   uint32 // as in session
	ports uint32 // as in flow
	key0  uint64 // the first word of flow.key

	number uint32 // of a session with sequence numbers, once turn has read it
	part   part   // of a session that is fragmented inside the pseudowire

	// Encap only: the key, 0 where the port's record gave the session.
	outer, inner uint16
}

func newForwarder(t *Table, worker, workers int) *Forwarder {
	step := uint16(1)
	for int(step) < workers && step < 1<<15 {
		step <<= 1
	}
	return &Forwarder{
		table:       t,
		sessions:    new(array[session]),
		emitted:     make([]Frame, 0, 32*burst),
		waiting:     make([]waiting, 0, burst),
		gathering:   make([]*pieces, 0, mostPieces),
		encapStreak: encapStreak{in: noPort},
		decapStreak: decapStreak{in: noPort},

		oam:      newOAMQueue(),
		worker:   worker,
		ipIDStep: step,
		// Identifications of different workers differ in their low bits.
		ipID:   uint16(rand.Uint32())&^(step-1) | uint16(worker)&(step-1),
		fragID: rand.Uint32()&^uint32(step-1) | uint32(worker)&uint32(step-1),
		spare:  make([]uint64, 0, 8*burst),

		spareSpans: make([]uint64, 0, burst),

		made:  make([]madeFrame, 0, 8*burst),
		woven: make([]Frame, 0, 8*burst),
	}
}

// Process takes a batch of frames that lie in mem and appends what becomes of them to out: every
// frame of in, at most moved within its chunk, with the port to send it or NoPort. now is the
// monotonic clock in nanoseconds. The capacity of out should suffice for all of in.
//
// Frames of one session keep their order.
func (f *Forwarder) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	f.epoch.enter()
	f.now = now
	if gen := f.table.gen.Load(); gen != f.gen {
		f.gen = gen
		f.encapStreak.in, f.decapStreak.in, f.outer.tunnel = noPort, noPort, 0
	}
	if now-f.looked >= lookAgain {
		f.looked = now
		f.decapStreak.in = noPort
	}
	n := len(out)
	out = append(out, in...)
	for fs := out[n:]; len(fs) > 0; {
		k := min(len(fs), burst)
		b := fs[:k]
		b = b[f.encapRow(mem, b):]
		b = b[f.decapRow(mem, b):]
		if len(b) > 0 {
			f.burst(mem, b, now)
		}
		fs = fs[k:]
	}
	if f.unsettled {
		out = f.settle(out, n)
	}
	if len(f.made) > 0 {
		out = f.weave(out, n)
	}
	f.epoch.leave()
	return out
}

func (f *Forwarder) drop(fr *Frame, why Drop) {
	fr.Out = NoPort
	f.why = why
	f.portCounters[fr.In%MaxPorts].drops[why].add(1)
}

func (f *Forwarder) forward(fr *Frame, port uint16) {
	fr.Out = port
	f.portCounters[fr.In%MaxPorts].forwarded.add(1)
}

func bytesOf(mem []byte, fr *Frame) []byte { return mem[fr.Addr : fr.Addr+uint64(fr.Len)] }

// burst sorts frames into those to encapsulate and those to decapsulate, then takes each lot
// through the stages: index entry, session record, rewriting.
func (f *Forwarder) burst(mem []byte, fs []Frame, now int64) {
	t := f.table
	encaps, decaps := 0, 0
	for i := 0; i < len(fs); i++ {
		fr := &fs[i]
		state := t.ports[fr.In%MaxPorts].state.Load()
		if state&(portAttached|portCore) == portCore {
			n := t.seeds.quickRow(mem, fs, i, f.toDecap[decaps:])
			decaps += n
			if i += n; i == len(fs) {
				break
			}
			fr = &fs[i]
			state = t.ports[fr.In%MaxPorts].state.Load()
		}
		if state&(portVLAN|portPPPoE) == portVLAN {
			n := t.seeds.tagRow(mem, fs, i, state, f.toEncap[encaps:])
			encaps += n
			if i += n; i == len(fs) {
				break
			}
			fr = &fs[i]
			state = t.ports[fr.In%MaxPorts].state.Load()
		}
		b := bytesOf(mem, fr)
		if len(b) < l2tp.EthernetLen {
			f.drop(fr, DropRunt)
			continue
		}
		if state&portAttached != 0 {
			l := &f.toEncap[encaps]
			l.frame = uint8(i)
			if f.attachment(fr.In, state, b, l) {
				encaps++
				continue
			}
		}
		decaps = f.sortDecap(mem, b, fr, i, state, decaps, now)
	}
	if encaps > 0 {
		decaps = f.encapLot(mem, fs, f.toEncap[:encaps], decaps, now)
	}
	if decaps > 0 {
		f.decapLot(mem, fs, f.toDecap[:decaps], now)
	}
}

// sortDecap adds a frame that is no attachment's to those to decapsulate, or drops it.
func (f *Forwarder) sortDecap(mem, b []byte, fr *Frame, i int, state uint64, decaps int, now int64) int {
	if state&portCore == 0 {
		f.drop(fr, DropNoAttachment)
		return decaps
	}
	l := &f.toDecap[decaps]
	l.frame = uint8(i)
	l.record = 0
	if quickOuter6(b, l, &f.table.seeds) {
		return decaps + 1
	}
	if why := parseOuter(b, l); why != dropNone {
		if why == DropIPFragment && f.reassembly != nil {
			if f.reassemble(mem, fr, l, now) {
				return f.sortDecap(mem, bytesOf(mem, fr), fr, i, state, decaps, now)
			}
			return decaps
		}
		if why == DropVersion {
			f.invalidVersion(b, l)
		}
		f.drop(fr, why)
		return decaps
	}
	fl := flowOf(b, l)
	l.ports, l.key0 = fl.ports, fl.key[0]
	l.tag = f.table.seeds.tag(&fl, l.sid)
	return decaps + 1
}

// fetch takes a lot through the stages that find records: each looks, for all frames of the lot,
// at what the next one needs, so that their cache misses overlap. The loops that miss are short, for
// a CPU looks a few hundred instructions ahead and no further. It does not compare the record with
// the frame.
func (f *Forwarder) fetch(lot []lookup, x *index, way Way) {
	entries := x.entries
	for i := range lot {
		l := &lot[i]
		l.place = x.start(l.tag)
		if int(l.place) < len(entries) {
			_ = atomic.LoadUint64(&entries[l.place])
		}
	}
	for i := range lot {
		l := &lot[i]
		if l.record == 0 {
			// Without a branch for each: which of them it is follows no pattern.
			e := (*[group]uint64)(entries[l.place:])
			e0, e1, e2 := atomic.LoadUint64(&e[0]), atomic.LoadUint64(&e[1]), atomic.LoadUint64(&e[2])
			found := atomic.LoadUint64(&e[3])
			if uint32(e2>>32) == l.tag {
				found = e2
			}
			if uint32(e1>>32) == l.tag {
				found = e1
			}
			if uint32(e0>>32) == l.tag {
				found = e0
			}
			if uint32(found>>32) == l.tag {
				l.record = uint32(found)
			}
			if l.record == 0 {
				l.record, _ = x.first(l.tag)
			}
		}
	}
	if way == WayEncap {
		for i := range lot {
			_ = f.sessions.at(lot[i].record).txPackets.load()
		}
	} else {
		for i := range lot {
			_ = f.sessions.at(lot[i].record).rxPackets.load()
		}
	}
	if t := f.table; t.scattered.Load() {
		for i := range lot {
			_ = t.tunnels.at(f.sessions.at(lot[i].record).tunnelOf(way)).hop.Load()
		}
	}
}
