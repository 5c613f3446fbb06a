package stream

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"xwire/bench/traffic"
	"xwire/bench/xsk"
)

// SinkConfig says what to receive.
type SinkConfig struct {
	Interface int // ifindex, in the network namespace of the calling thread
	Queue     int
	ZeroCopy  bool
	CPU       int // to pin the thread to; negative: not pinned

	Plan *Plan  // to tell misdelivered frames; nil: not looked at
	Run  uint32 // 0: that of the first frame
	// Flows is how many end marks to wait for; 0: until ctx or Limit ends.
	Flows int
	Limit time.Duration // 0: no end
	// Ready, when set, is called once frames are received.
	Ready func()
	// Progress, when set, is called each second.
	Progress func(SinkSecond)
}

// SinkSecond is a second of receiving.
type SinkSecond struct {
	Second int     `json:"second"`
	Frames uint64  `json:"frames"`
	Pps    float64 `json:"pps"`
	Gbps   float64 `json:"gbps"` // of frames as they came, without FCS
	Lost   uint64  `json:"lost"` // so far, of all that is known to have been sent
}

// SinkReport is what came.
type SinkReport struct {
	Frames       uint64       `json:"frames"` // whole, each once
	Bytes        uint64       `json:"bytes"`  // as they came, without FCS
	Lost         uint64       `json:"lost"`   // sent, and did not come, nor came corrupt
	LossPercent  float64      `json:"loss_percent"`
	Duplicates   uint64       `json:"duplicates"`
	Reordered    uint64       `json:"reordered"`    // behind a frame of the flow with a higher number
	Late         uint64       `json:"late"`         // of these: too far behind to tell from a duplicate
	Corrupt      uint64       `json:"corrupt"`      // the stamp tells of a stream, the CRC is wrong
	Misdelivered uint64       `json:"misdelivered"` // by another session or with other tags than sent for; in frames too
	Foreign      uint64       `json:"foreign"`      // no frames of the run
	Flows        int          `json:"flows"`
	EndedFlows   int          `json:"ended_flows"`     // whose end mark came: their loss is exact
	Dropped      uint64       `json:"dropped_by_sink"` // by the sink's own socket, in lost too
	Seconds      float64      `json:"seconds"`         // from the first frame to the last
	Pps          float64      `json:"pps"`
	Gbps         float64      `json:"gbps"`
	Latency      *Latency     `json:"latency_us,omitempty"` // from the source's clock, if it is this machine's
	Mode         string       `json:"mode"`
	Each         []SinkSecond `json:"each_second"`
}

// Latency is percentiles in microseconds, from building a batch to reading it.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

const (
	sinkRing    = 4096
	sinkBatch   = 256
	sinkPoll    = 20 // milliseconds
	maxLatency  = int64(10 * time.Second)
	quietAtEnd  = 100 * time.Millisecond
	maxSessions = 1 << 22
)

// Receive receives until ctx or the limit ends, or every flow has ended.
func Receive(ctx context.Context, c SinkConfig) (*SinkReport, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unpin, err := pin(c.CPU)
	if err != nil {
		return nil, err
	}
	defer unpin()
	taker, err := traffic.AttachTaker(c.Interface)
	if err != nil {
		return nil, err
	}
	defer taker.Close()
	socket, err := xsk.Open(xsk.Config{Ifindex: c.Interface, Queue: c.Queue, Ring: sinkRing, ZeroCopy: c.ZeroCopy})
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	s := &sink{c: c, run: c.Run, tracks: map[uint64]*track{}, latency: hdrhistogram.New(1, maxLatency, 3)}
	s.report.Mode, s.report.Each = socket.Mode(), []SinkSecond{}
	socket.Refill()
	if err := taker.Register(uint32(c.Queue), socket.FD()); err != nil {
		return nil, err
	}
	if c.Ready != nil {
		c.Ready()
	}
	if err := s.receive(ctx, socket); err != nil {
		return nil, err
	}
	stats, err := socket.Stats()
	if err != nil {
		return nil, fmt.Errorf("read the socket's statistics: %w", err)
	}
	s.report.Dropped = stats.KernelStats.Rx_dropped + stats.KernelStats.Rx_ring_full
	s.finish()
	return &s.report, nil
}

type sink struct {
	c            SinkConfig
	run          uint32
	tracks       map[uint64]*track
	latency      *hdrhistogram.Histogram
	report       SinkReport
	ended        int
	first, until int64 // of frames
	last         int64 // of anything of the run
	arrival      arrival
}

func (s *sink) receive(ctx context.Context, socket *xsk.Socket) error {
	start := time.Now()
	second, before := 1, SinkReport{}
	wait := []unix.PollFd{{Fd: int32(socket.FD()), Events: unix.POLLIN}}
	for ctx.Err() == nil {
		elapsed := time.Since(start)
		if s.c.Limit > 0 && elapsed >= s.c.Limit {
			break
		}
		for elapsed >= time.Duration(second)*time.Second {
			s.tick(second, before)
			before = s.report
			second++
		}
		n := min(socket.NumReceived(), sinkBatch)
		if n == 0 {
			if s.c.Flows > 0 && s.ended >= s.c.Flows && now()-s.last > int64(quietAtEnd) {
				break
			}
			if _, err := unix.Poll(wait, sinkPoll); err != nil && err != unix.EINTR {
				return fmt.Errorf("poll: %w", err)
			}
			continue
		}
		at := now()
		for _, d := range socket.Receive(n) {
			s.take(socket.GetFrame(d), at)
		}
		socket.Refill()
	}
	if s.report.Frames > before.Frames {
		s.tick(second, before)
	}
	return nil
}

// take judges one frame.
func (s *sink) take(frame []byte, at int64) {
	a, r := &s.arrival, &s.report
	a.parse(frame)
	if a.verdict == whole && s.run == 0 {
		s.run = a.run
	}
	switch {
	case a.verdict == corrupt:
		if a.number&endMark == 0 {
			r.Corrupt++
		}
		return
	case a.verdict == foreign || a.run != s.run || a.session >= maxSessions:
		r.Foreign++
		return
	}
	key := uint64(a.session)<<16 | uint64(a.flow)
	t := s.tracks[key]
	if t == nil {
		t = &track{}
		s.tracks[key] = t
	}
	s.last = at
	if a.number&endMark != 0 {
		if !t.ended {
			t.ended, t.count = true, a.number&^endMark
			s.ended++
		}
		return
	}
	if s.first == 0 {
		s.first = at
	}
	unique := t.unique
	t.take(a.number)
	if t.unique == unique {
		return // a duplicate
	}
	s.until = at
	r.Frames++
	r.Bytes += uint64(len(frame))
	if took := at - a.time; took > 0 && took < maxLatency {
		_ = s.latency.RecordValue(took)
	}
	if s.c.Plan != nil && s.c.Plan.misdelivered(a) {
		r.Misdelivered++
	}
}

// tick tells of a second.
func (s *sink) tick(second int, before SinkReport) {
	t := SinkSecond{Second: second, Frames: s.report.Frames - before.Frames, Lost: s.lost()}
	t.Pps, t.Gbps = float64(t.Frames), float64(s.report.Bytes-before.Bytes)*8/1e9
	s.report.Each = append(s.report.Each, t)
	if s.c.Progress != nil {
		s.c.Progress(t)
	}
}

// lost counts what is missing. Corrupt frames are of no flow for certain, and so missing in theirs.
func (s *sink) lost() (n uint64) {
	for _, t := range s.tracks {
		n += t.lost()
	}
	return n - min(n, s.report.Corrupt)
}

// finish sums up.
func (s *sink) finish() {
	r := &s.report
	expected := uint64(0)
	for _, t := range s.tracks {
		expected += t.expected()
		r.Duplicates += t.duplicate
		r.Reordered += t.reordered
		r.Late += t.late
	}
	r.Lost, r.Flows, r.EndedFlows = s.lost(), len(s.tracks), s.ended
	if expected > 0 {
		r.LossPercent = 100 * float64(r.Lost) / float64(expected)
	}
	if r.Seconds = float64(s.until-s.first) / 1e9; r.Seconds > 0 && r.Frames > 0 {
		r.Pps, r.Gbps = float64(r.Frames)/r.Seconds, float64(r.Bytes)*8/r.Seconds/1e9
	}
	if s.latency.TotalCount() > 0 {
		micros := func(q float64) float64 { return float64(s.latency.ValueAtQuantile(q)) / 1e3 }
		r.Latency = &Latency{P50: micros(50), P90: micros(90), P99: micros(99), P999: micros(99.9), Max: float64(s.latency.Max()) / 1e3}
	}
}
