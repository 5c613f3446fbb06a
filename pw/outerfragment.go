package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// Oversize is what becomes of a frame whose packet is larger than the path's MTU.
type Oversize uint8

const (
	// OversizeFragment sends the packet in IP fragments, as the kernel does: over IPv4 with DF 0.
	OversizeFragment Oversize = iota
	// OversizeDrop drops and counts it.
	OversizeDrop
	// OversizePW cuts the frame up inside the pseudowire (RFC 4623), and puts together what the peer cuts
	// up so. It needs sequence numbers.
	OversizePW
)

const (
	fragmentHeaderLen = 8  // RFC 8200 section 4.5
	nextFragment      = 44 // next header
	moreFragments     = 0x2000
	dontFragment      = 0x4000
)

// madeFrame is a frame in a chunk of f.spare that leaves right behind another one.
type madeFrame struct {
	head uint64 // Addr of the other
	Frame
}

// Spares tells how many free chunks the forwarder has, to make frames in.
func (f *Forwarder) Spares() int { return len(f.spare) }

// Supply gives the forwarder free chunks, by the address of a byte with room for a frame behind it
// to minChunk. Those it has used come back from Process as frames that were not in the batch,
// with In that of the frame they were made of.
func (f *Forwarder) Supply(free []uint64) { f.spare = append(f.spare, free...) }

// fragment cuts the packet that fr is, whose IP header is hlen bytes behind its start, into fragments
// of at most mtu bytes. The first stays where it is, so that it leaves in the frame's place, and may be
// longer than the others, which lie in spares. False
// means that there are not enough spares, or that a fragment would have no room for data.
func (f *Forwarder) fragment(mem []byte, fr *Frame, ip6 bool, hlen, mtu uint32) bool {
	ipLen, extra := uint32(l2tp.IPv4Len), uint32(0)
	if ip6 {
		ipLen, extra = l2tp.IPv6Len, fragmentHeaderLen
	}
	if mtu < ipLen+extra+8 {
		return false
	}
	data := fr.Len - hlen - ipLen
	first := (mtu - ipLen - extra) &^ 7
	size := (min(mtu, fragmentRoom-hlen) - ipLen - extra) &^ 7
	tails := int((data - first + size - 1) / size)
	if tails > len(f.spare) {
		return false
	}
	f.fragID += uint32(f.ipIDStep)
	hdr := mem[fr.Addr : fr.Addr+uint64(hlen+ipLen) : fr.Addr+uint64(hlen+ipLen)]
	body := mem[fr.Addr+uint64(hlen+ipLen) : fr.Addr+uint64(fr.Len)]
	head := fr.Addr - uint64(extra)
	for at := first; at < data; at += size {
		n := min(size, data-at)
		addr := f.spare[len(f.spare)-1]
		f.spare = f.spare[:len(f.spare)-1]
		made := Frame{Addr: addr, Len: hlen + ipLen + extra + n, In: fr.In, Out: fr.Out}
		b := mem[addr : addr+uint64(made.Len)]
		copy(b, hdr)
		f.cut(b[hlen:], ip6, at, n, at+n < data)
		copy(b[hlen+ipLen+extra:], body[at:at+n])
		f.made = append(f.made, madeFrame{head, made})
		f.portCounters[fr.In%MaxPorts].forwarded.add(1)
	}
	if ip6 {
		copy(mem[head:], hdr)
	}
	fr.Addr, fr.Len = head, hlen+ipLen+extra+first
	f.cut(mem[head+uint64(hlen):head+uint64(fr.Len)], ip6, 0, first, true)
	return true
}

// fragmentRoom is the longest fragment, with all headers, that is sure to fit behind a spare's address.
const fragmentRoom = minChunk - 256

// cut makes the IP header at the beginning of b, of the whole packet, that of one fragment: n bytes of
// data from at on, more behind them.
func (f *Forwarder) cut(b []byte, ip6 bool, at, n uint32, more bool) {
	if ip6 {
		binary.BigEndian.PutUint16(b[4:], uint16(fragmentHeaderLen+n))
		proto := l2tp.IPv6(b).NextHeader()
		b[6] = nextFragment
		h := b[l2tp.IPv6Len : l2tp.IPv6Len+fragmentHeaderLen]
		if more {
			at |= 1
		}
		h[0], h[1] = proto, 0
		binary.BigEndian.PutUint16(h[2:], uint16(at))
		binary.BigEndian.PutUint32(h[4:], f.fragID)
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(l2tp.IPv4Len+n))
	flags := uint16(at/8) | binary.BigEndian.Uint16(b[6:])&dontFragment
	if more {
		flags |= moreFragments
	}
	binary.BigEndian.PutUint16(b[6:], flags)
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint16(b[10:], ^l2tp.Sum(0, b[:l2tp.IPv4Len]))
}

// emitMade emits the frames that were made last, of the frame at head.
func (f *Forwarder) emitMade(head uint64) {
	first := len(f.made)
	for first > 0 && f.made[first-1].head == head {
		first--
	}
	for _, m := range f.made[first:] {
		f.emit(m.Frame)
	}
	f.made = f.made[:first]
}

// weave puts the frames that were made behind those of out[n:] that they belong to. They were made
// in the order of the frames.
func (f *Forwarder) weave(out []Frame, n int) []Frame {
	f.woven = append(f.woven[:0], out[n:]...)
	out = out[:n]
	made := f.made
	for _, fr := range f.woven {
		out = append(out, fr)
		for len(made) > 0 && made[0].head == fr.Addr {
			out = append(out, made[0].Frame)
			made = made[1:]
		}
	}
	f.made = f.made[:0]
	return out
}
