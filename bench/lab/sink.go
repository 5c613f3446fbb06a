package lab

import (
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Sink receives the numbered frames of one run on an interface.
type Sink struct {
	sock *packetSocket
	run  uint64
	done chan struct{}

	mu     sync.Mutex
	seen   []uint64 // one bit a number
	report StreamReport
	last   time.Time
}

// maxNumber bounds the sink's memory: a torn number must not ask for all of it.
const maxNumber = 1 << 28

// ReceiveStream starts a sink. Close it.
func (n *Namespace) ReceiveStream(iface string, run uint64) (*Sink, error) {
	sock, err := n.openPacket(iface, true)
	if err != nil {
		return nil, err
	}
	s := &Sink{sock: sock, run: run, done: make(chan struct{})}
	s.report.Tags = map[string]uint64{}
	go s.loop()
	return s, nil
}

func (s *Sink) loop() {
	defer close(s.done)
	b := make([]byte, 65536+8)
	for {
		n, err := s.sock.read(b)
		if err == nil {
			s.take(b[:n])
		} else if err != unix.ENETDOWN {
			return // ENETDOWN is told once when the link goes down
		}
	}
}

func (s *Sink) take(frame []byte) {
	run, number, tags, whole, ok := parseStream(frame)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !ok || run != s.run && whole:
		s.report.Foreign++
		return
	case !whole || number >= maxNumber:
		s.report.Torn++
		return
	}
	s.last = time.Now()
	for word := number / 64; uint64(len(s.seen)) <= word; {
		s.seen = append(s.seen, 0)
	}
	bit := uint64(1) << (number % 64)
	if s.seen[number/64]&bit != 0 {
		s.report.Duplicates++
		return
	}
	s.seen[number/64] |= bit
	if s.report.Received > 0 && number < s.report.Highest {
		s.report.Reordered++
	}
	s.report.Highest = max(s.report.Highest, number)
	s.report.Received++
	s.report.Tags[tagKey(tags)]++
}

// Report tells what was seen so far.
func (s *Sink) Report() StreamReport {
	var drops uint64
	if raw, err := s.sock.file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			// Reading clears the kernel's count.
			if st, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				drops = uint64(st.Drops)
			}
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Dropped += drops
	r := s.report
	r.Tags = maps.Clone(r.Tags)
	return r
}

// Wait returns once count frames were received, or none came for quiet after
// the call.
func (s *Sink) Wait(ctx context.Context, count uint64, quiet time.Duration) StreamReport {
	start := time.Now()
	for ctx.Err() == nil {
		s.mu.Lock()
		last, got := s.last, s.report.Received
		s.mu.Unlock()
		if last.Before(start) {
			last = start
		}
		if got >= count || time.Since(last) > quiet {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return s.Report()
}

// Close ends the sink.
func (s *Sink) Close() error {
	err := s.sock.Close()
	<-s.done
	return err
}
