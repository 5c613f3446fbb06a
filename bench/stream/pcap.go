package stream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"xwire/bench/traffic"
)

// pcapRate is the frames a second of a capture that no rate was given for.
const pcapRate = 1e6

// WriteCapture writes the frames that Send would send, end marks included, as a pcap file of
// microseconds, which TRex, MoonGen, Pktgen-DPDK and tcpreplay read. Frames stand at the distances of
// the rate, 1 Mpps if it is 0. A count of 0 is as many frames as there are sizes, flows and sessions,
// multiplied.
// Interface, queue, CPU, limit and progress have no meaning. The frames' own time is that of the
// capture: latencies are not to be read from it.
func WriteCapture(ctx context.Context, w io.Writer, c SourceConfig) (*SourceReport, error) {
	c.Flows = max(c.Flows, 1)
	if len(c.Mix) == 0 {
		c.Mix = traffic.Mix{traffic.MinSize}
	}
	if c.Count == 0 {
		c.Count = uint64(c.Plan.Sessions()) * uint64(c.Flows) * uint64(len(c.Mix))
	}
	if c.Rate == 0 {
		c.Rate = pcapRate
	}
	buffered := bufio.NewWriterSize(w, 1<<20)
	out := pcapgo.NewWriter(buffered)
	if err := out.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		return nil, fmt.Errorf("write capture: %w", err)
	}
	r := &SourceReport{Mode: "pcap", Each: []SourceSecond{}}
	x := newBuilder(c.Plan, c.MACs, c.Flows, c.Mix, c.Run)
	var frame []byte
	put := func(build func([]byte, int64) []byte) error {
		at := time.Duration(float64(r.Frames) / c.Rate * float64(time.Second))
		frame = build(frame[:0], int64(at))
		r.Bytes += uint64(len(frame))
		r.Frames++
		r.Seconds = at.Seconds()
		return out.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, int64(at)), CaptureLength: len(frame), Length: len(frame)}, frame)
	}
	for n := range c.Count {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := put(x.next); err != nil {
			return nil, fmt.Errorf("write capture: %w", err)
		}
	}
	x.session, x.flow = 0, 0
	for more := true; more; more = !x.step() {
		if err := put(x.end); err != nil {
			return nil, fmt.Errorf("write capture: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return nil, fmt.Errorf("write capture: %w", err)
	}
	if r.Seconds > 0 {
		r.Pps, r.Gbps = float64(r.Frames)/r.Seconds, float64(r.Bytes)*8/r.Seconds/1e9
	}
	return r, nil
}
