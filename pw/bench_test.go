package pw

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"xwire/l2tp"
)

// benchBox is one table with both ends of its sessions: what port 1 encapsulates leaves by port 0,
// and given back there as received it is decapsulated to port 2. Sessions are QinQ pairs if there
// is more than one, else the whole port.
type benchBox struct {
	table    *Table
	mem      []byte
	customer []Frame // at port 1
	packets  []Frame // at port 0, as encap left them
	out      []Frame
	sid      int // offset of the session id in a packet
	tags     int // and of the inner frame's
	sessions int
	order    []uint32 // sessions at random
	at       int
}

type benchCase struct {
	encap    string // ip4, udp4, ip6, udp6, and with sum for a UDP checksum
	size     int    // bytes of the customer's frame, without FCS
	sessions int
	frames   int
	cookie   int
	sublayer l2tp.Sublayer
	vlan     string // "", "keep", "none", "vid"
	huge     bool   // the heap on huge pages, as the appliance asks for
}

func (c benchCase) String() string {
	s := fmt.Sprintf("encap=%s/size=%d/sessions=%d/frames=%d", c.encap, c.size, c.sessions, c.frames)
	if c.cookie > 0 {
		s += fmt.Sprintf("/cookie=%d", c.cookie)
	}
	if c.sublayer != 0 {
		s += "/l2ss=default"
	}
	if c.vlan != "" {
		s += "/vlan=" + c.vlan
	}
	if c.huge {
		s += "/pages=huge"
	}
	return s
}

const (
	benchBatch  = 64
	benchWindow = 16 // batches: the fastest window shows what nothing else disturbed
)

// newBenchBox makes a box for a case, with the sessions that encap or decap need.
func newBenchBox(b testing.TB, c benchCase, encap, decap bool) *benchBox {
	box := &benchBox{table: NewTable(1), sessions: c.sessions, mem: make([]byte, c.frames*minChunk), out: make([]Frame, 0, benchBatch)}
	for i := range c.frames {
		box.customer = append(box.customer, Frame{Addr: uint64(i*minChunk + 256), Len: uint32(c.size), In: 1})
		box.writeCustomer(c, i)
	}
	if c.sessions > 1 {
		rng := rand.New(rand.NewPCG(1, 1))
		box.order = make([]uint32, 1<<20)
		for i := range box.order {
			box.order[i] = uint32(rng.IntN(c.sessions))
		}
	}
	// Another table, with the first session only, makes the packets.
	maker := NewTable(1)
	box.fill(b, c, maker, 0, 1)
	for i := 0; i < c.frames; i += benchBatch {
		box.packets = maker.Forwarder(0).Process(box.mem, box.customer[i:i+benchBatch], 1, box.packets)
	}
	for i := range box.packets {
		if box.packets[i].Out != 0 {
			b.Fatalf("packet %d was dropped: %v", i, dropsAt(maker, 1))
		}
		box.packets[i].In = 0
		if encap {
			box.writeCustomer(c, i)
		}
	}
	if encap {
		box.fill(b, c, box.table, 0, c.sessions)
	}
	if decap {
		box.fill(b, c, box.table, 1, c.sessions)
	}
	if c.huge {
		hugePages(b)
	}
	return box
}

// hugePages has the kernel put this process's memory together in pages of 2 MiB. Tables of a
// million sessions are spread over so many small pages that finding those costs more than reading
// what is in them.
func hugePages(b testing.TB) {
	const (
		huge         = 2 << 20
		madvCollapse = 25
	)
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		b.Fatal(err)
	}
	collapsed := 0
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x rw-p 00000000 00:00 0", &from, &to); n != 2 {
			continue
		}
		for at := (from + huge - 1) &^ (huge - 1); at+huge <= to; at += huge {
			// Ranges without any page in use are refused, which is as well.
			if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, uintptr(at), huge, madvCollapse); errno == 0 {
				collapsed++
			}
		}
	}
	if collapsed == 0 {
		b.Fatal("no huge page to be had: the kernel must be 6.1 or newer, with /sys/kernel/mm/transparent_hugepage/enabled not never")
	}
}

// writeCustomer writes a customer's frame of the first session.
func (x *benchBox) writeCustomer(c benchCase, i int) {
	frame := x.mem[x.customer[i].Addr:][:c.size]
	copy(frame, []byte{2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2, 8, 0, 0x45})
	switch {
	case c.vlan != "":
		copy(frame[12:], []byte{0x81, 0, 0, 1, 8, 0, 0x45})
	case c.sessions > 1:
		copy(frame[12:], []byte{0x81, 0, 0, 1, 0x81, 0, 0, 1, 8, 0, 0x45})
	}
}

// fill adds ports, tunnel and sessions of one end to a table.
func (x *benchBox) fill(b testing.TB, c benchCase, table *Table, end uint32, sessions int) {
	near, far := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7")
	if strings.Contains(c.encap, "6") {
		near, far = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:1::2")
	}
	if end == 1 {
		near, far = far, near
	}
	spec := TunnelSpec{Encap: l2tp.EncapIP, UDPZeroChecksumRx: true}
	port := uint16(0)
	if c.encap[:3] == "udp" {
		spec.Encap, port = l2tp.EncapUDP, 1701
		spec.UDPChecksumTx = len(c.encap) > 4
	}
	spec.Local, spec.Peer = netip.AddrPortFrom(near, port), netip.AddrPortFrom(far, port)
	x.sid = 14 + l2tp.Overhead(near.Is6(), spec.Encap, 0, 0) - 4
	x.tags = x.sid + 4 + c.cookie + c.sublayer.Len() + 12
	table.SetPort(0, PortSpec{Core: true, MTU: 1600})
	table.SetPort(uint16(1+end), PortSpec{MTU: 1504})
	tunnel := must(table.AddTunnel(spec))(b)
	table.SetTunnelNextHop(tunnel, table.AddNextHop(NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}, MTU: 1600}))

	s := SessionSpec{Tunnel: tunnel, Type: l2tp.PWEth, Sublayer: c.sublayer}
	if c.cookie > 0 {
		s.TxCookie = must(l2tp.NewCookie([]byte{1, 2, 3, 4, 5, 6, 7, 8}[:c.cookie]))(b)
		s.RxCookies[0], s.RxCookieCount = s.TxCookie, 1
	}
	for i := range uint32(sessions) {
		s.SID, s.PSID = 1+2*i+end, 1+2*i+1-end
		s.AC = Attachment{Port: uint16(1 + end)}
		switch {
		case c.vlan != "":
			s.AC.VLAN = VLANMatch{Kind: VLANSingle, Lo: uint16(1 + i)}
			s.AC.PW = PWTags{Kind: map[string]PWKind{"keep": PWKeep, "none": PWNone, "vid": PWVID}[c.vlan], VID: 5}
		case c.sessions > 1:
			s.AC.VLAN = VLANMatch{Kind: VLANQinQ, Lo: uint16(1 + i/4000), C: uint16(1 + i%4000)}
		}
		if _, err := table.AddSession(s); err != nil {
			b.Fatal(err)
		}
	}
}

// aimCustomers gives frames to sessions at random, by their tags.
func (x *benchBox) aimCustomers(frames []Frame) {
	if x.sessions == 1 {
		return
	}
	for _, f := range frames {
		s := x.order[x.at&(1<<20-1)]
		x.at++
		binary.BigEndian.PutUint64(x.mem[f.Addr+12:], benchTags(s))
	}
}

// benchTags is the QinQ pair of a session.
func benchTags(s uint32) uint64 {
	return 0x8100_0000_8100_0000 | uint64(1+s/4000)<<32 | uint64(1+s%4000)
}

// aimPackets does the same by the session id of the end at port 2.
func (x *benchBox) aimPackets(frames []Frame) {
	if x.sessions == 1 {
		return
	}
	for _, f := range frames {
		s := x.order[x.at&(1<<20-1)]
		x.at++
		binary.BigEndian.PutUint32(x.mem[f.Addr+uint64(x.sid):], 2+2*s)
		binary.BigEndian.PutUint64(x.mem[f.Addr+uint64(x.tags):], benchTags(s))
	}
}

// process stands for the work to be measured; nothing but the copy of descriptors, which the
// caller wants in any case, for the cost of the loop around it.
type process func(mem []byte, in []Frame, now int64, out []Frame) []Frame

func noWork(mem []byte, in []Frame, now int64, out []Frame) []Frame { return append(out, in...) }

// threadTime is what this thread has had of its CPU: on a machine with other work to do a better
// figure than the clock's.
func threadTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	const thisThread = 1
	if err := syscall.Getrusage(thisThread, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (x *benchBox) run(b *testing.B, encap, decap bool, work process) {
	b.ReportAllocs()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i, n := 0, 0
	began := threadTime(b)
	best, window := time.Duration(1<<62), time.Now()
	for round := 1; b.Loop(); round++ {
		if round%benchWindow == 0 {
			best = min(best, time.Since(window))
			window = time.Now()
		}
		from := x.customer
		if !encap {
			from = x.packets
		}
		batch := from[i : i+benchBatch]
		if i += benchBatch; i == len(from) {
			i = 0
		}
		if encap {
			x.aimCustomers(batch)
		} else {
			x.aimPackets(batch)
		}
		out := work(x.mem, batch, 1, x.out[:0])
		if encap && decap {
			for j := range out {
				out[j].In = 0
			}
			out = work(x.mem, out, 1, x.out[:0])
		}
		n += len(out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
	b.ReportMetric(float64(threadTime(b)-began)/float64(n), "cpu-ns/packet")
	if best < 1<<62 {
		b.ReportMetric(float64(best)/(benchWindow*benchBatch), "best-ns/packet")
	}
	b.ReportMetric(0, "ns/op")
}

// check makes sure that the measured frames were forwarded.
func (x *benchBox) check(b *testing.B) {
	b.Helper()
	for _, p := range []uint16{0, 1} {
		if d := dropsAt(x.table, p); len(d) > 0 {
			b.Fatalf("dropped at port %d: %v", p, d)
		}
	}
}

var benchCases = func() (all []benchCase) {
	for _, frames := range []int{128, 4096} {
		for _, e := range []string{"ip4", "udp4", "ip6", "udp6"} {
			all = append(all, benchCase{encap: e, size: 64, sessions: 1, frames: frames})
		}
	}
	for _, size := range []int{512, 1518} {
		all = append(all, benchCase{encap: "ip4", size: size, sessions: 1, frames: 128})
	}
	for _, size := range []int{64, 512, 1514} {
		all = append(all, benchCase{encap: "udp6sum", size: size, sessions: 1, frames: 128})
	}
	for _, n := range []int{64, 100_000} {
		all = append(all, benchCase{encap: "ip4", size: 64, sessions: n, frames: 128})
	}
	for _, n := range []int{4, 64, 1000, 100_000, 1_000_000} {
		all = append(all, benchCase{encap: "ip4", size: 64, sessions: n, frames: 4096})
	}
	all = append(all,
		benchCase{encap: "ip6", size: 64, sessions: 100_000, frames: 4096, cookie: 8},
		benchCase{encap: "ip4", size: 64, sessions: 100_000, frames: 4096, huge: true},
		benchCase{encap: "ip4", size: 64, sessions: 1_000_000, frames: 4096, huge: true},
		benchCase{encap: "ip4", size: 64, sessions: 1, frames: 128, cookie: 4},
		benchCase{encap: "ip4", size: 64, sessions: 1, frames: 128, cookie: 8},
		benchCase{encap: "ip4", size: 64, sessions: 1, frames: 128, cookie: 8, sublayer: 1},
		benchCase{encap: "ip4", size: 64, sessions: 1, frames: 128, vlan: "keep"},
		benchCase{encap: "ip4", size: 64, sessions: 1, frames: 128, vlan: "none"},
		benchCase{encap: "ip4", size: 64, sessions: 1, frames: 128, vlan: "vid"},
	)
	return all
}()

func benchmark(b *testing.B, encap, decap bool) {
	for _, c := range benchCases {
		b.Run(c.String(), func(b *testing.B) {
			if c.vlan != "" && !(encap && decap) {
				b.Skip("tags are rewritten in place: only a pair puts them back")
			}
			x := newBenchBox(b, c, encap, decap)
			x.run(b, encap, decap, x.table.Forwarder(0).Process)
			x.check(b)
		})
	}
}

func BenchmarkEncap(b *testing.B) { benchmark(b, true, false) }
func BenchmarkDecap(b *testing.B) { benchmark(b, false, true) }
func BenchmarkPair(b *testing.B)  { benchmark(b, true, true) }

// BenchmarkLoop is what the others cost without the work: take it off for net figures. The pair
// goes round twice.
func BenchmarkLoop(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		for _, kind := range []string{"encap", "decap", "pair"} {
			c := benchCase{encap: "ip4", size: 64, sessions: n, frames: 4096}
			b.Run(fmt.Sprintf("%s/sessions=%d", kind, n), func(b *testing.B) {
				x := newBenchBox(b, c, false, false)
				x.run(b, kind != "decap", kind != "encap", noWork)
			})
		}
	}
}
