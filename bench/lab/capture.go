package lab

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

// Captured is a frame as the wire had it, tags in place, without FCS.
type Captured struct {
	Time  time.Time
	Frame []byte
}

// Capture keeps the frames that an interface receives. On a veth pair that is
// what the other end sent; frames that XDP redirects are not seen.
type Capture struct {
	sock *packetSocket
	done chan struct{}

	mu     sync.Mutex
	frames []Captured
}

// Capture starts to capture. Close it.
func (n *Namespace) Capture(iface string) (*Capture, error) {
	sock, err := n.openPacket(iface, true)
	if err != nil {
		return nil, err
	}
	c := &Capture{sock: sock, done: make(chan struct{})}
	go c.loop()
	return c, nil
}

func (c *Capture) loop() {
	defer close(c.done)
	b := make([]byte, 65536+8)
	for {
		n, err := c.sock.read(b)
		if err == unix.ENETDOWN {
			continue
		}
		if err != nil {
			return
		}
		c.mu.Lock()
		c.frames = append(c.frames, Captured{time.Now(), slices.Clone(b[:n])})
		c.mu.Unlock()
	}
}

// Frames are the frames captured so far.
func (c *Capture) Frames() []Captured {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

// Close ends the capture; its frames stay readable.
func (c *Capture) Close() error {
	err := c.sock.Close()
	<-c.done
	return err
}

// WriteTo writes the frames as a pcap file with nanosecond times.
func (c *Capture) WriteTo(w io.Writer) (int64, error) {
	counter := &countingWriter{w: w}
	p := pcapgo.NewWriterNanos(counter)
	if err := p.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		return counter.n, fmt.Errorf("write capture: %w", err)
	}
	for _, f := range c.Frames() {
		info := gopacket.CaptureInfo{Timestamp: f.Time, CaptureLength: len(f.Frame), Length: len(f.Frame)}
		if err := p.WritePacket(info, f.Frame); err != nil {
			return counter.n, fmt.Errorf("write capture: %w", err)
		}
	}
	return counter.n, nil
}

// Save writes the frames to a pcap file.
func (c *Capture) Save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save capture: %w", err)
	}
	_, err = c.WriteTo(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
