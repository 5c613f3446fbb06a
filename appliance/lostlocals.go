package appliance

import (
	"time"

	"xwire/appliance/trunk"
)

// watchLocals has local interfaces made again that somebody deletes.
func (a *Appliance) watchLocals() {
	t := a.trunk.Load()
	if t == nil {
		return
	}
	err := t.Watch(func(name string) {
		a.mu.Lock()
		a.lost[name] = true
		a.mu.Unlock()
		a.wakeSupervisor()
	})
	if err != nil {
		a.log.Warn("local interfaces that are deleted come back at the next start only", "error", err)
	}
}

// restoreLocals makes the local interfaces again that have gone, in their places: the sessions do
// not notice. One that was moved to another namespace stays there. What fails is tried again.
func (a *Appliance) restoreLocals(now time.Time) {
	want, sessions := a.lostLocals(now)
	if len(want) == 0 {
		return
	}
	bindings, err := a.trunk.Load().Ensure(want) // without mu: a thousand of them take seconds
	stand := make(map[string]bool, len(bindings))
	for _, b := range bindings {
		stand[b.Name] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range sessions {
		if s.gone {
			continue
		}
		was := s.reason()
		delete(a.circuits.locals, s.ifname()) // it has its carrier
		if s.wait(""); stand[s.ifname()] {
			continue
		}
		a.lost[s.ifname()] = true
		if s.wait(notMade(s.ifname(), err)); s.reason() != was {
			a.log.Error("local interface that was deleted does not come back", "interface", s.ifname(),
				"session", s.path(), "reason", s.reason())
		}
	}
}

// lostLocals takes out of lost what is to be made again now, once the trunk is there.
func (a *Appliance) lostLocals(now time.Time) (want []trunk.Interface, sessions []*session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lost) == 0 || now.Before(a.retryLost) {
		return nil, nil
	}
	for _, p := range a.ports {
		if p.trunk && p.opened == nil {
			return nil, nil
		}
	}
	a.retryLost = now.Add(retryPort)
	for s := range a.eachSession {
		if !s.standing || !a.lost[s.ifname()] {
			continue
		}
		sessions = append(sessions, s)
		want = append(want, trunk.Interface{Name: s.ifname(), Session: s.path(), MTU: int(s.mtu), KeepMTU: true})
	}
	clear(a.lost) // what goes from now on has gone again; of sessions that do not stand: they wait for the next start
	return want, sessions
}
