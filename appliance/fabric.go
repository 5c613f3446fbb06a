package appliance

import (
	"fmt"
	"runtime"
	"slices"

	"xwire/appliance/capture"
	"xwire/config"
	"xwire/pw"
	"xwire/rings"
)

// wideMTU is the largest MTU whose frames, with two tags and any encapsulation, still fit a chunk
// of 2048 bytes behind its 256 bytes of headroom, in every driver's zero-copy mode too.
const wideMTU = 1700

// jumboMTU is the largest MTU for which each frame comes in one buffer of every driver: some give an XDP
// program 3 KiB. Above it, frames may have several.
const jumboMTU = 3000

// long tells whether frames of the port's interface may be longer than a chunk.
func (p *port) long(mtu int) bool { return mtu > jumboMTU && !p.trunk }

// jumbo tells whether a port is to have frames longer than a chunk: not if the arena was made when no port had
// such ones, and has no room for them.
func (a *Appliance) jumbo(p *port) bool {
	_, spans := a.arena.Spans()
	return p.long(p.opened.info.MTU) && spans > 0
}

// frameRoom is what a frame has beyond its MTU: the Ethernet header and two tags.
const frameRoom = 14 + 2*4

// tellLength says which frames of an open port's MTU it cannot have, and why.
func (a *Appliance) tellLength(p *port) {
	o := p.opened
	if p.trunk || o.info.MTU+frameRoom <= o.rings.Longest() {
		return
	}
	why := "more than any frame may have"
	switch _, spans := a.arena.Spans(); {
	case o.rings.Jumbo():
	case spans == 0:
		why = "memory for jumbo frames is made at start only, if a port has a large MTU then: restart xwire"
	default:
		why = "the kernel (before 6.6), or the driver in zero-copy mode, has no frames of several buffers"
	}
	a.warnOnce(p, fmt.Sprintf("MTU %d is too large: frames above %d bytes are dropped", o.info.MTU, o.rings.Longest()), "reason", why)
}

// wholeKiB tells of drivers that round a receive buffer down to whole KiB: behind the headroom a
// chunk of 2048 bytes leaves them 1024, and a longer frame would come as two descriptors, torn.
func wholeKiB(driver string) bool {
	switch driver {
	case "igb", "igc", "ixgbe":
		return true
	}
	return false
}

// spareQueues is room in the arena for ports that come later: those that a route brings
// (--auto-ports) and those that return with more queues than they had.
const spareQueues = 4

// lateQueues is the most queues that are planned for a port whose interface is missing at the start.
const lateQueues = 16

// chooseWorkers makes one worker for each queue of the widest core port, and the table for them
// with the next hops known so far.
func (a *Appliance) chooseWorkers() error {
	allowed, err := allowedCPUs()
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	queues, node := 1, -1
	for _, p := range a.ports {
		info, err := a.host.Info(p.Interface)
		if err != nil || !p.rules.Core {
			continue
		}
		n := info.RxQueues
		if len(p.Queues) > 0 {
			n = len(p.Queues)
		}
		if n >= queues {
			queues, node = n, info.NUMANode
		}
	}
	if a.workers, err = chooseCPUs(a.settings.CPUs, allowed, numaCPUs(node), queues); err != nil {
		return fmt.Errorf("choose CPUs ([appliance] cpus): %w", err)
	}
	a.table = pw.NewTable(len(a.workers))
	for _, t := range a.targets {
		t.id = a.table.AddNextHop(a.nextHop(t))
	}
	return nil
}

// isPort tells whether a port, named or taken for a route, lies on the interface.
func (a *Appliance) isPort(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.ports, func(p *port) bool { return p.Interface == name })
}

// makeFabric makes the arena, large enough for every queue of every port, and the workers.
func (a *Appliance) makeFabric(cfg *config.Config) (err error) {
	chunk := 2048
	sizing := rings.Sizing{Workers: len(a.workers), Queues: make([]uint32, spareQueues)}
	a.mu.Lock()
	for _, p := range a.ports {
		// NICs have a queue for each CPU unless told otherwise.
		queues, long := min(runtime.NumCPU(), lateQueues), false
		if info, err := a.host.Info(p.Interface); err == nil {
			queues = max(info.RxQueues, 1)
			long = p.long(info.MTU)
			if info.MTU > wideMTU || wholeKiB(info.Driver) && p.mayZeroCopy() {
				chunk = 4096
			}
		}
		if len(p.Queues) > 0 {
			queues = len(p.Queues)
		}
		sizing.Queues = append(sizing.Queues, make([]uint32, queues)...)
		p.planned = queues
		if long {
			sizing.Jumbo += queues
		}
	}
	all := len(sizing.Queues) - spareQueues
	deep, beyond := rings.DeepRing(max(all, 1))
	a.deep, sizing.Deep = deep, all*beyond
	a.mu.Unlock()
	a.arena, err = rings.NewArena(rings.ArenaConfig{ChunkSize: chunk, Chunks: sizing.Chunks(), Spans: sizing.Spans(), HugePages: true})
	if err != nil {
		return fmt.Errorf("make arena of %d frames: %w", sizing.Chunks(), err)
	}
	layout := pw.Layout{Chunk: chunk}
	if from, n := a.arena.Spans(); n > 0 {
		layout.Spans, layout.Span = from, rings.SpanSize
	}
	a.table.Reassemble(layout)
	a.taps = capture.NewHub(len(a.workers), layout)
	workers := make([]rings.WorkerConfig, len(a.workers))
	for i, cpu := range a.workers {
		workers[i] = rings.WorkerConfig{CPU: cpu, Handler: a.taps.Tap(i, a.table.Forwarder(i))}
	}
	if a.fabric, err = rings.NewFabric(rings.FabricConfig{Arena: a.arena, Workers: workers}); err != nil {
		return err
	}
	return nil
}

// deepRing is how deep a port's rings may become: those that came later, or have more queues than they had,
// have to do with what is spare.
func (a *Appliance) deepRing(p *port) uint32 {
	queues := len(p.Queues)
	if queues == 0 {
		queues = max(p.opened.info.RxQueues, 1)
	}
	if queues > p.planned {
		return 0
	}
	return a.deep
}
