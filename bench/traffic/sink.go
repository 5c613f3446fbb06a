package traffic

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf/link"
)

// SinkKind is where frames are counted and dropped.
type SinkKind string

// The kinds of sink.
const (
	// SinkStack is at the stack's door (tcx ingress): frames have become skbs, whoever sent them.
	SinkStack SinkKind = "stack"
	// SinkXDP is in the driver.
	SinkXDP SinkKind = "xdp"
)

// maxWanted is how many sizes a sink tells from others.
const maxWanted = 4

// Sink counts frames that arrive at interfaces. All of them share the counters: one measurement at
// a time.
type Sink struct {
	objects labObjects
	links   []link.Link
	kind    SinkKind
}

// NewSink loads the programs.
func NewSink(kind SinkKind) (*Sink, error) {
	if kind != SinkStack && kind != SinkXDP {
		return nil, fmt.Errorf("sink %q: not stack or xdp", kind)
	}
	s := &Sink{kind: kind}
	if err := loadLabObjects(&s.objects, nil); err != nil {
		return nil, fmt.Errorf("load the sink: %w", err)
	}
	return s, nil
}

// Attach has the sink take all frames of an interface of the calling thread's namespace.
func (s *Sink) Attach(ifindex int) (err error) {
	var l link.Link
	if s.kind == SinkXDP {
		l, err = link.AttachXDP(link.XDPOptions{Program: s.objects.SinkXdp, Interface: ifindex, Flags: link.XDPDriverMode})
	} else {
		l, err = link.AttachTCX(link.TCXOptions{Program: s.objects.SinkStack, Interface: ifindex, Attach: tcxIngress})
	}
	if err != nil {
		return fmt.Errorf("attach the %s sink: %w", s.kind, err)
	}
	s.links = append(s.links, l)
	return nil
}

// Close detaches the sink.
func (s *Sink) Close() error {
	var errs []error
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	return errors.Join(append(errs, s.objects.Close())...)
}

// Want tells which lengths in bytes, without FCS, are frames of the measurement.
func (s *Sink) Want(lengths ...int) error {
	var want [maxWanted]uint32
	seen := map[int]bool{}
	n := 0
	for _, l := range lengths {
		if seen[l] {
			continue
		}
		if seen[l] = true; n == maxWanted {
			return fmt.Errorf("more than %d sizes", maxWanted)
		}
		want[n] = uint32(l)
		n++
	}
	return s.objects.WantLen.Set(want)
}

// Arrived is what a sink counted since it was loaded.
type Arrived struct {
	At     time.Time
	Frames uint64
	Bytes  uint64
	Other  uint64 // of other sizes than wanted
	// Reordered is frames with a stamp behind one of a higher number.
	Reordered uint64
}

// Arrived reads the counters.
func (s *Sink) Arrived() (a Arrived, err error) {
	var perCPU []labArrived
	before := time.Now()
	if err := s.objects.Arrivals.Lookup(uint32(0), &perCPU); err != nil {
		return a, fmt.Errorf("read the sink: %w", err)
	}
	a.At = before.Add(time.Since(before) / 2)
	for _, c := range perCPU {
		a.Frames += c.Frames
		a.Bytes += c.Bytes
		a.Other += c.Other
		a.Reordered += c.Reordered
	}
	return a, nil
}

// ReadStamps has the sink look at the stamps of frames, at a byte of what arrives, from number 0 on;
// 0 ends that.
func (s *Sink) ReadStamps(at int) error {
	if at < 0 || at > maxStampAt {
		return fmt.Errorf("stamp at byte %d: not before %d", at, maxStampAt)
	}
	return errors.Join(s.objects.Ahead.Set(uint64(0)), s.objects.ReadAt.Set(uint32(at)))
}
