package ndr

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xwire/bench/traffic"
)

// PortsConfig is a device between two ports of this machine, both in the calling thread's namespace.
type PortsConfig struct {
	From, To int // ifindexes: the generator's port and the sink's
	SinkKind traffic.SinkKind
	CPU      int      // the generator's
	Frames   [][]byte // as they are sent, in turn: the same but for length and the first 64 bytes
	StampAt  int
	Arrive   []int // lengths of what arrives, without FCS
	ReadAt   int
	Trial    time.Duration // 0: 10 s
	Search   Config
}

// SearchPorts searches. It sends nothing but the frames given, and takes everything that the sink's
// port receives.
func SearchPorts(ctx context.Context, c PortsConfig) (result *Result, err error) {
	if len(c.Frames) == 0 || c.From == c.To {
		return nil, errors.New("two ports and a frame are needed")
	}
	if c.Trial == 0 {
		c.Trial = 10 * time.Second
	}
	// Some drivers send what is redirected to a port only while it has a program. This one takes
	// nothing, as it has no socket.
	own, err := traffic.AttachTaker(c.From)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	generator, err := traffic.NewGenerator(c.CPU, nil)
	if err != nil {
		return nil, err
	}
	defer generator.Close()
	sink, err := traffic.NewSink(c.SinkKind)
	if err != nil {
		return nil, err
	}
	defer sink.Close()
	if err := sink.Attach(c.To); err != nil {
		return nil, err
	}
	b := &Bench{Generator: generator, Sink: sink, Load: traffic.Load{Ifindex: c.From, Frames: c.Frames}, StampAt: c.StampAt,
		ReadAt: c.ReadAt, Arrive: c.Arrive, Duration: c.Trial}
	result, err = Search(ctx, b, c.Search)
	if errors.Is(err, ErrNothing) {
		return nil, fmt.Errorf("%w of the right size: look at what the device drops, for VLANs, addresses and next hops (the sink's port answers no ARP); a veth receives such frames with GRO on, or with the XDP sink", err)
	}
	if err != nil {
		return nil, fmt.Errorf("search between the ports: %w", err)
	}
	return result, nil
}
