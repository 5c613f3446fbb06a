package rings

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	numberedAt  = 42   // after Ethernet, IPv4 and UDP headers
	numberedLen = 1024 // bytes of a numbered frame; all after the headers repeats its number
	numbers     = 64 << 20
)

// numbered writes a frame for a port. The kernel chooses a queue by the UDP source port.
func numbered(frame []byte, out byte, number uint32) {
	clear(frame[:numberedAt])
	frame[5], frame[6] = out, 0
	copy(frame[7:], []byte{0x54, 0, 0, 0, 1}) // a sender, lest a bridge on the way takes offence
	binary.BigEndian.PutUint16(frame[12:], 0x0800)
	frame[14] = 0x45                                                      // IPv4, 20 bytes of header
	binary.BigEndian.PutUint16(frame[16:], uint16(len(frame)-14))         // total length
	frame[22], frame[23] = 64, 17                                         // TTL, UDP
	copy(frame[26:], []byte{192, 0, 2, 1, 192, 0, 2, 2})                  // addresses
	binary.BigEndian.PutUint16(frame[34:], uint16(number*2654435761>>16)) // source port
	binary.BigEndian.PutUint16(frame[38:], uint16(len(frame)-34))         // UDP length
	for at := numberedAt; at+4 <= len(frame); at += 4 {
		binary.BigEndian.PutUint32(frame[at:], number)
	}
}

// dealer is a relay that spreads frames by their numbers.
type dealer struct{ relay }

func (*dealer) Spread(mem []byte, in []Frame, workers int, to []uint8) {
	for i, f := range in {
		to[i] = uint8(binary.BigEndian.Uint32(mem[f.Addr+numberedAt:]) * 2654435761 >> 16 % uint32(workers+1)) // the last: stay
	}
}

// checker is the sink's handler: it gives every frame back, after a look at its number.
type checker struct {
	relay
	seen                     []bool
	good, twice, torn, alien atomic.Uint64
}

func (c *checker) Process(mem []byte, in []Frame, _ int64, out []Frame) []Frame {
	for _, f := range in {
		frame := mem[f.Addr:][:f.Len]
		f.Out = NoPort
		out = append(out, f)
		if len(frame) != numberedLen {
			c.alien.Add(1)
			continue
		}
		number := binary.BigEndian.Uint32(frame[numberedAt:])
		torn := false
		for at := numberedAt; at+4 <= len(frame); at += 4 {
			torn = torn || binary.BigEndian.Uint32(frame[at:]) != number
		}
		switch {
		case torn || number >= numbers:
			c.torn.Add(1)
		case c.seen[number]:
			c.twice.Add(1)
		default:
			c.seen[number] = true
			c.good.Add(1)
		}
	}
	return out
}

// TestKernelMillionFrames sends numbered frames through ports of 4, 2 and 1 queues and four
// workers, spread where the queues are fewer, faster than they go out, while a link flaps and the first port is deleted and made
// again. Then every frame of the arena is accounted for, every frame received is, and no frame
// arrived twice or torn.
func TestKernelMillionFrames(t *testing.T) {
	for _, skb := range []bool{false, true} {
		name, frames := "native", uint64(1_000_000)
		if skb {
			name, frames = "skb", 200_000
		}
		if raceDetector {
			frames /= 10
		}
		t.Run(name, func(t *testing.T) { millionFrames(t, frames, skb) })
	}
}

func millionFrames(t *testing.T, frames uint64, skb bool) {
	newNetns(t)
	mode := ModeAuto
	if skb {
		mode = ModeSKB
	}
	queues := []int{4, 2, 1}
	f := newKernelFabric(t, ArenaConfig{Chunks: 16384}, &dealer{}, &dealer{}, &dealer{}, &dealer{})
	sink := &checker{seen: make([]bool, numbers)}
	far := newKernelFabric(t, ArenaConfig{Chunks: 16384}, sink)
	ports, ends := make([]*Port, 3), make([]*Port, 3)
	programs := make([][2]*redirect, 3)
	senders := make([]atomic.Int32, 3)
	connect := func(i int) {
		near, end := fmt.Sprintf("p%d", i), fmt.Sprintf("g%d", i)
		newPair(t, near, end, queues[i])
		ports[i], programs[i][0] = addKernelPort(t, f, PortConfig{Index: uint16(i), Interface: near, RingSize: 128, Mode: mode, Spread: true})
		ends[i], programs[i][1] = addKernelPort(t, far, PortConfig{Index: uint16(i), Interface: end, RingSize: 512, Mode: mode})
		if got := len(ports[i].Sockets()); got != queues[i] {
			t.Fatalf("%s has %d sockets, want one for each of %d queues", near, got, queues[i])
		}
		senders[i].Store(int32(newSender(t, end)))
	}
	for i := range ports {
		connect(i)
	}
	start(t, f)
	start(t, far)
	go func() { // both fabrics: the events are of no interest here, but for bugs
		for {
			select {
			case e := <-f.Events():
				if e.Kind == Bug {
					t.Errorf("event: %v", e.Err)
				}
			case <-t.Context().Done():
				return
			}
		}
	}()

	var number atomic.Uint32
	done := make(chan struct{})
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			frame := make([]byte, numberedLen)
			for turn := i; ; turn++ {
				select {
				case <-done:
					return
				default:
				}
				n := number.Add(1)
				if n >= numbers {
					t.Error("out of numbers")
					return
				}
				// Two thirds of all frames go to the port with one queue.
				numbered(frame, [6]byte{2, 2, 1, 2, 2, 0}[turn%6], n)
				if _, err := unix.Write(int(senders[i].Load()), frame); err != nil {
					time.Sleep(time.Millisecond) // no such link, or down
				}
			}
		})
	}
	received := func() (n uint64) {
		for _, p := range ports {
			n += p.Status().Received
		}
		return n
	}
	until := func(n uint64) {
		t.Helper()
		for deadline := time.Now().Add(3 * time.Minute); received() < n; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d frames received", received(), n)
			}
		}
	}
	until(frames / 4)
	run(t, "ip link set p1 down")
	time.Sleep(600 * time.Millisecond)
	run(t, "ip link set p1 up")
	until(frames / 2)
	checkAudit(t, f)
	run(t, "ip link del p0") // and g0 with it
	until(frames * 5 / 8)
	if err := f.RemovePort(ports[0]); err != nil {
		t.Error(err)
	}
	if err := far.RemovePort(ends[0]); err != nil {
		t.Error(err)
	}
	programs[0][0].close()
	programs[0][1].close()
	unix.Close(int(senders[0].Swap(-1)))
	checkAudit(t, f)
	connect(0)
	until(frames)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	at := received()
	time.Sleep(200 * time.Millisecond)
	runtime.ReadMemStats(&after)
	t.Logf("%d allocations in the process while %d frames were received", after.Mallocs-before.Mallocs, received()-at)
	close(done)
	sending.Wait()
	settle(t, f, ports...)
	settle(t, far, ends...)
	for _, fd := range []int{0, 1, 2} {
		unix.Close(int(senders[fd].Load()))
	}
	t.Logf("audit: %+v", checkAudit(t, f))
	checkEquation(t, ports...)
	checkAudit(t, far)
	checkEquation(t, ends...)
	for _, p := range ports {
		s := p.Status()
		t.Logf("port %d: received %d, sent %d, transmitted %d, refused %d, drops %v", s.Index, s.Received, s.Sent, s.Transmitted, s.Refused, s.Drops)
	}
	for _, w := range f.WorkerStatus() {
		t.Logf("worker %+v", w)
	}
	t.Logf("%d numbered frames sent, %d arrived, %d twice, %d torn, %d of other kinds",
		number.Load(), sink.good.Load(), sink.twice.Load(), sink.torn.Load(), sink.alien.Load())
	if sink.twice.Load()+sink.torn.Load()+sink.alien.Load() != 0 || sink.good.Load() < frames/20 {
		t.Error("frames came twice, torn, strange, or hardly at all")
	}
	for _, fabric := range []*Fabric{f, far} {
		for _, p := range fabric.Ports() {
			if err := fabric.RemovePort(p); err != nil {
				t.Error(err)
			}
		}
		if a := checkAudit(t, fabric); a.Pool != a.Frames {
			t.Errorf("not all frames came back: %+v", a)
		}
	}
}
