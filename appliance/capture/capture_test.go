package capture

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings"
)

const chunk = 2048

// bed is a table with one session on port 1, whose packets come and leave by port 0, and a memory.
type bed struct {
	table *pw.Table
	id    pw.SessionID
	hub   *Hub
	tap   *Tap
	mem   []byte
	out   []rings.Frame
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{table: pw.NewTable(1), mem: make([]byte, 64*chunk), out: make([]rings.Frame, 0, 64)}
	local, peer := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	tunnel, err := b.table.AddTunnel(pw.TunnelSpec{Version: 3, Encap: l2tp.EncapIP, Local: netip.AddrPortFrom(local, 0), Peer: netip.AddrPortFrom(peer, 0)})
	if err != nil {
		t.Fatal(err)
	}
	b.table.SetTunnelNextHop(tunnel, b.table.AddNextHop(pw.NextHop{Port: 0, MTU: 1600}))
	b.id, err = b.table.AddSession(pw.SessionSpec{Tunnel: tunnel, SID: 10, PSID: 20, Type: l2tp.PWEth, AC: pw.Attachment{Port: 1, VLAN: pw.VLANMatch{Kind: pw.VLANAll}}})
	if err != nil {
		t.Fatal(err)
	}
	b.table.SetPort(0, pw.PortSpec{Core: true, MTU: 1700})
	b.table.SetPort(1, pw.PortSpec{MTU: 1700})
	b.hub = NewHub(1, pw.Layout{Chunk: chunk})
	b.tap = b.hub.Tap(0, b.table.Forwarder(0))
	return b
}

// put places a frame in chunk i.
func (b *bed) put(i int, port uint16, frame []byte) rings.Frame {
	at := i*chunk + 256
	copy(b.mem[at:], frame)
	return rings.Frame{Addr: uint64(at), Len: uint32(len(frame)), In: port, Out: rings.NoPort}
}

func inner() []byte {
	return append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, make([]byte, 46)...)
}

// packet is what comes for a session of that id.
func packet(sid uint32) []byte {
	ip := []byte{0x45, 0, 0, 84, 0, 0, 0, 0, 64, 115, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1}
	l2tp.IPv4(ip).SetChecksum()
	b := append([]byte{2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4, 8, 0}, ip...)
	return append(binary.BigEndian.AppendUint32(b, sid), inner()...)
}

// collected is what a capture has, in words.
func collected(c *Capture) (list []Record) {
	c.Read(func(r *Record) bool {
		v := *r
		v.Data = bytes.Clone(r.Data)
		list = append(list, v)
		return true
	})
	return list
}

func TestRecords(t *testing.T) {
	b := newBed(t)
	all, ok := b.hub.Start(Filter{Port: -1})
	ours, ok2 := b.hub.Start(Filter{Port: -1, Session: b.id, Snap: 20})
	drops, ok3 := b.hub.Start(Filter{Port: -1, Drops: true})
	if !ok || !ok2 || !ok3 {
		t.Fatal("captures do not start")
	}
	in := []rings.Frame{b.put(0, 1, inner()), b.put(1, 0, packet(99)), b.put(2, 0, packet(10))}
	b.out = b.tap.Process(b.mem, in, 7, b.out[:0])
	if len(b.out) != 3 || b.out[0].Out != 0 || b.out[1].Out != rings.NoPort || b.out[2].Out != 1 {
		t.Fatalf("frames %+v", b.out)
	}
	wrapped := b.mem[b.out[0].Addr : b.out[0].Addr+uint64(b.out[0].Len)]
	want := []Record{
		{Port: 1, Way: pw.WayEncap, Session: b.id, Data: inner()},
		{Port: 0, Way: pw.WayEncap, Session: b.id, Sent: true, Outer: true, Data: wrapped},
		{Port: 0, Outer: true, Drop: "unknown_session", Data: packet(99)},
		{Port: 0, Way: pw.WayDecap, Session: b.id, Outer: true, Data: packet(10)},
		{Port: 1, Way: pw.WayDecap, Session: b.id, Sent: true, Data: inner()},
	}
	check := func(name string, c *Capture, want []Record, snap int) {
		t.Helper()
		got := collected(c)
		if len(got) != len(want) {
			t.Fatalf("%s: %d records, want %d: %+v", name, len(got), len(want), got)
		}
		for i, w := range want {
			g := got[i]
			if g.Time != 7 || g.Port != w.Port || g.Way != w.Way || g.Session != w.Session || g.Sent != w.Sent || g.Outer != w.Outer || g.Drop != w.Drop || g.Held ||
				g.Length != len(w.Data) || !bytes.Equal(g.Data, w.Data[:min(len(w.Data), snap)]) {
				t.Errorf("%s %d: %+v\nwant %+v", name, i, g, w)
			}
		}
	}
	check("all", all, want, chunk)
	check("session", ours, append(want[:2:2], want[3:]...), 20)
	check("drops", drops, want[2:3], chunk)

	b.tap.Unsent(b.mem, b.out[0], rings.DropTxRingFull)
	if got := collected(drops); len(got) != 1 || got[0].Drop != "tx_ring_full" || got[0].Port != 0 || !bytes.Equal(got[0].Data, wrapped) {
		t.Errorf("what could not be sent: %+v", got)
	}
	for _, c := range []*Capture{all, ours, drops} {
		c.Close()
	}
	if b.hub.active.Load() != nil {
		t.Error("after the last Close workers still look at frames")
	}
}

// TestLost: who does not read loses what comes, and is told how much.
func TestLost(t *testing.T) {
	b := newBed(t)
	c, _ := b.hub.Start(Filter{Port: 1, Snap: 16})
	defer c.Close()
	const frames = ringLen + 100
	for range frames {
		b.out = b.tap.Process(b.mem, []rings.Frame{b.put(0, 1, inner())}, 1, b.out[:0])
	}
	if got, lost := len(collected(c)), c.Lost(); got != ringLen || lost != 100 {
		t.Errorf("%d records and %d lost, want %d and 100", got, lost, ringLen)
	}
	b.out = b.tap.Process(b.mem, []rings.Frame{b.put(0, 1, inner())}, 1, b.out[:0])
	if got := len(collected(c)); got != 1 {
		t.Errorf("%d records after that, want 1", got)
	}
	for range most {
		if _, ok := b.hub.Start(Filter{}); !ok {
			return
		}
	}
	t.Errorf("more than %d captures start", most)
}

// TestAllocations: a worker allocates nothing, whether something is captured or not.
func TestAllocations(t *testing.T) {
	b := newBed(t)
	in := make([]rings.Frame, 2)
	taken, stray := inner(), packet(99)
	run := func() {
		in[0], in[1] = b.put(0, 1, taken), b.put(1, 0, stray)
		b.out = b.tap.Process(b.mem, in, 1, b.out[:0])
		b.out = b.tap.Expire(b.mem, 1, b.out[:0])
	}
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations a batch while nothing is captured", n)
	}
	c, _ := b.hub.Start(Filter{Port: -1})
	defer c.Close()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations a batch while all is captured", n)
	}
}

type names struct{}

func (names) Port(i uint16) (string, string) { return []string{"core0", "ac0"}[i], "eth" }
func (names) Session(r *Record) string {
	if r.Session == 0 {
		return ""
	}
	return "t/s"
}

func TestComments(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file, names{}, "test")
	if err := w.Begin(); err != nil {
		t.Fatal(err)
	}
	records := []Record{
		{Port: 1, Way: pw.WayEncap, Session: 1, Data: inner(), Length: 60},
		{Port: 0, Way: pw.WayDecap, Session: 1, Outer: true, Held: true, Data: inner(), Length: 80},
		{Port: 0, Outer: true, Sent: true, Drop: "tx_ring_full", Data: inner(), Length: 60},
	}
	want := []string{"encap inner received t/s", "decap outer received t/s, held", "outer sent, dropped: tx_ring_full"}
	for i := range records {
		if err := w.Write(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(5); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range want {
		data, info, o, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Comments) != 1 || o.Comments[0] != text || !bytes.Equal(data, inner()) || info.Length != records[i].Length {
			t.Errorf("packet %d: %q, %+v, want %q", i, o.Comments, info, text)
		}
	}
	if _, _, err := r.ReadPacketData(); err == nil {
		t.Error("there is a fourth packet")
	}
	if i, err := r.Interface(0); err != nil || i.Statistics.PacketsDropped != 5 {
		t.Errorf("statistics %+v, %v, want 5 lost", i.Statistics, err)
	}
}
