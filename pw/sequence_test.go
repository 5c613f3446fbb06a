package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"xwire/l2tp"
)

// sequenceBox is a table with one session that numbers as s says, from core port 0 to port 1.
func sequenceBox(t testing.TB, workers int, s Sequence) (*Table, SessionID) {
	table := NewTable(workers)
	table.SetPort(0, PortSpec{Core: true})
	table.SetPort(1, PortSpec{})
	id := must(table.AddTunnel(ip4))(t)
	table.SetTunnelNextHop(id, table.AddNextHop(NextHop{Port: 0}))
	return table, must(table.AddSession(SessionSpec{
		Tunnel: id, SID: 100, PSID: 200, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth,
		AC: Attachment{Port: 1}, Sequence: s,
	}))(t)
}

// numbered is a packet of the box's session with a sequence number, or, below 0, without; the last
// two bytes inside are a mark.
func numbered(t testing.TB, n, mark int) []byte {
	word := uint32(0)
	if n >= 0 {
		word = l2tp.SublayerS | uint32(n)
	}
	b := wire(t, append(slices.Clone(linkHeader),
		"08 00",
		"45 00 002c 0000 0000 40 73 0000",
		"c6 33 64 07", "c0 00 02 01",
		"00000064", fmt.Sprintf("%08x", word),
		"02 00 00 00 0a 0b", "02 00 00 00 0a 0a", fmt.Sprintf("08 00 %04x", mark))...)
	fixIPv4(b)
	return b
}

// play sends packets by a script of words: a number, "-" for a packet without one, "+110" for a
// pause in ms; it returns the places in the script of those delivered, in their order. All come in
// batches of the given size, or alone.
func play(t *testing.T, table *Table, script string, batch int) string {
	t.Helper()
	r := newRig(t, table)
	f := table.Forwarder(0)
	now := int64(time.Second)
	var delivered []string
	took := 0 // chunks given and not come back
	see := func(out []Frame) {
		took -= len(out)
		for _, o := range out {
			if o.Out == 1 {
				delivered = append(delivered, strconv.Itoa(int(u16(r.bytes(o)[14:]))))
			}
		}
	}
	var in []Frame
	flush := func() {
		took += len(in)
		see(f.Process(r.mem, in, now, nil))
		in = in[:0]
	}
	for i, word := range strings.Fields(script) {
		if ms, ok := strings.CutPrefix(word, "+"); ok {
			flush()
			end := now + int64(must(strconv.Atoi(ms))(t))*int64(time.Millisecond)
			for due := f.Deadline(); due != 0 && due <= end; due = f.Deadline() {
				now = max(now, due)
				see(f.Expire(r.mem, now, nil))
			}
			now = end
			continue
		}
		n := -1
		if word != "-" {
			n = must(strconv.Atoi(word))(t)
		}
		in = append(in, r.put(i, 0, 256, numbered(t, n, i)))
		if len(in) == batch {
			flush()
		}
	}
	flush()
	if took != f.Held() {
		t.Errorf("%d frames did not come back, %d are held", took, f.Held())
	}
	return strings.Join(delivered, " ")
}

func TestSequence(t *testing.T) {
	const ms = time.Millisecond
	number := Sequence{Send: true}
	require := Sequence{Require: true}
	reorder := Sequence{Send: true, Reorder: 100 * ms}
	for _, tt := range []struct {
		name      string
		s         Sequence
		script    string
		delivered string // places in the script
		errors    uint64
		discards  uint64
		oos       uint64
		lost      uint64
		resyncs   uint64
	}{
		// The presence cases of l2tp-ktest's seqnum. lns_mode = true of the configuration is Send
		// and Require.
		{name: "1 none, required", s: require, script: "-", errors: 1, discards: 1},
		{name: "2 none, required by an LNS", s: Sequence{Send: true, Require: true}, script: "-", errors: 1, discards: 1},
		{name: "3 one, required, following", s: Sequence{Require: true, Follow: true}, script: "0", delivered: "0"},
		{name: "4 one, required", s: require, script: "0", delivered: "0"},
		{name: "6 none, sending, following", s: Sequence{Send: true, Follow: true}, script: "-", delivered: "0"},
		{name: "none is as good as one", s: number, script: "0 - 1", delivered: "0 1 2"},
		// Its window cases. The kernel drops the first packet where its number is in the upper half,
		// and all behind it; any number is good to begin with here.
		{name: "first 0", s: number, script: "0", delivered: "0"},
		{name: "first 1", s: number, script: "1", delivered: "0"},
		{name: "first 8388606", s: number, script: "8388606 8388607", delivered: "0 1"},
		{name: "first 8388607, which the kernel drops", s: number, script: "8388607 8388608", delivered: "0 1"},
		{name: "first 16777215, which the kernel drops", s: number, script: "16777215 0 1", delivered: "0 1 2"},
		// Its reorder cases. The kernel drops a packet that waited in vain, 2 of the second; it is
		// delivered here when its time is over, with no packet to trigger that.
		{name: "reorder", s: reorder, script: "0 2 1", delivered: "0 2 1", oos: 0},
		{name: "reorder with time-out", s: reorder, script: "0 2 +110 3", delivered: "0 1 3", lost: 1},
		{name: "time-out without another packet", s: reorder, script: "0 2 3 +99 +2", delivered: "0 1 2", lost: 1},
		// Without reordering the kernel drops 2, and then all of 2 to 7 for one loss.
		{name: "swap", s: number, script: "0 2 1", delivered: "0 1", errors: 1, discards: 1, oos: 1, lost: 1},
		{name: "one loss costs one", s: number, script: "0 2 3 4 5 6 7 8", delivered: "0 1 2 3 4 5 6 7", lost: 1},
		{name: "many losses", s: number, script: "0 2 4 6 8 10 12", delivered: "0 1 2 3 4 5 6", lost: 6},

		{name: "duplicates", s: number, script: "0 0 1 1 1 2", delivered: "0 2 5", errors: 3, discards: 3, oos: 3},
		{name: "the same for ever", s: number, script: "5 5 5 5 5 5 5 5 5 5 6", delivered: "0 10", errors: 9, discards: 9, oos: 9},
		{name: "wrap", s: number, script: "16777214 16777215 0 1", delivered: "0 1 2 3"},
		{name: "loss at the wrap", s: number, script: "16777214 1 2", delivered: "0 1 2", lost: 2},
		// The kernel drops all that comes of a peer that began anew, up to 8.4 million packets.
		{name: "peer began anew", s: number, script: "100 101 102 0 1 2 3 4 5 6", delivered: "0 1 2 7 8 9", errors: 4, discards: 4, oos: 4, resyncs: 1},
		{name: "peer began anew, resync 1", s: Sequence{Send: true, Resync: 1}, script: "100 101 102 0 1 2", delivered: "0 1 2 4 5", errors: 1, discards: 1, oos: 1, resyncs: 1},
		{name: "old ones without order are no beginning", s: number, script: "100 9 7 5 3 1 50 51 101", delivered: "0 8", errors: 7, discards: 7, oos: 7},
		{name: "jump ahead of half the space", s: number, script: "0 8388608 8388609", delivered: "0 1 2", lost: 8388607},

		// Where the kernel's comparison fails: a swap at the wrap, a duplicate in the queue.
		{name: "reorder at the wrap", s: reorder, script: "16777214 0 16777215 1 2", delivered: "0 2 1 3 4"},
		{name: "reorder three", s: reorder, script: "0 3 2 1 4", delivered: "0 3 2 1 4", oos: 1},
		{name: "duplicate in the queue", s: reorder, script: "0 2 2 1 3 4", delivered: "0 3 1 4 5", errors: 1, discards: 1},
		{name: "late after its time", s: reorder, script: "0 2 +110 1 3", delivered: "0 1 4", errors: 1, discards: 1, oos: 1, lost: 1},
		{name: "two gaps", s: reorder, script: "0 2 +60 4 +50 +60", delivered: "0 1 3", lost: 2},
		{name: "second gap filled", s: reorder, script: "0 2 +60 4 +50 3", delivered: "0 1 5 3", lost: 1},
		{name: "without numbers while others wait", s: reorder, script: "0 2 - 1", delivered: "0 2 3 1"},
		// What waits when the peer begins anew leaves first, and its numbers count no more.
		{name: "anew with some waiting", s: reorder, script: "100 102 0 1 2 3 4 5 +110 6", delivered: "0 1 6 7 9", errors: 4, discards: 4, oos: 4, resyncs: 1, lost: 1},
		{name: "anew with many waiting", s: reorder, script: "100 103 102 0 1 2 3 4 5 +110 6", delivered: "0 2 1 7 8 10", errors: 4, discards: 4, oos: 5, resyncs: 1, lost: 1},
	} {
		for _, batch := range []int{1, 3, 100} {
			t.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(tt.name, " ", "-"), batch), func(t *testing.T) {
				table, id := sequenceBox(t, 1, tt.s)
				if got := play(t, table, tt.script, batch); got != tt.delivered {
					t.Errorf("delivered %q, want %q", got, tt.delivered)
				}
				c := table.SessionCounters(id)
				n := uint64(len(strings.Fields(tt.delivered)))
				if c.RxPackets != n || c.RxBytes != n*24 {
					t.Errorf("rx_packets %d, rx_bytes %d, want %d and 24 bytes each", c.RxPackets, c.RxBytes, n)
				}
				if c.RxErrors != tt.errors || c.RxSeqDiscards != tt.discards || c.RxOOSPackets != tt.oos {
					t.Errorf("rx_errors %d, rx_seq_discards %d, rx_oos_packets %d, want %d, %d, %d", c.RxErrors, c.RxSeqDiscards, c.RxOOSPackets, tt.errors, tt.discards, tt.oos)
				}
				s, _ := table.Numbering(id)
				if s.Lost != tt.lost || s.Resyncs != tt.resyncs {
					t.Errorf("lost %d, resyncs %d, want %d, %d", s.Lost, s.Resyncs, tt.lost, tt.resyncs)
				}
			})
		}
	}
}

func TestSequenceFollowsThePeer(t *testing.T) {
	table, id := sequenceBox(t, 1, Sequence{Follow: true})
	r := newRig(t, table)
	customer := join([]byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 2}, []byte{8, 0}, make([]byte, 40))
	word := func() uint32 {
		_, b := r.one(1, customer)
		return u32(b[14+20+4:])
	}
	for i, step := range []struct {
		receive int // -2: nothing
		want    uint32
	}{{-2, 0}, {0, 0x40000000}, {1, 0x40000001}, {-1, 0}, {-2, 0}, {2, 0x40000002}} {
		if step.receive > -2 {
			r.one(0, numbered(t, step.receive, i))
		}
		if got := word(); got != step.want {
			t.Errorf("step %d: sent %#08x, want %#08x", i, got, step.want)
		}
	}
	if n, _ := table.Numbering(id); !n.Sending || n.NS != 3 || n.NR != 3 {
		t.Errorf("%+v", n)
	}

	// To set it otherwise counts until the peer says something else, as with the kernel's SEND_SEQ.
	for _, send := range []bool{true, false, true} {
		spec, _ := table.Session(id)
		spec.Sequence.Send = send
		if err := table.SetSession(id, spec); err != nil {
			t.Fatal(err)
		}
		if got := word() != 0; got != send {
			t.Errorf("numbered: %v, set to %v", got, send)
		}
	}
}

// What is sent is numbered from 0 on, by one, and wraps; a change of the session goes on.
func TestSequenceSent(t *testing.T) {
	table, id := sequenceBox(t, 1, Sequence{Send: true})
	r := newRig(t, table)
	customer := join([]byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 2}, []byte{8, 0}, make([]byte, 40))
	next := uint32(0)
	see := func() {
		t.Helper()
		_, b := r.one(1, customer)
		if got := u32(b[14+20+4:]); got != 0x40000000|next {
			t.Fatalf("sent %#08x, want %#08x", got, 0x40000000|next)
		}
		next = (next + 1) & 0xffffff
	}
	see()
	see()
	s, _ := table.Session(id)
	s.PSID, s.Sequence.Reorder = 300, time.Millisecond
	if err := table.SetSession(id, s); err != nil {
		t.Fatal(err)
	}
	see()
	table.extraOf(uint32(id)).seq.tx.next.Store(0xffffff)
	next = 0xffffff
	see()
	see()
	s.Sequence = Sequence{}
	if err := table.SetSession(id, s); err != nil {
		t.Fatal(err)
	}
	if _, b := r.one(1, customer); u32(b[14+20+4:]) != 0 {
		t.Errorf("numbered without being asked to: % x", b)
	}
	if got, _ := table.Session(id); got.Sequence != (Sequence{}) {
		t.Errorf("read back %+v", got.Sequence)
	}
}

// A session that goes, or no longer waits, gives back what it holds.
func TestSequenceGivesBackHeldFrames(t *testing.T) {
	for name, change := range map[string]func(*Table, SessionID) error{
		"removed": func(t *Table, id SessionID) error { return t.RemoveSession(id) },
		"no longer waiting": func(t *Table, id SessionID) error {
			s, _ := t.Session(id)
			s.Sequence = Sequence{}
			return t.SetSession(id, s)
		},
		"another in its place": func(t *Table, id SessionID) error {
			s, _ := t.Session(id)
			if err := t.RemoveSession(id); err != nil {
				return err
			}
			_, err := t.AddSession(s)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			table, id := sequenceBox(t, 1, Sequence{Send: true, Reorder: time.Millisecond})
			r := newRig(t, table)
			f := table.Forwarder(0)
			in := []Frame{r.put(0, 0, 256, numbered(t, 0, 0)), r.put(1, 0, 256, numbered(t, 2, 0)), r.put(2, 0, 256, numbered(t, 3, 0))}
			if out := f.Process(r.mem, in, 1, nil); len(out) != 1 || f.Held() != 2 || f.Deadline() != 1+int64(time.Millisecond) {
				t.Fatalf("out %v, held %d until %d", out, f.Held(), f.Deadline())
			}
			if err := change(table, id); err != nil {
				t.Fatal(err)
			}
			out := f.Expire(r.mem, f.Deadline(), nil)
			if len(out) != 2 || out[0].Out != NoPort || out[1].Out != NoPort || f.Held() != 0 || f.Deadline() != 0 {
				t.Fatalf("out %v, held %d until %d", out, f.Held(), f.Deadline())
			}
			if got := dropsAt(table, 0); got["session_gone"] != 2 || got["unknown_session"] != 0 {
				t.Errorf("drops %v", got)
			}
		})
	}
}

// Whatever comes, what is delivered has rising numbers but for a new beginning, every frame comes
// back or is held, no more than the queue takes waits, and nothing waits longer than it may.
func TestSequenceProperties(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := Sequence{Send: true, Resync: 255}
		if seed%2 == 1 {
			s.Reorder = time.Duration(1 + rng.IntN(50))
		}
		table, _ := sequenceBox(t, 1, s)
		r := newRig(t, table)
		f := table.Forwarder(0)
		free := make([]int, rigChunks)
		for i := range free {
			free[i] = i
		}
		base := rng.IntN(1 << 24)
		last, now := -1, int64(1000)
		held := make(map[uint64]int64) // by chunk, since when
		see := func(out []Frame) {
			for _, o := range out {
				chunk := o.Addr / minChunk
				free = append(free, int(chunk))
				since, waited := held[chunk]
				delete(held, chunk)
				if !waited {
					t.Fatalf("seed %d: frame %+v came back twice", seed, o)
				}
				if wait := now - since; wait > int64(s.Reorder) {
					t.Fatalf("seed %d: waited %d, want at most %d", seed, wait, s.Reorder)
				}
				if o.Out != 1 {
					continue
				}
				if n := int(u16(r.bytes(o)[14:])); n <= last {
					t.Fatalf("seed %d: number %d delivered behind %d", seed, n, last)
				} else {
					last = n
				}
			}
		}
		next := 0
		for range 100 {
			var in []Frame
			for range rng.IntN(6) {
				n := next
				switch rng.IntN(6) {
				case 0:
					n = max(0, next-rng.IntN(8))
				case 1:
					n = next + rng.IntN(90)
				default:
					next++
				}
				next = max(next, n)
				chunk := free[len(free)-1]
				free = free[:len(free)-1]
				held[uint64(chunk)] = now
				in = append(in, r.put(chunk, 0, 256, numbered(t, (base+n)&0xffffff, n)))
			}
			see(f.Process(r.mem, in, now, nil))
			if f.Held() != len(held) || f.Held() > reorderLen {
				t.Fatalf("seed %d: held %d, given and not back %d", seed, f.Held(), len(held))
			}
			end := now + int64(rng.IntN(20))
			for due := f.Deadline(); due != 0 && due <= end; due = f.Deadline() {
				now = max(now, due)
				see(f.Expire(r.mem, now, nil))
			}
			now = end
		}
	}
}

func TestSequenceAllocatesNothing(t *testing.T) {
	table, _ := sequenceBox(t, 1, Sequence{Send: true, Require: true, Reorder: 1})
	r := newRig(t, table)
	f := table.Forwarder(0)
	frame := numbered(t, 0, 0)
	const at = 14 + 20 + 4
	n, in := uint32(0), make([]Frame, 0, 8)
	if allocs := testing.AllocsPerRun(100, func() {
		in = in[:0]
		for i, d := range []uint32{0, 2, 3, 1, 1, 7, 9} { // in turn, held, released, old, held
			in = append(in, Frame{Addr: uint64(i*minChunk + 256), Len: uint32(len(frame)), In: 0})
			b := r.mem[in[i].Addr:]
			copy(b, frame)
			binary.BigEndian.PutUint32(b[at:], l2tp.SublayerS|(n+d)&0xffffff)
		}
		r.out = f.Process(r.mem, in, 1, r.out[:0])
		r.out = f.Expire(r.mem, 2, r.out)
		if len(r.out) != len(in) || f.Held() != 0 {
			t.Fatalf("%d frames back, %d held", len(r.out), f.Held())
		}
		n += 10
	}); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	customer := join(make([]byte, 12), []byte{8, 0}, make([]byte, 40))
	assertNoAllocs(t, r, 1, 256, customer)
}

func TestSequenceSpecs(t *testing.T) {
	table, id := sequenceBox(t, 1, Sequence{})
	s, _ := table.Session(id)
	for name, change := range map[string]func(*SessionSpec){
		"no sublayer":   func(s *SessionSpec) { s.Sublayer, s.Sequence.Send = l2tp.SublayerNone, true },
		"negative time": func(s *SessionSpec) { s.Sequence.Reorder = -1 },
		"a long time":   func(s *SessionSpec) { s.Sequence.Reorder = time.Minute },
	} {
		bad := s
		change(&bad)
		if err := table.SetSession(id, bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// L2TPv2 has numbers of 16 bits in a longer header, and otherwise the same rules.
func TestSequenceV2(t *testing.T) {
	s := pppoeSession(44, 33)
	s.Sequence = Sequence{Send: true, Require: true}
	r := pppBox(t, v2udp4, s)
	frame := wire(t, lines(fromClient, lcpOverPPPoE)...)
	for i, want := range []string{"0000", "0001", "ffff", "0000"} {
		if i == 2 {
			r.table.extraOf(1).seq.tx.next.Store(0xffff)
		}
		_, got := r.one(1, frame)
		if want := wire(t, "06a5 06a6 001a 0000 0802 0016 0021", want, "0000 ff03 c021"); !bytes.Equal(got[34:34+len(want)], want) {
			t.Errorf("packet %d: %x, want %x", i, got[34:], want)
		}
	}
	assertNoAllocs(t, r, 1, 256, frame)
	for i, c := range []struct {
		header string
		out    uint16
	}{
		{"0802 000b 002c fffe 0000", 1},
		{"0002 000b 002c", NoPort},
		{"0802 000b 002c fffe 0000", NoPort}, // again
		{"0802 000b 002c ffff 0000", 1},
		{"4a02 0000 000b 002c 0000 0000 0001 00", 1},
		{"0802 000b 002c fffd 0000", NoPort},
	} {
		message := wire(t, c.header, "ff03 c021 09010004")
		p := join(wire(t, lines(linkHeader, []string{"0800 4500 0000 0000 0000 4011 0000", "c6 33 64 07", "c0 00 02 01", "06a6 06a5 0000 0000"})...), message)
		p[17], p[39] = byte(28+len(message)), byte(8+len(message))
		fixIPv4(p)
		if out, _ := r.one(0, p); out != c.out {
			t.Errorf("packet %d: out of %d, %v", i, out, dropsAt(r.table, 0))
		}
	}
	if d := dropsAt(r.table, 0); d["unnumbered"] != 1 || d["old"] != 2 {
		t.Errorf("drops %v", d)
	}
}
