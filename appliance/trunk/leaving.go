package trunk

import "sync"

// leaving are interfaces that are to be removed in the trunk's own time. Its mutex may be taken while
// the trunk's is held, not the other way round.
type leaving struct {
	mu    sync.Mutex
	names map[string]bool
	runs  bool // removeLeaving, to which names are left
	wait  sync.WaitGroup
}

// RemoveSoon is Remove without waiting for the kernel, which takes tens of milliseconds for one
// interface and hardly more for a hundred. A name may be given to Ensure again at once.
func (t *Trunk) RemoveSoon(names ...string) {
	l := &t.leaving
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		l.names[name] = true
	}
	if !l.runs && len(l.names) > 0 {
		l.runs = true
		l.wait.Go(t.removeLeaving)
	}
}

// removeLeaving ends when nothing is left to remove.
func (t *Trunk) removeLeaving() {
	for {
		t.mu.Lock()
		t.removeNow(func(string) bool { return true })
		t.mu.Unlock()
		t.leaving.mu.Lock()
		if len(t.leaving.names) == 0 {
			t.leaving.runs = false
			t.leaving.mu.Unlock()
			return
		}
		t.leaving.mu.Unlock()
	}
}

// removeNow removes those that leave, if any of them must not be there any more. The caller holds mu.
func (t *Trunk) removeNow(must func(name string) bool) {
	l := &t.leaving
	l.mu.Lock()
	var names []string
	now := false
	for name := range l.names {
		names = append(names, name)
		now = now || must(name)
	}
	if now {
		clear(l.names)
	}
	l.mu.Unlock()
	if !now {
		return
	}
	if err := t.removeAll(names); err != nil {
		t.config.Log.Warn("remove local interfaces of sessions that are gone", "error", err)
	}
}
