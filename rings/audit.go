package rings

import "fmt"

// Audit says where every frame was at a moment when all workers stood between two rounds. The
// counts add up to Frames if there are no violations.
type Audit struct {
	Frames     int // in the arena
	Pool       int // free: in the depot, the workers' caches and the control side's
	Held       int // with handlers
	Spare      int // with handlers, free
	Inbox      int // on the way to another worker
	Fill       int // in fill rings
	RX         int // in RX rings
	Receiving  int // with drivers, to receive into
	TX         int // in TX rings
	Completion int // in completion rings
	Sending    int // with drivers, to be sent
	Quarantine int // with drivers that did not let go of a closed port's queues in time
	Gathering  int // first chunks of spans in which jumbo frames are being put together
	Tails      int // other chunks of spans, which go where the first one goes
	Violations []string
}

// maxViolations bounds the list: one bug can concern every frame.
const maxViolations = 32

// auditor marks each frame with the place where it was seen.
type auditor struct {
	Audit
	owners []owner
	shift  uint
	seen   []uint8
}

const (
	seenNowhere uint8 = iota
	seenOurs          // pool, inbox
	seenGiven         // fill or TX ring
	seenBack          // RX or completion ring
)

func (a *auditor) violation(format string, args ...any) {
	if len(a.Violations) < maxViolations {
		a.Violations = append(a.Violations, fmt.Sprintf(format, args...))
	}
}

// visit marks a frame seen at a place where only who may have it. The kernel publishes its cursors
// late, so one that came back may still stand in the ring by which it was given, and then counts
// as come back.
func (a *auditor) visit(addr uint64, where string, who owner, mark uint8, count *int) {
	frame := addr >> a.shift
	if frame >= uint64(len(a.owners)) {
		a.violation("%s: address %#x lies outside the arena", where, addr)
		return
	}
	if a.owners[frame] != who {
		a.violation("%s: frame %d belongs to owner %d, not %d", where, frame, a.owners[frame], who)
		return
	}
	if before := a.seen[frame]; before != seenNowhere {
		if before != seenBack || mark != seenGiven {
			a.violation("%s: frame %d was seen before", where, frame)
		}
		return
	}
	a.seen[frame] = mark
	*count++
}

// Audit stops all workers between two rounds, looks where each frame is, and lets them go on.
func (f *Fabric) Audit() Audit {
	a := &auditor{owners: f.owners, shift: f.arena.shift, seen: make([]uint8, len(f.owners))}
	a.Frames = len(f.owners)
	f.control.Lock()
	defer f.control.Unlock()
	f.atBoundary(func() { f.audit(a) })
	return a.Audit
}

func (f *Fabric) audit(a *auditor) {
	pool := func(frame uint32) {
		a.visit(uint64(frame)<<a.shift, "pool", ownerPool, seenOurs, &a.Pool)
	}
	f.depot.visit(pool)
	for _, c := range f.caches() {
		for _, frame := range c.frames[:c.n] {
			pool(frame)
		}
	}
	f.visitSpans(pool)
	held, spare, gathering := 0, 0, 0
	for _, w := range f.workers {
		for _, b := range append(w.inboxes, w.injected) {
			if b != nil {
				b.visit(func(addr uint64) {
					a.visit(f.spans.home(addr>>a.shift)<<a.shift, "inbox", ownerInbox, seenOurs, &a.Inbox)
				})
			}
		}
		held += w.handler.Held()
		if w.maker != nil {
			spare += w.maker.Spares()
		}
		if w.spanMaker != nil {
			spare += w.spanMaker.SpareSpans()
		}
	}
	var owned [1 << 16]int
	for _, who := range a.owners {
		owned[who]++
	}
	open := map[owner]bool{}
	for _, p := range f.ports {
		for _, q := range p.queues {
			a.queue(q)
			gathering += q.gathering()
			open[q.receiveOwner], open[q.transmitOwner] = true, true
			a.balance(q, "receiving", owned[q.receiveOwner], int(q.receiving))
			a.balance(q, "sending", owned[q.transmitOwner], int(q.sending))
		}
	}
	for frame, who := range a.owners {
		switch {
		case a.seen[frame] != seenNowhere:
		case who == ownerHeld:
			a.Held++
		case who == ownerSpare:
			a.Spare++
		case who == ownerKept:
			a.Quarantine++
		case who == ownerGather:
			a.Gathering++
		case who == ownerTail && uint64(frame) >= f.spans.first:
			a.Tails++
		case who < ownerQueue:
			a.violation("frame %d is lost: owner %d does not have it", frame, who)
		case !open[who]:
			a.violation("frame %d is lost: its queue %d is closed", frame, (who-ownerQueue)/2)
		case (who-ownerQueue)%2 == 0:
			a.Receiving++
		default:
			a.Sending++
		}
	}
	if kept := f.quarantined(); a.Quarantine != kept {
		a.violation("%d frames are marked as in quarantine, and %d are there", a.Quarantine, kept)
	}
	for _, head := range f.spans.lost() {
		a.violation("the span at frame %d is lost", head)
	}
	if a.Gathering != gathering {
		a.violation("%d spans are being filled, and queues say %d", a.Gathering, gathering)
	}
	// What a handler puts together in a spare span is held, and spare until it gives it out.
	if under := held - a.Held; under != 0 && (under < 0 || f.spans.none()) {
		a.violation("handlers hold %d frames and say %d", a.Held, held)
	} else if a.Spare != spare+under {
		a.violation("handlers have %d spare frames and say %d", a.Spare, spare+under)
	}
}

func (f *Fabric) caches() []*cache {
	caches := []*cache{&f.spare}
	for _, w := range f.workers {
		caches = append(caches, &w.cache)
	}
	return caches
}

// queue visits a queue's rings: first those by which frames come back, for while we look the
// kernel may move a frame on, but never backwards.
func (a *auditor) queue(q *queue) {
	name := func(ring string) string {
		return fmt.Sprintf("%s ring of %s queue %d", ring, q.port.config.Name, q.number)
	}
	at := func(ring string, who owner, mark uint8, count *int) func(uint64) {
		where := name(ring)
		return func(addr uint64) { a.visit(addr, where, who, mark, count) }
	}
	for _, s := range q.sockets {
		if s.rx != nil {
			s.rx.visit(at("RX", q.receiveOwner, seenBack, &a.RX))
		}
	}
	q.fill.visit(at("fill", q.receiveOwner, seenGiven, &a.Fill))
	q.completion.visit(at("completion", q.transmitOwner, seenBack, &a.Completion))
	for _, s := range q.sockets {
		s.tx.visit(at("TX", q.transmitOwner, seenGiven, &a.TX))
	}
}

// balance compares what the owner table says of a queue with what was entrusted to the kernel and
// did not come back.
func (a *auditor) balance(q *queue, side string, owned, entrusted int) {
	if owned != entrusted {
		a.violation("%s queue %d: %d frames %s, but %d were entrusted", q.port.config.Name, q.number, owned, side, entrusted)
	}
}
