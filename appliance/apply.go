package appliance

import (
	"fmt"
	"slices"

	"xwire/appliance/nexthop"
	"xwire/config"
	"xwire/pw"
)

// apply makes a difference, which has been checked, what runs. What can fail on this machine is done
// first; with whole, a failure there undoes it and changes nothing. What workers see then changes within
// one hold of mu: sessions that are not in the difference do not notice. Only the goroutine that owns
// changes calls it.
func (a *Appliance) apply(d *config.Difference, whole bool) error {
	a.fabric.Brace()
	set := a.changes(d)
	a.addTargets(set)
	want, unwanted := a.interfaces(set)
	var bindings map[string]bound
	var failed error
	if len(want) > 0 {
		widest := 0
		for _, w := range want {
			widest = max(widest, w.MTU)
		}
		fresh := a.trunk.Load() == nil
		if failed = a.openTrunk(widest); failed == nil {
			bindings, failed = a.ensureLocals(want)
			if fresh {
				a.watchLocals()
			}
		}
		if failed != nil && whole {
			unused := make(map[string]bool, len(want))
			for _, w := range want {
				unused[w.Name] = true
			}
			a.keepInterfaces(unused)
			a.removeInterfaces(unused, nil)
			a.dropTargets()
			return failed
		}
	}
	a.mu.Lock()
	a.commit(set, bindings, failed)
	a.mu.Unlock()
	a.removeInterfaces(unwanted, set.withTunnels())
	a.dropTargets()
	a.wakeSupervisor()
	return nil
}

// keepInterfaces takes those out of names that sessions have now.
func (a *Appliance) keepInterfaces(names map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.eachSession {
		if s.runs() {
			delete(names, s.ifname())
		}
	}
}

// removeInterfaces removes local interfaces whose sessions are gone. It does not wait for those of soon:
// the kernel's L2TP, too, takes down the sessions of a tunnel that is deleted in its own time.
func (a *Appliance) removeInterfaces(names, soon map[string]bool) {
	t := a.trunk.Load()
	if t == nil || len(names) == 0 {
		return
	}
	var now, later []string
	for name := range names {
		if soon[name] {
			later = append(later, name)
		} else {
			now = append(now, name)
		}
	}
	t.RemoveSoon(later...)
	if len(now) > 0 {
		if err := t.Remove(now...); err != nil {
			a.log.Warn("remove local interfaces of sessions that are gone", "error", err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range names { // that they went is no news
		delete(a.lost, name)
	}
}

// addTargets asks for the next hops of tunnels that are new or go elsewhere.
func (a *Appliance) addTargets(set *changeSet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var keys []nexthop.Key
	for _, t := range set.tunnels {
		if key := hopKey(t); t.Enabled && a.targets[key] == nil {
			to := newTarget(key)
			to.id = a.table.AddNextHop(pw.NextHop{Port: pw.NoPort})
			a.targets[key] = to
			keys = append(keys, key)
		}
	}
	if keys != nil {
		a.hops.Add(keys...)
	}
}

// dropTargets forgets the next hops that no tunnel has any more.
func (a *Appliance) dropTargets() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var keys []nexthop.Key
	used := make(map[*target]bool, len(a.targets))
	for _, t := range a.tunnels {
		used[t.target] = true
	}
	for key, t := range a.targets {
		if used[t] {
			continue
		}
		if delete(a.targets, key); t.known {
			a.answers--
		}
		delete(a.resized, t)
		a.table.RemoveNextHop(t.id)
		keys = append(keys, key)
	}
	if keys != nil {
		a.hops.Remove(keys...)
	}
}

// commit changes what workers see. What goes makes room first, then what stays changes, then what is new
// comes. The caller holds mu.
func (a *Appliance) commit(set *changeSet, bindings map[string]bound, failed error) {
	for i := range set.sessions {
		if c := &set.sessions[i]; c.wants() != "" {
			a.noteClient(c.to, bindings)
		} else if c.had != "" {
			delete(a.clients, c.had)
		}
	}
	a.commitPorts(set.Ports)
	moves := a.circuitMoves(set)
	moves.leave(a)
	for i := range set.sessions {
		if c := &set.sessions[i]; c.s != nil && c.s.standing && !c.runs() {
			a.unstandSession(c.s)
		}
	}
	for i := range set.Tunnels {
		if t := &set.Tunnels[i]; t.New == nil || !t.New.Enabled {
			a.unstandTunnel(a.byName[either(t).Name])
		}
	}
	a.changeTunnels(set.Tunnels)
	a.changeSessions(set, bindings, failed)
	a.addTunnels(set.Tunnels)
	a.addSessions(set, bindings, failed)
	a.joinChanged(set)
	moves.come(a)
	a.forget(set)
	a.reindex(set)
	a.tellChanges(set)
	if set.Appliance.Keys != nil { // the rest waits for the next start
		a.settings.Unknown = set.Appliance.New.Unknown
		if group := set.Appliance.New.ControlGroup; group != a.settings.ControlGroup {
			a.settings.ControlGroup = group
			if err := shareControl(a.settings.Control, group); err != nil {
				a.log.Error("the control socket is its owner's alone", "error", err)
			}
		}
	}
}

func either[T any](d *config.Delta[T]) *T {
	if d.New != nil {
		return d.New
	}
	return d.Old
}

// forget takes out of the lists what was removed.
func (a *Appliance) forget(set *changeSet) {
	touched := make(map[*tunnel]bool)
	for i := range set.sessions {
		c := &set.sessions[i]
		if c.to != nil || c.s == nil {
			continue
		}
		t := c.s.tunnel
		c.s.gone, touched[t] = true, true
		if t.names != nil {
			delete(t.names, c.s.name())
		}
		a.count--
	}
	for t := range touched {
		t.sessions = slices.DeleteFunc(t.sessions, func(s *session) bool { return s.gone })
	}
	removed := make(map[*tunnel]bool)
	for i := range set.Tunnels {
		if d := &set.Tunnels[i]; d.New == nil {
			removed[a.byName[d.Old.Name]] = true
			delete(a.byName, d.Old.Name)
		}
	}
	if len(removed) > 0 {
		a.tunnels = slices.DeleteFunc(a.tunnels, func(t *tunnel) bool { return removed[t] })
	}
}

// sortLike puts tunnels and sessions into the order of a configuration, those created by requests last.
func (a *Appliance) sortLike(cfg *config.Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		t := a.byName[c.Name]
		if t == nil {
			continue
		}
		if i < len(a.tunnels) && len(cfg.Tunnels) == len(a.tunnels) {
			a.tunnels[i] = t
		}
		if len(c.Sessions) != len(t.sessions) {
			continue
		}
		sorted := make([]*session, 0, len(t.sessions))
		for j := range c.Sessions {
			if s := t.session(c.Sessions[j].Name); s != nil {
				sorted = append(sorted, s)
			}
		}
		if len(sorted) == len(t.sessions) {
			t.sessions = sorted
		}
	}
}

func (a *Appliance) warnChange(what, name string, err error) {
	if err != nil {
		a.log.Error(what, "name", name, "error", fmt.Sprint(err))
	}
}
