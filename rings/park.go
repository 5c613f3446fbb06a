package rings

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// backlogPause is how long a worker sleeps before it offers the kernel frames again that it
	// did not take.
	backlogPause = int64(time.Millisecond)
	// starvedPause is how long it sleeps before it looks again for free frames. With an arena that
	// is large enough for its ports (see Sizing) it never has to.
	starvedPause = int64(10 * time.Millisecond)
)

// park sleeps until there is something to do, and returns the time. Who has work for the worker
// writes it where the worker looks, then reads parked; the worker sets parked, then looks: one of
// the two sees the other.
func (w *worker) park(now int64) int64 {
	wait := int64(-1)
	sooner := func(d int64) {
		if d = max(d, 0); wait < 0 || d < wait {
			wait = d
		}
	}
	if due := w.handler.Deadline(); due != 0 {
		sooner(due - now)
	}
	if w.starved {
		sooner(starvedPause)
	}
	for _, s := range w.sockets {
		if s.backlog {
			sooner(backlogPause)
		}
	}
	w.parked.Store(1)
	if w.pending() {
		w.parked.Store(0)
		return now
	}
	w.counters.polls.add(1)
	var timeout *unix.Timespec
	if wait >= 0 {
		w.timeout = unix.NsecToTimespec(wait)
		timeout = &w.timeout
	}
	n, err := unix.Ppoll(w.polled, timeout, nil)
	w.parked.Store(0)
	if err == nil && n > 0 {
		w.wokenBy()
	}
	return w.clock.now()
}

// pending tells whether work has come since the round looked.
func (w *worker) pending() bool {
	if w.mailed.Load() || w.stop.Load() || !w.injected.empty() {
		return true
	}
	for _, b := range w.inboxes {
		if b != nil && !b.empty() {
			return true
		}
	}
	for _, s := range w.sockets {
		if s.rx != nil && s.rx.available(1) > 0 {
			return true
		}
	}
	return false
}

func (w *worker) wokenBy() {
	if w.polled[0].Revents != 0 {
		w.counters.wakeups.add(1)
		_, _ = unix.Read(w.eventfd, w.scratch[:])
	}
	const trouble = unix.POLLERR | unix.POLLHUP | unix.POLLNVAL
	for i := 1; i < len(w.polled); i++ {
		if w.polled[i].Revents&trouble == 0 {
			continue
		}
		// A socket in error is ready for ever: stop polling it, and have its state looked into.
		w.polled[i].Fd = -1
		port := w.pollOwner[i].queue.port
		if w.pollOwner[i].kernel.gone() {
			port.fail(stateGone, errGone)
		} else {
			port.failSend(unix.ENETDOWN)
		}
	}
}

// wake ends the worker's sleep, if it sleeps.
func (w *worker) wake() {
	if w.parked.Load() == 0 || !w.parked.CompareAndSwap(1, 0) {
		return
	}
	_, _ = unix.Write(w.eventfd, w.bell[:])
}

// listPolled makes the list of what to poll after the sockets have changed.
func (w *worker) listPolled() {
	w.polled = append(w.polled[:0], unix.PollFd{Fd: int32(w.eventfd), Events: unix.POLLIN})
	w.pollOwner = append(w.pollOwner[:0], nil)
	w.busyPolls = false
	for _, s := range w.sockets {
		events := int16(0)
		if s.rx != nil {
			events = unix.POLLIN
			w.busyPolls = w.busyPolls || s.busyPoll
		}
		w.polled = append(w.polled, unix.PollFd{Fd: int32(s.fd), Events: events})
		w.pollOwner = append(w.pollOwner, s)
	}
}
