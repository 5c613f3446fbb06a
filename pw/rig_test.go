package pw

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"xwire/l2tp"
)

// rig is a memory of chunks and a table's forwarders on it.
type rig struct {
	t     testing.TB
	mem   []byte
	table *Table
	out   []Frame
}

const rigChunks = 256

func newRig(t testing.TB, table *Table) *rig {
	return &rig{t: t, mem: make([]byte, rigChunks*minChunk), table: table, out: make([]Frame, 0, rigChunks)}
}

// put writes a frame into chunk i with room before it, or into span i if it is too long and there are spans.
func (r *rig) put(i int, port uint16, room int, frame []byte) Frame {
	at, size := i*minChunk, minChunk
	if l := r.table.Forwarder(0).layout; room+len(frame) > minChunk && l.Span > 0 {
		at, size = int(l.Spans)+i*l.Span, l.Span
	}
	if room+len(frame) > size {
		r.t.Fatalf("frame of %d bytes behind %d does not fit %d bytes", len(frame), room, size)
	}
	chunk := r.mem[at : at+size]
	for j := range chunk {
		chunk[j] = 0xa5
	}
	copy(chunk[room:], frame)
	return Frame{Addr: uint64(at + room), Len: uint32(len(frame)), In: port, Out: 77}
}

// one sends a single frame through worker 0.
func (r *rig) one(port uint16, frame []byte) (out uint16, bytes []byte) {
	r.t.Helper()
	in := []Frame{r.put(0, port, 256, frame)}
	r.out = r.table.Forwarder(0).Process(r.mem, in, 1, r.out[:0])
	if len(r.out) != 1 || r.out[0].In != port {
		r.t.Fatalf("Process gave back %+v for %+v", r.out, in)
	}
	return r.out[0].Out, append([]byte(nil), r.bytes(r.out[0])...)
}

func (r *rig) bytes(f Frame) []byte {
	if l := r.table.Forwarder(0).layout; f.Addr+uint64(f.Len) > l.End(f.Addr) {
		r.t.Fatalf("frame %+v leaves its room", f)
	}
	return r.mem[f.Addr : f.Addr+uint64(f.Len)]
}

// dropsAt returns what was dropped at a port, by name.
func dropsAt(table *Table, port uint16) map[string]uint64 {
	m := make(map[string]uint64)
	for i, n := range table.PortDrops(port) {
		if n > 0 {
			m[Drop(i).String()] = n
		}
	}
	return m
}

// wire reads lines of hexadecimal digits with comments.
func wire(t testing.TB, lines ...string) []byte {
	t.Helper()
	var s strings.Builder
	for _, l := range lines {
		l, _, _ = strings.Cut(l, "//")
		s.WriteString(strings.Join(strings.Fields(l), ""))
	}
	b, err := hex.DecodeString(s.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func cookie(t testing.TB, s string) l2tp.Cookie {
	t.Helper()
	c, err := l2tp.ParseCookie(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func addrPort(s string) netip.AddrPort {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 0)
	}
	return netip.MustParseAddrPort(s)
}

// must fails the test if an addition to the table does.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// withoutRandom sets to 0 what a reference does not foresee: IPv4 identification, with the
// checksum put right, and IPv6 flow label.
func withoutRandom(frame []byte) []byte {
	b := append([]byte(nil), frame...)
	at := 14 + 4*len(tagsOf(b))
	if len(b) < at+20 {
		return b
	}
	switch ip := b[at:]; u16(b[at-2:]) {
	case 0x0800:
		if refSum(ip[:20]) == 0xffff {
			clear(ip[4:6])
			clear(ip[10:12])
			l2tp.IPv4(ip).SetChecksum()
		}
	case 0x86dd:
		ip[1] &= 0xf0
		clear(ip[2:4])
	}
	return b
}

// backInOrder puts the frames that Process gave back into the order in which they were given: those of
// sessions with something uncommon leave behind the others. Each must be there once, in its chunk.
func backInOrder(t testing.TB, in, out []Frame) []Frame {
	t.Helper()
	at := make(map[uint64]Frame, len(out))
	for _, o := range out {
		if _, twice := at[o.Addr/minChunk]; twice {
			t.Fatalf("chunk %d came back twice", o.Addr/minChunk)
		}
		at[o.Addr/minChunk] = o
	}
	back := make([]Frame, 0, len(in))
	for _, i := range in {
		o, ok := at[i.Addr/minChunk]
		if !ok || o.In != i.In {
			t.Fatalf("%+v came back as %+v (%v)", i, o, ok)
		}
		back = append(back, o)
	}
	if len(out) != len(in) {
		t.Fatalf("%d frames in, %d out", len(in), len(out))
	}
	return back
}
