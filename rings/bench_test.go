package rings

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkRound is what a worker's round costs for each frame, from RX ring to TX ring, to
// completion, to fill ring, with the kernel's part left out: the benchmark moves the cursors.
func BenchmarkRound(b *testing.B) {
	for _, batch := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			k := newLoop(b, batch, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batch {
				k.give()
				k.fabric.workers[0].round(1)
				k.take()
			}
			k.done()
		})
	}
}

// BenchmarkHandOver is the same by way of a second worker, in the same goroutine: the cost of the
// hand-over without that of moving cache lines between CPUs.
func BenchmarkHandOver(b *testing.B) {
	for _, batch := range []int{16, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			k := newLoop(b, batch, 2)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batch {
				k.give()
				k.fabric.workers[0].round(1)
				k.fabric.workers[1].round(1)
				k.take()
			}
			k.done()
		})
	}
}

// loop plays the kernel for two ports, without copying a frame.
type loop struct {
	b         *testing.B
	fabric    *Fabric
	batch     int
	in        *queue
	out       *queue
	filled    uint32
	given     uint32
	taken     uint32
	completed uint32
}

// mover is a handler that does nothing but say where to.
type mover struct{ relay }

func (*mover) Process(_ []byte, in []Frame, _ int64, out []Frame) []Frame {
	for _, f := range in {
		f.Out = 1
		out = append(out, f)
	}
	return out
}

func newLoop(b *testing.B, batch, workers int) *loop {
	b.Helper()
	arena, err := NewArena(ArenaConfig{Chunks: 16384})
	if err != nil {
		b.Fatal(err)
	}
	cfg := FabricConfig{Arena: arena, Batch: batch}
	for range workers {
		cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: -1, Handler: &mover{}})
	}
	f, err := NewFabric(cfg)
	if err != nil {
		b.Fatal(err)
	}
	k := &loop{b: b, fabric: f, batch: batch}
	for i, q := range []**queue{&k.in, &k.out} {
		p, err := f.AddFake(PortConfig{Index: uint16(i), RingSize: 1024, Workers: []int{i % workers}}, nil)
		if err != nil {
			b.Fatal(err)
		}
		p.Answer(unix.EAGAIN) // replaced: the loop takes the frames itself
		*q = p.queues[0]
		(*q).sockets[0].kernel = silent{(*q).sockets[0].kernel}
	}
	b.Cleanup(func() { f.Close(); arena.Close() })
	return k
}

// silent takes wake-ups and does nothing.
type silent struct{ kernel }

func (silent) wakeTX() unix.Errno { return 0 }

// give moves a batch from the fill ring to the RX ring.
func (k *loop) give() {
	fill, rx := k.in.fill, k.in.sockets[0].rx
	for range k.batch {
		rx.entries[k.given&rx.mask] = unix.XDPDesc{Addr: fill.entries[k.filled&fill.mask] + headroom, Len: 64}
		k.filled++
		k.given++
	}
	*fill.consumer, *rx.producer = k.filled, k.given
}

// take moves what the worker sent to the completion ring.
func (k *loop) take() {
	tx, completion := k.out.sockets[0].tx, k.out.completion
	for ; k.taken != *tx.producer; k.taken++ {
		completion.entries[k.completed&completion.mask] = tx.entries[k.taken&tx.mask].Addr
		k.completed++
	}
	*tx.consumer, *completion.producer = k.taken, k.completed
}

func (k *loop) done() {
	k.b.StopTimer()
	if k.taken != k.given {
		k.b.Errorf("%d frames received, %d sent", k.given, k.taken)
	}
}
