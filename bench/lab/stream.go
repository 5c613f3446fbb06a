package lab

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// A numbered frame: Ethernet header with tags, EtherType 0x88b5 (IEEE local
// experimental), then run (8), number (8), size of the whole untagged frame (2),
// and a filling that follows from the three.
const (
	streamType   = 0x88b5
	streamHeader = 18
	minFrame     = 60
)

// Tag is a VLAN tag in wire order.
type Tag struct{ TPID, TCI uint16 }

// Stream is a run of numbered frames.
type Stream struct {
	Run      uint64 // tells streams apart
	Dst, Src net.HardwareAddr
	Tags     []Tag // outermost first
	// Sizes of the frames in turn, without tags and FCS; empty: 60. From 60 to
	// 65535.
	Sizes []int
	Count uint64
	Rate  int // frames a second at most; 0: as fast as the socket takes them
}

// SendStream sends the frames out of an interface, numbered from 0, and returns
// how many went. They leave from one CPU: a card with several queues would swap
// them otherwise.
func (n *Namespace) SendStream(ctx context.Context, iface string, s Stream) (sent uint64, err error) {
	sock, err := n.openPacket(iface, false)
	if err != nil {
		return 0, err
	}
	defer sock.Close()
	if len(s.Sizes) == 0 {
		s.Sizes = []int{minFrame}
	}
	err = onThread(func() error {
		if err := stayOnOneCPU(); err != nil {
			return err
		}
		sent, err = s.send(ctx, sock)
		return err
	})
	return sent, err
}

// stayOnOneCPU binds the calling thread to the first CPU that it may run on.
func stayOnOneCPU() error {
	var may, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return fmt.Errorf("read the own CPUs: %w", err)
	}
	cpu := 0
	for !may.IsSet(cpu) {
		cpu++
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("stay on CPU %d: %w", cpu, err)
	}
	return nil
}

// behind is how far a stream with a rate may fall behind and catch up: what a busy machine kept it from
// sending before is not sent at once, which no ring would take.
const behind = 5 * time.Millisecond

func (s *Stream) send(ctx context.Context, sock *packetSocket) (uint64, error) {
	start := time.Now()
	buf := make([]byte, 0, 65536+4*len(s.Tags))
	for i := range s.Count {
		if i&63 == 0 && ctx.Err() != nil {
			return i, ctx.Err()
		}
		if s.Rate > 0 {
			due := start.Add(time.Duration(i) * time.Second / time.Duration(s.Rate))
			switch wait := time.Until(due); {
			case wait > time.Millisecond:
				time.Sleep(wait)
			case wait < -behind:
				start = start.Add(-wait - behind)
			}
		}
		buf = s.AppendFrame(buf[:0], i)
		if err := sock.write(buf); err != nil {
			return i, fmt.Errorf("send frame %d of %d bytes to %s: %w", i, len(buf), sock.name, err)
		}
	}
	return s.Count, nil
}

// AppendFrame appends the stream's frame with this number to b.
func (s *Stream) AppendFrame(b []byte, number uint64) []byte {
	size := minFrame
	if len(s.Sizes) > 0 {
		size = s.Sizes[number%uint64(len(s.Sizes))]
	}
	b = append(b, s.Dst...)
	b = append(b, s.Src...)
	for _, t := range s.Tags {
		b = binary.BigEndian.AppendUint16(b, t.TPID)
		b = binary.BigEndian.AppendUint16(b, t.TCI)
	}
	b = binary.BigEndian.AppendUint16(b, streamType)
	b = binary.BigEndian.AppendUint64(b, s.Run)
	b = binary.BigEndian.AppendUint64(b, number)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	at := streamFill(s.Run, number)
	for range size - 14 - streamHeader {
		b = append(b, byte(at))
		at += 0x9d
	}
	return b
}

func streamFill(run, number uint64) uint64 { return run*31 + number*0x9e3779b97f4a7c15>>56 }

// parseStream takes a frame apart. ok: it is of a stream; whole: every byte of
// its body is as it was sent.
func parseStream(frame []byte) (run, number uint64, tags []Tag, whole, ok bool) {
	if len(frame) < 14 {
		return
	}
	body := frame[12:]
	for len(body) >= 6 {
		tpid := binary.BigEndian.Uint16(body)
		if tpid != 0x8100 && tpid != 0x88a8 {
			break
		}
		tags = append(tags, Tag{tpid, binary.BigEndian.Uint16(body[2:])})
		body = body[4:]
	}
	if len(body) < 2+streamHeader || binary.BigEndian.Uint16(body) != streamType {
		return
	}
	body = body[2:]
	run, number = binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:])
	size := int(binary.BigEndian.Uint16(body[16:]))
	want := size - 14
	if want < streamHeader || len(body) < want {
		return run, number, tags, false, true
	}
	at := streamFill(run, number)
	for _, c := range body[streamHeader:want] {
		if c != byte(at) {
			return run, number, tags, false, true
		}
		at += 0x9d
	}
	// Padding after a short frame is nobody's damage; more of a long one is.
	return run, number, tags, len(body) == want || len(body) <= minFrame-14, true
}

// StreamReport is what a sink saw of its stream.
type StreamReport struct {
	Received   uint64 // whole frames, each number once
	Duplicates uint64 // whole frames seen before
	Torn       uint64 // frames of the run with other bytes than were sent
	Reordered  uint64 // frames behind a higher number
	Highest    uint64 // number, when Received > 0
	Foreign    uint64 // frames of no stream or another run
	Tags       map[string]uint64
	Dropped    uint64 // lost in the sink's own socket
}

// Lost is what of sent frames did not arrive whole.
func (r StreamReport) Lost(sent uint64) uint64 { return sent - r.Received }

func (r StreamReport) String() string {
	return fmt.Sprintf("received %d, duplicates %d, torn %d, reordered %d, foreign %d, dropped by the sink %d",
		r.Received, r.Duplicates, r.Torn, r.Reordered, r.Foreign, r.Dropped)
}

func tagKey(tags []Tag) string {
	key := ""
	for i, t := range tags {
		if i > 0 {
			key += "."
		}
		key += fmt.Sprint(t.TCI & 0xfff)
	}
	return cmp.Or(key, "untagged")
}
