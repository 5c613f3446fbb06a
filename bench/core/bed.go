package core

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"xwire/l2tp"
	"xwire/pw"
)

const (
	batchSize = 64
	chunkSize = 2048
	headroom  = 256 // before a received frame, as AF_XDP leaves it
	fcs       = 4
)

// process is a forwarder's call, or in its place one that does nothing.
type process func(mem []byte, in []pw.Frame, now int64, out []pw.Frame) []pw.Frame

// idle hands the batch on as it is. Its cost is the loop's.
func idle(_ []byte, in []pw.Frame, _ int64, out []pw.Frame) []pw.Frame { return append(out, in...) }

// bed is the frames of one case in memory.
type bed struct {
	c         Case
	table     *pw.Table
	work      process
	mem       []byte
	customers []pw.Frame // as port 1 receives them
	packets   []pw.Frame // as port 0 does: what encap made of customers
	out       []pw.Frame
	second    []pw.Frame // of the decap of a pair
	idAt      uint64     // of the session id in a packet
	random    uint64
	sweeping  bool // sessions in turn, not at random
	at        int
}

// newBed lays frames into mem and has the table encapsulate each once.
func newBed(c Case, table *pw.Table, mem []byte) (*bed, error) {
	if len(mem) < c.Frames*chunkSize {
		return nil, fmt.Errorf("memory for %d frames is needed, there is room for %d", c.Frames, len(mem)/chunkSize)
	}
	b := &bed{c: c, table: table, work: table.Forwarder(0).Process, mem: mem, random: 1}
	b.out, b.second = make([]pw.Frame, 0, batchSize), make([]pw.Frame, 0, batchSize)
	encap := l2tp.EncapIP
	if c.udp() {
		encap = l2tp.EncapUDP
	}
	b.idAt = uint64(l2tp.EthernetLen + l2tp.Overhead(c.ip6(), encap, 0, l2tp.SublayerNone) - l2tp.SessionIDLen)
	for i := range c.Frames {
		addr := i*chunkSize + headroom
		b.fill(mem[addr:addr+c.Size-fcs], i)
		b.customers = append(b.customers, pw.Frame{Addr: uint64(addr), Len: uint32(c.Size - fcs), In: 1, Out: pw.NoPort})
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return b, nil
}

// fill writes frame i: an IPv4 packet by its type, with the tags of the first session.
func (b *bed) fill(frame []byte, i int) {
	clear(frame)
	head := append(frame[:0], 2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2)
	switch {
	case b.c.VLAN != "":
		head = append(head, 0x81, 0, 0, 1)
	case b.c.Sessions > 1:
		head = append(head, 0x81, 0, 0, 1, 0x81, 0, 0, 1)
	}
	head = append(head, 0x08, 0x00, 0x45)
	binary.BigEndian.PutUint32(frame[len(head):], uint32(i))
	for j := len(head) + 4; j < len(frame); j++ {
		frame[j] = byte(i + j)
	}
}

// check sends every frame through both ways and compares what comes out with what went in.
func (b *bed) check() error {
	want := make([]byte, b.c.Size-fcs)
	b.packets = b.packets[:0]
	for i := 0; i < len(b.customers); i += batchSize {
		b.packets = b.work(b.mem, b.customers[i:i+batchSize], 1, b.packets)
	}
	var back []pw.Frame
	for i := range b.packets {
		b.packets[i].In = 0
		if b.packets[i].Out != 0 {
			return fmt.Errorf("frame %d was not encapsulated: %v", i, b.drops())
		}
		if i%batchSize == batchSize-1 {
			back = b.work(b.mem, b.packets[i+1-batchSize:i+1], 1, back)
		}
	}
	for i, f := range back {
		b.fill(want, i)
		if f.Out != 2 || int(f.Len) != len(want) || !bytes.Equal(b.mem[f.Addr:][:f.Len], want) {
			return fmt.Errorf("frame %d came back changed, by port %d: %v", i, f.Out, b.drops())
		}
	}
	if len(back) != len(b.customers) {
		return fmt.Errorf("%d frames came of %d", len(back), len(b.customers))
	}
	if b.c.Kind != Decap {
		return nil
	}
	// For decap alone the packets must lie there.
	for i := 0; i < len(b.customers); i += batchSize {
		b.work(b.mem, b.customers[i:i+batchSize], 1, b.out[:0])
	}
	return nil
}

// drops names the reasons that were counted.
func (b *bed) drops() map[string]uint64 {
	reasons := map[string]uint64{}
	for port := range uint16(3) {
		for reason, n := range b.table.PortDrops(port) {
			if n > 0 {
				reasons[pw.Drop(reason).String()] += n
			}
		}
	}
	return reasons
}

// run takes batches of 64 frames through work.
func (b *bed) run(work process, batches int) {
	from := b.customers
	if b.c.Kind == Decap {
		from = b.packets
	}
	many, pair, decap := b.c.Sessions > 1, b.c.Kind == Pair, b.c.Kind == Decap
	for range batches {
		batch := from[b.at : b.at+batchSize]
		if b.at += batchSize; b.at == len(from) {
			b.at = 0
		}
		if many && decap {
			b.aimPackets(batch)
		} else if many {
			b.aimCustomers(batch)
		}
		out := work(b.mem, batch, 1, b.out[:0])
		if pair {
			for i := range out {
				out[i].In = 0
			}
			work(b.mem, out, 1, b.second[:0])
		}
	}
}

// touch visits every session once: memory that was never written costs a
// page fault, which is no part of a session's figure.
func (b *bed) touch() {
	b.sweeping = true
	b.run(b.work, (b.c.Sessions+batchSize-1)/batchSize)
	b.sweeping = false
}

// next is a session at random: xorshift, then the high half of a product, for no table may take
// part of the cache that the sessions want.
func (b *bed) next() uint32 {
	if b.sweeping {
		b.random++
		return uint32(b.random % uint64(b.c.Sessions))
	}
	x := b.random
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	b.random = x
	return uint32(x >> 32 * uint64(b.c.Sessions) >> 32)
}

// aimCustomers gives frames to sessions by their tags.
func (b *bed) aimCustomers(frames []pw.Frame) {
	for _, f := range frames {
		binary.BigEndian.PutUint64(b.mem[f.Addr+12:], sessionTags(b.next()))
	}
}

// aimPackets gives packets to sessions of the end at port 2 by their session id, and by the tags
// inside, which must be the session's.
func (b *bed) aimPackets(packets []pw.Frame) {
	tagsAt := b.idAt + l2tp.SessionIDLen + uint64(b.c.Cookie+b.c.Sublayer.Len()) + 12
	for _, f := range packets {
		s := b.next()
		binary.BigEndian.PutUint32(b.mem[f.Addr+b.idAt:], sessionID(s, 1))
		binary.BigEndian.PutUint64(b.mem[f.Addr+tagsAt:], sessionTags(s))
	}
}

// sessionTags are the two tags of a session among many.
func sessionTags(s uint32) uint64 {
	return 0x8100_0000_8100_0000 | (1+uint64(s)/perOuter)<<32 | (1 + uint64(s)%perOuter)
}
