package veth

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"xwire/bench/traffic"
)

// Config says what to measure. The zero value measures everything at every size.
type Config struct {
	Cases      []string      // nil: all but asavie-budget; forward is always among them
	Sizes      []traffic.Mix // nil: 64 to 1518 and IMIX
	Rounds     int           // 0: 5
	Window     time.Duration // of each case in a round, in turns of 100 ms or more; 0: 400 ms
	Encap      string        // ip4, udp4, ip6 or udp6; empty: ip4
	Sink       traffic.SinkKind
	Generator  int  // CPU
	Worker     int  // CPU
	Retries    int  // of turns in a window that others on the machine disturb; 0: 3, negative: none
	BusyPoll   bool // our own ports run the driver in the worker's time
	BackToBack bool // look for the longest burst without loss, too
	// Progress, when set, is called with a line for each window.
	Progress func(line string)
}

// Sizes are those of RFC 2544, and IMIX.
var Sizes = []traffic.Mix{{64}, {128}, {256}, {512}, {1024}, {1280}, {1518}, traffic.IMIX}

// DefaultCPUs are the first CPU for the generator and the last for the worker.
func DefaultCPUs() (generator, worker int) { return 0, runtime.NumCPU() - 1 }

const (
	warmUp = 20 * time.Millisecond // once the generator sends
	// oneTurn is the shortest turn of a case.
	oneTurn = 100 * time.Millisecond
	settle  = 10 * time.Millisecond
	// quiet is how much of a CPU others may take during a window, in percent.
	quiet = 3.0
	// startLimit is what a program of somebody else's may take until it forwards, on a machine with other
	// things to do, arrivalLimit what a single frame may take then.
	startLimit   = time.Minute
	arrivalLimit = 500 * time.Millisecond
	windowTries  = 3
)

// Check tells what is wrong with a configuration.
func (c Config) Check() error {
	_, err := c.complete()
	return err
}

func (c Config) complete() (Config, error) {
	c.Rounds = cmp.Or(c.Rounds, 5)
	c.Window = cmp.Or(c.Window, 400*time.Millisecond)
	c.Encap = cmp.Or(c.Encap, "ip4")
	c.Sink = cmp.Or(c.Sink, traffic.SinkStack)
	c.Retries = cmp.Or(c.Retries, 3)
	if len(c.Sizes) == 0 {
		c.Sizes = Sizes
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if !slices.Contains([]string{"ip4", "udp4", "ip6", "udp6"}, c.Encap) {
		return c, fmt.Errorf("encapsulation %q: not ip4, udp4, ip6 or udp6", c.Encap)
	}
	if c.Sink != traffic.SinkStack && c.Sink != traffic.SinkXDP {
		return c, fmt.Errorf("sink %q: not stack or xdp", c.Sink)
	}
	for _, name := range c.Cases {
		if !slices.ContainsFunc(paths, func(p path) bool { return p.name == name }) {
			return c, fmt.Errorf("case %q: not one of %v", name, CaseNames())
		}
	}
	if c.Rounds < 1 || c.Window < time.Millisecond {
		return c, errors.New("at least one round, and windows of a millisecond")
	}
	return c, nil
}

func (c Config) wants(p path) bool {
	return len(c.Cases) == 0 && !p.named || p.name == "forward" || slices.Contains(c.Cases, p.name)
}

// turns is in how many turns a case has its window, and turn how long each is.
func (c Config) turns() int          { return max(1, int(c.Window/oneTurn)) }
func (c Config) turn() time.Duration { return c.Window / time.Duration(c.turns()) }

// Estimate is about how long the measurement takes.
func (c Config) Estimate() time.Duration {
	c, err := c.complete()
	if err != nil {
		return 0
	}
	cases := 0
	for _, p := range paths {
		if c.wants(p) {
			cases++
		}
	}
	each := c.Window + time.Duration(c.turns())*(warmUp+100*time.Millisecond)
	d := 15*time.Second + time.Duration(c.Rounds*len(c.Sizes)*cases)*each
	if c.BackToBack {
		d += time.Duration(min(c.Rounds, burstRounds)*len(c.Sizes)*3) * 700 * time.Millisecond
	}
	return d
}
