package rings

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// spreadModel plays the kernel for one queue that all frames arrive on and several workers that
// share them, one after the other in one goroutine: what each worker's CPU spends is measured
// without the machine having that many, and without the traffic of cache lines between them.
type spreadModel struct {
	b       *testing.B
	fabric  *Fabric
	in      *queue
	rx      []*rxRing // one, or with sockets one a worker
	out     []*queue
	filled  uint32
	given   []uint32
	taken   []uint32
	done    []uint32
	number  uint64
	handler []*busy
}

// busy spreads by a hash of 8 bytes, and multiplies for a while in the place of work.
type busy struct {
	relay
	steps  int
	sink   uint64
	frames uint64
}

const modelSession = 34 // where a packet has its session id

func (h *busy) Spread(mem []byte, in []Frame, workers int, to []uint8) {
	for i, f := range in {
		hi, lo := bits.Mul64(binary.LittleEndian.Uint64(mem[f.Addr+modelSession:])^0x9e3779b97f4a7c15, 0xd1342543de82ef95)
		to[i] = uint8(uint64(uint32((hi^lo)>>16)) * uint64(workers) >> 32)
	}
}

func (h *busy) Process(mem []byte, in []Frame, _ int64, out []Frame) []Frame {
	h.frames += uint64(len(in))
	for _, f := range in {
		x := binary.LittleEndian.Uint64(mem[f.Addr:])
		for range h.steps {
			hi, lo := bits.Mul64(x, 0x9e3779b97f4a7c15)
			x = hi ^ lo
		}
		h.sink += x
		f.Out = 1
		out = append(out, f)
	}
	return out
}

// newSpreadModel: way is "alone", "hand-over" or "sockets"; own: every worker has a queue of its
// own to send by, else all send by the queue of worker 0.
func newSpreadModel(b *testing.B, way string, workers, steps int, own bool) *spreadModel {
	arena, err := NewArena(ArenaConfig{Chunks: 65536})
	if err != nil {
		b.Fatal(err)
	}
	m := &spreadModel{b: b}
	cfg := FabricConfig{Arena: arena}
	for range workers {
		m.handler = append(m.handler, &busy{steps: steps})
		cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: -1, Handler: m.handler[len(m.handler)-1]})
	}
	if m.fabric, err = NewFabric(cfg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.fabric.Close(); arena.Close() })
	add := func(c PortConfig) []*queue {
		p, err := m.fabric.AddFake(c, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, q := range p.queues {
			q.sockets[0].kernel = silent{q.sockets[0].kernel}
		}
		return p.queues
	}
	m.in = add(PortConfig{Index: 0, RingSize: 2048, Spread: way == "hand-over"})[0]
	m.rx = []*rxRing{m.in.sockets[0].rx}
	outs := []uint32{0}
	for i := 1; own && i < workers; i++ {
		outs = append(outs, uint32(i))
	}
	m.out = add(PortConfig{Index: 1, RingSize: 2048, Queues: outs})
	for i := 1; way == "sockets" && i < workers; i++ {
		words := func() *uint32 { return &make([]uint32, 32)[16] }
		rx := &rxRing{producer: words(), consumer: words(), entries: make([]unix.XDPDesc, 2048), mask: 2047}
		m.rx = append(m.rx, rx)
		w := m.fabric.workers[i]
		w.sockets = append(w.sockets, &socket{queue: m.in, kernel: m.in.sockets[0].kernel, fd: -1, rx: rx, tx: m.in.sockets[0].tx})
	}
	m.given, m.taken, m.done = make([]uint32, len(m.rx)), make([]uint32, len(m.out)), make([]uint32, len(m.out))
	return m
}

// give receives n frames, of as many sessions as there are numbers.
func (m *spreadModel) give(n int) {
	fill := m.in.fill
	for range n {
		addr := fill.entries[m.filled&fill.mask] + headroom
		m.filled++
		m.number++
		binary.LittleEndian.PutUint64(m.fabric.arena.mem[addr+modelSession:], m.number)
		i := int(m.number) % len(m.rx) // as even as a hash of many sessions
		rx := m.rx[i]
		rx.entries[m.given[i]&rx.mask] = unix.XDPDesc{Addr: addr, Len: 64}
		m.given[i]++
	}
	*fill.consumer = m.filled
	for i, rx := range m.rx {
		*rx.producer = m.given[i]
	}
}

// take sends what the workers gave out.
func (m *spreadModel) take() {
	for i, q := range m.out {
		tx, completion := q.sockets[0].tx, q.completion
		for ; m.taken[i] != *tx.producer; m.taken[i]++ {
			completion.entries[m.done[i]&completion.mask] = tx.entries[m.taken[i]&tx.mask].Addr
			m.done[i]++
		}
		*tx.consumer, *completion.producer = m.taken[i], m.done[i]
	}
}

// cycle takes 64 frames a worker through, and tells how long each worker was busy.
func (m *spreadModel) cycle(busy []time.Duration) {
	clear(busy)
	workers := m.fabric.workers
	turn := func(i int) bool {
		began := time.Now()
		moved := workers[i].round(1)
		if moved > 0 {
			busy[i] += time.Since(began)
		}
		return moved > 0
	}
	if len(m.rx) == 1 { // the owner is ahead, as it is when all are busy
		for range workers {
			m.give(64)
			turn(0)
		}
	} else {
		m.give(64 * len(workers))
	}
	for going := true; going; {
		going = false
		for i := range workers {
			going = turn(i) || going
		}
		m.take()
	}
	m.take()
}

// BenchmarkSpread compares ways to share the frames of one queue: what the owner of the queue
// spends on each frame that arrives, what another worker spends on each that it gets, and what
// rate the busiest of them allows. Each is that of the tenth of the cycles that nothing disturbed.
func BenchmarkSpread(b *testing.B) {
	for _, steps := range []int{0, 40} {
		for _, own := range []bool{true, false} {
			for _, workers := range []int{1, 2, 4, 8} {
				for _, way := range []string{"alone", "hand-over", "sockets"} {
					if (way == "alone") != (workers == 1) || way == "sockets" && !own {
						continue
					}
					out := map[bool]string{true: "own", false: "owner"}[own]
					b.Run(fmt.Sprintf("steps=%d/send=%s/way=%s/workers=%d", steps, out, way, workers), func(b *testing.B) {
						spreadFigure(b, newSpreadModel(b, way, workers, steps, own), workers)
					})
				}
			}
		}
	}
}

func spreadFigure(b *testing.B, m *spreadModel, workers int) {
	frames := 64 * workers
	spent := make([]time.Duration, workers)
	var owner, other, slowest []float64
	for range 50 {
		m.cycle(spent)
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += frames {
		m.cycle(spent)
		owner = append(owner, float64(spent[0])/float64(frames))
		slowest = append(slowest, float64(slices.Max(spent))/float64(frames))
		if workers > 1 {
			sum := time.Duration(0)
			for _, d := range spent[1:] {
				sum += d
			}
			other = append(other, float64(sum)/float64(frames)*float64(workers)/float64(workers-1))
		}
	}
	b.StopTimer()
	quiet := func(v []float64) float64 {
		slices.Sort(v)
		return v[len(v)/10]
	}
	b.ReportMetric(0, "ns/op") // the cycle's, with the kernel's part: of no interest
	b.ReportMetric(quiet(owner), "owner-ns/frame")
	if workers > 1 {
		b.ReportMetric(quiet(other), "other-ns/frame")
	}
	b.ReportMetric(1e3/quiet(slowest), "Mpps")
	var given, taken uint32
	for _, n := range m.given {
		given += n
	}
	for _, n := range m.taken {
		taken += n
	}
	if given != taken {
		b.Errorf("%d frames received, %d sent", given, taken)
	}
}

// BenchmarkInboxAcross is one inbox between two CPUs: the cache lines have to travel.
func BenchmarkInboxAcross(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs two CPUs")
	}
	box := newInbox(512)
	stop := make(chan struct{})
	pin := func(cpu int) {
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			b.Error(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pin(0)
		frames := make([]Frame, 64)
		for {
			if box.take(frames) == 0 {
				select {
				case <-stop:
					return
				default:
					runtime.Gosched()
				}
			}
		}
	}()
	finished := make(chan struct{})
	var windows []float64
	go func() {
		defer close(finished)
		pin(1)
		for n := 0; n < b.N; n += 64 * 16 {
			began := time.Now()
			for range 64 * 16 {
				for !box.put(Frame{Addr: uint64(n), Len: 64}) {
					box.publish()
					runtime.Gosched()
				}
				if box.next&63 == 0 {
					box.publish()
				}
			}
			windows = append(windows, float64(time.Since(began))/(64*16))
		}
	}()
	<-finished
	close(stop)
	<-done
	slices.Sort(windows)
	b.ReportMetric(windows[len(windows)/10], "p10-ns/frame")
	b.ReportMetric(windows[len(windows)/2], "median-ns/frame")
}

// BenchmarkSteerByHash is what an XDP program pays to choose among sockets by session id instead
// of taking its queue's: the kernel's own measurement, which leaves out the redirect itself. It
// runs on the CPU that the NIC's interrupts keep busy.
func BenchmarkSteerByHash(b *testing.B) {
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 64})
	if err != nil {
		b.Fatal(err)
	}
	defer sockets.Close()
	const data, dataEnd, receiveQueue = 0, 4, 16 // offsets in struct xdp_md
	tail := asm.Instructions{
		asm.LoadMapPtr(asm.R1, sockets.FD()),
		asm.Mov.Imm(asm.R3, 2),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	}
	packet := make([]byte, 64)
	packet[12], packet[14], packet[23], packet[37] = 8, 0x45, 115, 9
	for name, head := range map[string]asm.Instructions{
		"by=queue": {asm.LoadMem(asm.R2, asm.R1, receiveQueue, asm.Word)},
		"by=session": {
			asm.LoadMem(asm.R6, asm.R1, data, asm.Word),
			asm.LoadMem(asm.R7, asm.R1, dataEnd, asm.Word),
			asm.LoadMem(asm.R2, asm.R1, receiveQueue, asm.Word),
			asm.Mov.Reg(asm.R8, asm.R6),
			asm.Add.Imm(asm.R8, 50),
			asm.JGT.Reg(asm.R8, asm.R7, "go"),
			asm.LoadMem(asm.R4, asm.R6, 23, asm.Byte),
			asm.Mov.Imm(asm.R5, 34),
			asm.JEq.Imm(asm.R4, 115, "hash"),
			asm.JNE.Imm(asm.R4, 17, "go"),
			asm.Mov.Imm(asm.R5, 46),
			asm.Add.Reg(asm.R6, asm.R5).WithSymbol("hash"),
			asm.Mov.Reg(asm.R8, asm.R6),
			asm.Add.Imm(asm.R8, 4),
			asm.JGT.Reg(asm.R8, asm.R7, "go"),
			asm.LoadMem(asm.R4, asm.R6, 0, asm.Word),
			asm.LoadImm(asm.R5, 0x1e3779b97f4a7c15, asm.DWord),
			asm.Mul.Reg(asm.R4, asm.R5),
			asm.RSh.Imm(asm.R4, 32),
			asm.And.Imm(asm.R4, 7),
			asm.LSh.Imm(asm.R2, 3),
			asm.Add.Reg(asm.R2, asm.R4),
			asm.Mov.Reg(asm.R2, asm.R2).WithSymbol("go"),
		},
	} {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, Instructions: append(head, tail...)})
		if err != nil {
			b.Fatal(err)
		}
		defer program.Close()
		b.Run(name, func(b *testing.B) {
			// The first packet costs the kernel's set-up of a run, too.
			_, d, err := program.Benchmark(packet, b.N, b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(d), "ns/packet")
		})
	}
}
