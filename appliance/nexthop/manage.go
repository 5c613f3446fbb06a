package nexthop

import (
	"time"

	"golang.org/x/sys/unix"
)

// need records which neighbour a key depends on; zero: none.
func (w *Watcher) need(e *entry, k neighKey) {
	if e.needs == k {
		return
	}
	if old := w.wants[e.needs]; old != nil {
		delete(old.keys, e)
		if len(old.keys) == 0 {
			delete(w.wants, e.needs)
			if old.ours {
				w.released = append(w.released, e.needs)
			}
		}
	}
	e.needs = k
	if k == (neighKey{}) {
		return
	}
	if w.wants[k] == nil {
		w.wants[k] = &want{keys: map[*entry]struct{}{}}
		w.restless[k] = struct{}{}
	}
	w.wants[k].keys[e] = struct{}{}
}

// errands decides what to ask of the kernel's neighbour table. The caller holds the lock.
func (w *Watcher) errands(now time.Time) []errand {
	var out []errand
	limit := retryLimit
	for k := range w.restless {
		if limit == 0 {
			break
		}
		want := w.wants[k]
		if want == nil {
			delete(w.restless, k)
			continue
		}
		e, due, rest := w.errand(k, want, now)
		if rest {
			delete(w.restless, k)
		}
		if due {
			want.asked = now
			out = append(out, e)
			if n, known := w.neighbours[k]; known && !n.valid() {
				limit--
			}
		}
	}
	for _, k := range w.released {
		n, known := w.neighbours[k]
		if known && w.wants[k] == nil && !n.fixed() {
			out = append(out, errand{key: k, drop: !n.valid()})
		}
	}
	w.released = w.released[:0]
	if !w.adopted && len(w.urgent)+len(w.lazy) == 0 {
		// Every key has been asked once: what a process before us managed and nobody needs is let go.
		w.adopted = true
		for k, n := range w.neighbours {
			if n.managed() && n.proto == originator && w.wants[k] == nil && !n.fixed() {
				out = append(out, errand{key: k, drop: !n.valid()})
			}
		}
	}
	return out
}

// errand tells whether a request for one neighbour is due now, and whether the neighbour can rest
// until its entry changes.
func (w *Watcher) errand(k neighKey, want *want, now time.Time) (e errand, due, rest bool) {
	n, known := w.neighbours[k]
	if known && n.fixed() {
		want.ours = false
		return errand{}, false, true
	}
	if known && n.managed() && n.proto == originator {
		want.ours = true
	}
	e = errand{key: k, manage: true, exists: known, use: w.noManaged}
	waited := now.Sub(want.asked)
	failed := known && n.state&unix.NUD_FAILED != 0
	switch {
	case !known || failed:
		if failed && n.managed() && !want.ours {
			e.theirs = true
		}
		return e, waited >= retryAfter, false
	case w.noManaged:
		return e, n.state&unix.NUD_STALE != 0 && waited >= confirmAfter, false
	case n.managed():
		return errand{}, false, true
	}
	return e, waited >= retryAfter, false
}

// run sends the errands. It is called without the lock.
func (w *Watcher) run(errands []errand) {
	if len(errands) == 0 {
		return
	}
	groups := map[[2]uint16][]errand{}
	for _, e := range errands {
		typ, flags := e.request()
		groups[[2]uint16{typ, flags}] = append(groups[[2]uint16{typ, flags}], e)
	}
	for g, list := range groups {
		var made []errand
		err := w.conn.ask(g[0], g[1], len(list),
			func(b []byte, i int) []byte { return list[i].appendTo(b) },
			func(i int, _ []byte, errno unix.Errno) {
				e := list[i]
				switch {
				case errno == 0 && e.manage && !e.use && !e.theirs:
					made = append(made, e)
				case errno != 0 && errno != unix.EEXIST && errno != unix.ENOENT && errno != unix.ENODEV && errno != unix.ENETDOWN:
					w.config.Log.Debug("neighbour not asked for", "neighbour", e.key.addr, "ifindex", e.key.dev, "err", errno)
				}
			})
		if err != nil {
			w.config.Log.Warn("neighbours not asked for", "err", err)
			return
		}
		w.learn(made)
	}
}

// learn reads the entries that were just made managed: the kernel does not notify of one that is
// still incomplete, and one that knows no managed entries (before 5.16) says nothing at all.
func (w *Watcher) learn(made []errand) {
	if len(made) == 0 {
		return
	}
	now := make([]struct {
		neighbour
		ok bool
	}, len(made))
	err := w.conn.ask(unix.RTM_GETNEIGH, 0, len(made),
		func(b []byte, i int) []byte {
			nd := make([]byte, sizeofNdMsg)
			nd[0] = family(made[i].key.addr)
			native.PutUint32(nd[4:], uint32(made[i].key.dev))
			return attr(append(b, nd...), unix.NDA_DST, made[i].key.addr.AsSlice())
		},
		func(i int, body []byte, errno unix.Errno) {
			if errno == 0 {
				_, now[i].neighbour, now[i].ok = parseNeighbour(body)
			}
		})
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range made {
		want := w.wants[e.key]
		if !now[i].ok || want == nil {
			continue
		}
		if !now[i].managed() && !now[i].fixed() && !w.noManaged {
			w.noManaged = true
			w.config.Log.Info("this kernel keeps no neighbours resolved for others (before 5.16): they are probed every few seconds")
			want.asked = time.Time{}
			w.wake()
		}
		want.ours = now[i].managed()
		if _, known := w.neighbours[e.key]; !known {
			w.neighbours[e.key] = now[i].neighbour
			for entry := range want.keys {
				w.compute[entry] = struct{}{}
			}
			w.wake()
		}
	}
}

// retry asks again for neighbours that do not answer, and confirms stale ones where the kernel
// does not.
func (w *Watcher) retry(now time.Time) {
	w.mu.Lock()
	errands := w.errands(now)
	w.mu.Unlock()
	w.run(errands)
}

// letGo ends the management of what is ours.
func (w *Watcher) letGo() error {
	w.mu.Lock()
	var out []errand
	for k, want := range w.wants {
		n, known := w.neighbours[k]
		if known && want.ours && !n.fixed() {
			out = append(out, errand{key: k, drop: !n.valid()})
		}
		want.ours = false
	}
	for _, k := range w.released {
		if n, known := w.neighbours[k]; known && !n.fixed() {
			out = append(out, errand{key: k, drop: !n.valid()})
		}
	}
	w.mu.Unlock()
	w.run(out)
	return nil
}
