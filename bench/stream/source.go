package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"xwire/bench/traffic"
	"xwire/bench/xsk"
)

// SourceConfig says what to send.
type SourceConfig struct {
	Interface int // ifindex, in the network namespace of the calling thread
	Queue     int
	ZeroCopy  bool
	CPU       int // to pin the thread to; negative: not pinned

	Plan  *Plan
	MACs  MACs
	Flows int         // of each session; 0: 1
	Mix   traffic.Mix // nil: 64
	Run   uint32
	Rate  float64 // frames a second; 0: as fast as the socket takes them
	Count uint64  // frames; 0: no end
	// Limit is the longest that frames are sent; 0: no end.
	Limit time.Duration
	// Progress, when set, is called each second.
	Progress func(SourceSecond)
}

// SourceSecond is a second of sending.
type SourceSecond struct {
	Second int     `json:"second"`
	Frames uint64  `json:"frames"`
	Pps    float64 `json:"pps"`
	Gbps   float64 `json:"gbps"` // of frames as they leave, without FCS
}

// SourceReport is what was sent.
type SourceReport struct {
	Frames  uint64         `json:"frames"`
	Bytes   uint64         `json:"bytes"` // as they left, without FCS
	Seconds float64        `json:"seconds"`
	Pps     float64        `json:"pps"`
	Gbps    float64        `json:"gbps"`
	Unsent  uint64         `json:"unsent"` // given to the kernel, not completed at the end
	Mode    string         `json:"mode"`
	Each    []SourceSecond `json:"each_second"`
}

// MaxFlows is the flows of a session: two bytes of their address tell them.
const MaxFlows = 1 << 16

const (
	sourceRing  = 1024
	sourceBatch = 64
	endMarks    = 3 // of each flow, as one may be lost
	// impatience is how far ahead of its time a frame must be for the source to sleep, not spin.
	impatience = 200 * time.Microsecond
)

// Send sends until ctx, count or limit ends, then the end marks. The goroutine is locked to its
// thread and does nothing else.
func Send(ctx context.Context, c SourceConfig) (*SourceReport, error) {
	c.Flows = max(c.Flows, 1)
	if len(c.Mix) == 0 {
		c.Mix = traffic.Mix{traffic.MinSize}
	}
	if c.Flows > MaxFlows {
		return nil, fmt.Errorf("%d flows: not more than %d", c.Flows, MaxFlows)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unpin, err := pin(c.CPU)
	if err != nil {
		return nil, err
	}
	defer unpin()
	socket, err := xsk.Open(xsk.Config{Ifindex: c.Interface, Queue: c.Queue, Ring: sourceRing, ZeroCopy: c.ZeroCopy, Budget: sourceRing})
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	s := &source{c: c, socket: socket, builder: newBuilder(c.Plan, c.MACs, c.Flows, c.Mix, c.Run)}
	s.report.Mode, s.report.Each = socket.Mode(), []SourceSecond{}
	if err := s.send(ctx); err != nil {
		return nil, err
	}
	return &s.report, nil
}

// pin keeps the calling thread on a CPU until the function returned is called.
func pin(cpu int) (unpin func(), err error) {
	if cpu < 0 {
		return func() {}, nil
	}
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read the own CPUs: %w", err)
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil
}

type source struct {
	c       SourceConfig
	socket  *xsk.Socket
	builder *builder
	report  SourceReport
	// reaped is the frames that the kernel has completed.
	reaped uint64
}

func (s *source) send(ctx context.Context) error {
	start := time.Now()
	second, last := 1, SourceReport{}
	for ctx.Err() == nil {
		elapsed := time.Since(start)
		if s.c.Limit > 0 && elapsed >= s.c.Limit || s.c.Count > 0 && s.report.Frames >= s.c.Count {
			break
		}
		for elapsed >= time.Duration(second)*time.Second {
			s.tick(second, last)
			last = s.report
			second++
		}
		n := uint64(sourceBatch)
		if s.c.Rate > 0 {
			due := uint64(elapsed.Seconds()*s.c.Rate) + 1
			if due <= s.report.Frames {
				ahead := time.Duration(float64(s.report.Frames)/s.c.Rate*1e9) - elapsed
				if ahead > impatience {
					time.Sleep(min(ahead-impatience/2, 10*time.Millisecond))
				}
				continue
			}
			n = min(n, due-s.report.Frames)
		}
		if s.c.Count > 0 {
			n = min(n, s.c.Count-s.report.Frames)
		}
		sent, err := s.batch(int(n), s.builder.next)
		if err != nil {
			return err
		}
		s.report.Frames += uint64(sent)
	}
	r := &s.report
	r.Seconds = time.Since(start).Seconds()
	if r.Frames > last.Frames {
		s.tick(second, last)
	}
	r.Pps, r.Gbps = float64(r.Frames)/r.Seconds, float64(r.Bytes)*8/r.Seconds/1e9
	bytes := r.Bytes
	err := s.ends()
	r.Bytes = bytes
	return err
}

// tick tells of a second.
func (s *source) tick(second int, last SourceReport) {
	frames, bytes := s.report.Frames-last.Frames, s.report.Bytes-last.Bytes
	t := SourceSecond{Second: second, Frames: frames, Pps: float64(frames), Gbps: float64(bytes) * 8 / 1e9}
	s.report.Each = append(s.report.Each, t)
	if s.c.Progress != nil {
		s.c.Progress(t)
	}
}

// batch builds up to n frames in free frames of the UMEM and sends them.
func (s *source) batch(n int, next func(b []byte, time int64) []byte) (int, error) {
	s.reaped += uint64(s.socket.Reap())
	descs := s.socket.GetDescs(min(n, s.socket.NumFreeTxSlots()), false)
	at := now()
	for i := range descs {
		frame := s.socket.GetFrame(descs[i])
		descs[i].Len = uint32(len(next(frame[:0], at)))
		s.report.Bytes += uint64(descs[i].Len)
	}
	// With nothing to add it still has the kernel go on with what is on the ring.
	sent, err := s.socket.Send(descs)
	if err == nil && sent < len(descs) {
		err = errors.New("the TX ring took fewer frames than it had room for")
	}
	return sent, err
}

// ends sends the end marks of all flows, and waits for the kernel to be done.
func (s *source) ends() error {
	for range endMarks {
		time.Sleep(5 * time.Millisecond)
		s.builder.session, s.builder.flow = 0, 0
		for done := false; !done; {
			sent, err := s.batch(1, s.builder.end)
			if err != nil {
				return err
			}
			if sent == 1 {
				done = s.builder.step()
			}
		}
	}
	deadline := time.Now().Add(time.Second)
	for {
		s.reaped += uint64(s.socket.Reap())
		if s.reaped >= s.total() || time.Now().After(deadline) {
			s.report.Unsent = s.total() - min(s.reaped, s.total())
			return nil
		}
		if _, err := s.socket.Send(nil); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// total is all frames given to the socket.
func (s *source) total() uint64 {
	return s.report.Frames + uint64(endMarks*s.builder.flows*len(s.builder.plan.lanes))
}
