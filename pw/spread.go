package pw

import (
	"encoding/binary"
	"sync/atomic"

	"xwire/l2tp"
)

// stay as the answer of Spread leaves the frame where it is.
const stay = ^uint8(0)

// Spread sets to[i], for each frame of in, to the worker, of workers (at most 255), that is to
// process it, or to 255 where the frame is not understood. Frames of one direction of a session
// get the same answer from every Forwarder of the table: those to decapsulate by addresses, our
// port and session id, those to encapsulate by port and tags, as the session names them. An answer
// changes with the number of workers and, for some sessions of a port, when sessions that take all
// VLANs, ranges or pairs come to that port or go.
func (f *Forwarder) Spread(mem []byte, in []Frame, workers int, to []uint8) {
	n := uint64(min(workers, int(stay)))
	to = to[:len(in)]
	f.epoch.enter()
	for len(in) > 0 {
		k := min(len(in), burst)
		f.spreadBurst(mem, in[:k], n, to[:k])
		in, to = in[k:], to[k:]
	}
	f.epoch.leave()
}

func (f *Forwarder) spreadBurst(mem []byte, in []Frame, n uint64, to []uint8) {
	t := f.table
	unsure := 0        // frames whose tags are to be looked up, in toEncap
	exact := uint64(0) // of these, by bit: those of ports where a session may have several tags
	for i := 0; i < len(in); i++ {
		fr := &in[i]
		state := t.ports[fr.In%MaxPorts].state.Load()
		if state&(portAttached|portCore) == portCore {
			i += t.seeds.spreadRow(mem, in[i:], n, to[i:])
			if i == len(in) {
				break
			}
			fr = &in[i]
			state = t.ports[fr.In%MaxPorts].state.Load()
		}
		b := bytesOf(mem, fr)
		to[i] = stay
		if len(b) < l2tp.EthernetLen {
			continue
		}
		if l := &f.toEncap[unsure]; state&portAttached != 0 && f.attachment(fr.In, state, b, l) {
			if several := l.outer == 0 || state&(portAll|portSeveral) != 0; several || state&portCore != 0 {
				l.frame = uint8(i)
				if several {
					exact |= 1 << unsure
				}
				unsure++
				continue
			}
			to[i] = spreadTo(l.tag, n)
			continue
		}
		if state&portCore != 0 {
			to[i] = f.spreadDecap(b, n)
		}
	}
	if unsure > 0 {
		f.spreadLot(mem, in, f.toEncap[:unsure], exact, n, to)
	}
}

// spreadTo makes a hash the number of one of n workers.
func spreadTo(tag uint32, n uint64) uint8 { return uint8(uint64(tag) * n >> 32) }

// spreadRow answers for a row of packets of one core port without tags over IPv4, and returns how
// many. It looks at no more than the hash needs: a packet that quickRow would not take is dropped
// by whoever gets it, or its hash is the same.
func (s *seeds) spreadRow(mem []byte, in []Frame, n uint64, to []uint8) int {
	s0, s1, s2 := s[0], s[1+classIP4], s[1+classUDP4]
	port := in[0].In
	i := 0
	for ; i < len(in) && i < len(to); i++ {
		addr, size := in[i].Addr, in[i].Len
		if in[i].In != port || size < quickView || size > maxFrame {
			break
		}
		h := (*[quickView]byte)(mem[addr : addr+quickView : addr+quickView])
		if binary.LittleEndian.Uint64(h[12:])&0x00ff_ffff != 0x0045_0008 || binary.LittleEndian.Uint16(h[20:])&0xff3f != 0 {
			break
		}
		sid, ports, seed := binary.BigEndian.Uint32(h[34:]), uint32(0), s1
		if h[23] == l2tp.ProtoUDP {
			if h[43]&0x0f == 2 { // the session id is elsewhere in L2TPv2
				break
			}
			ports, sid, seed = binary.LittleEndian.Uint32(h[34:])&^peerPortMask, binary.BigEndian.Uint32(h[46:]), s2
		} else if h[23] != l2tp.ProtoL2TP {
			break
		}
		if sid == 0 {
			break
		}
		tag := tagOf(fold(binary.LittleEndian.Uint64(h[26:])^s0, (uint64(ports)<<32|uint64(sid))^seed))
		to[i] = spreadTo(tag, n)
	}
	return i
}

// spreadDecap answers for a packet that spreadRow did not take.
func (f *Forwarder) spreadDecap(b []byte, n uint64) uint8 {
	seeds := &f.table.seeds
	l := &f.toDecap[0] // free between two bursts
	if !quickOuter6(b, l, seeds) {
		if why := parseOuter(b, l); why != dropNone {
			if why == DropIPFragment {
				return f.spreadFragment(b, l, n)
			}
			return stay
		}
		fl := flowOf(b, l)
		l.tag = seeds.tag(&fl, l.sid)
	}
	return spreadTo(f.spreadTag(b, l), n)
}

// spreadLot answers for frames whose tags alone do not tell whose they are. exact: the session that
// has them is looked up, for it may have other tags too; else it is enough to know that there is
// one, and the frame not a core port's. As in fetch, the cache misses of a lot overlap.
func (f *Forwarder) spreadLot(mem []byte, in []Frame, lot []lookup, exact uint64, n uint64, to []uint8) {
	t := f.table
	x := t.ac.Load()
	for i := range lot {
		l := &lot[i]
		l.place = x.start(l.tag)
		_ = atomic.LoadUint64(&x.entries[l.place])
	}
	for i := range lot {
		l := &lot[i]
		if l.outer != 0 {
			l.record, _ = x.search(l.tag, l.place)
		}
		if exact>>i&1 != 0 {
			_ = f.sessions.at(l.record).slot
		}
	}
	for i := range lot {
		l := &lot[i]
		fr := &in[l.frame]
		record, tag := l.record, l.tag
		if exact>>i&1 != 0 {
			if l.outer != 0 {
				record = f.resolveAC(fr.In, l, x)
			}
			d := f.sessions.at(record)
			k := acKey{fr.In, d.lo, d.c, d.pppoeID()}
			if d.vlanKind() == VLANAll && !d.ppp() {
				k.inner = 0 // the untagged session of the same port has anyVID
			}
			tag = t.seeds.acTag(k)
		}
		if record != 0 {
			to[l.frame] = spreadTo(tag, n)
		} else if t.ports[fr.In%MaxPorts].state.Load()&portCore != 0 {
			to[l.frame] = f.spreadDecap(bytesOf(mem, fr), n)
		}
	}
}
