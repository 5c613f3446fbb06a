package reload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"xwire/bench/lab"
	"xwire/bench/traffic"
)

const (
	// outageRate is frames a second. The generator would keep a CPU busy, which the start needs.
	outageRate = 2000
	// glance is how often the sink is looked at.
	glance = time.Millisecond
)

// restart stops the box and starts it while frames of the last session are sent, and tells how long none
// arrived.
func (r *rig) restart(ctx context.Context, report *Report) error {
	stream := lab.Stream{Run: 1, Dst: net.HardwareAddr(boxMAC[:]), Src: net.HardwareAddr(siteMAC[:]), Sizes: []int{r.config.Size - traffic.FCS}, Count: 1 << 40, Rate: outageRate}
	for _, t := range tags(r.config.Sessions) {
		stream.Tags = append(stream.Tags, lab.Tag{TPID: t.TPID, TCI: t.TCI})
	}
	sending, stop := context.WithCancel(ctx)
	var both sync.WaitGroup
	var sendErr, watchErr error
	var outage time.Duration
	both.Go(func() { _, sendErr = r.site.SendStream(sending, "eth0", stream) })
	both.Go(func() { outage, watchErr = r.longestGap(sending) })
	stopped, ready, err := r.again(ctx)
	stop()
	both.Wait()
	if errors.Is(sendErr, context.Canceled) {
		sendErr = nil
	}
	if err := errors.Join(err, sendErr, watchErr); err != nil {
		return err
	}
	report.Outages = append(report.Outages, outage.Seconds())
	r.config.Progress(fmt.Sprintf("restart: stopped after %.3f s, ready after %.3f s; no frames for %.3f s", stopped.Seconds(), ready.Seconds(), outage.Seconds()))
	return nil
}

// again stops the box and starts it.
func (r *rig) again(ctx context.Context) (stopped, ready time.Duration, err error) {
	if err := pause(ctx, 500*time.Millisecond); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := r.box.Stop(); err != nil {
		return 0, 0, err
	}
	stopped = time.Since(began)
	if err := r.box.Restart(ctx); err != nil {
		return 0, 0, err
	}
	return stopped, time.Since(began), pause(ctx, 500*time.Millisecond)
}

// longestGap watches the sink until ctx ends.
func (r *rig) longestGap(ctx context.Context) (gap time.Duration, err error) {
	var last uint64
	var at time.Time
	for ctx.Err() == nil {
		a, err := r.sink.Arrived()
		if err != nil {
			return 0, err
		}
		if a.Frames != last {
			if !at.IsZero() {
				gap = max(gap, a.At.Sub(at))
			}
			last, at = a.Frames, a.At
		}
		time.Sleep(glance)
	}
	return gap, nil
}
