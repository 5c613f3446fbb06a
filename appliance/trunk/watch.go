package trunk

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// watchBuffer is the receive buffer of a subscription: some thousand changes of interfaces.
	watchBuffer = 4 << 20
	// settled is how long a device's settings must have stood to be taken for its operator's: one that
	// is deleted goes down and leaves its bridge first.
	settled = time.Second
)

// look is what an operator gives a local interface and the kernel forgets with it.
type look struct {
	mtu    int
	up     bool
	master int // ifindex of a bridge, say; 0: none
}

func lookAt(l netlink.Link) look {
	a := l.Attrs()
	return look{mtu: a.MTU, up: a.RawFlags&unix.IFF_UP != 0, master: a.MasterIndex}
}

// seen is how a device looks now, and how it did before the latest changes.
type seen struct {
	at          time.Time // of the latest change
	now, before look
}

func (s seen) change(to look) seen {
	if time.Since(s.at) > settled {
		s.before = s.now
	}
	return seen{at: time.Now(), now: to, before: s.before}
}

func (s seen) last() look {
	if time.Since(s.at) > settled {
		return s.now
	}
	return s.before
}

// watch follows the devices of one network namespace.
type watch struct {
	trunk *Trunk
	gone  func(name string)
	stop  context.CancelFunc
	done  sync.WaitGroup

	devices map[int]seen // by ifindex, of our interfaces
}

// Watch calls gone for each interface of the trunk that disappears from this namespace, by the name
// that Ensure was given, until Close. Whether it was deleted or moved, Ensure finds out: one that
// was deleted it makes again, up or down, and in the bridge, as it last was for a second. gone is
// called by one goroutine, and may call the trunk's methods.
func (t *Trunk) Watch(gone func(name string)) error {
	ctx, stop := context.WithCancel(context.Background())
	w := &watch{trunk: t, gone: gone, stop: stop, devices: map[int]seen{}}
	updates, end, err := w.subscribe(ctx)
	if err != nil {
		stop()
		return err
	}
	t.mu.Lock()
	s, err := t.scan()
	if err == nil {
		t.watch = w
	}
	t.mu.Unlock()
	if err != nil {
		stop()
		return err
	}
	w.learn(s)
	w.done.Go(func() { w.run(ctx, updates, end) })
	return nil
}

// subscribe has the kernel tell of changes until ctx ends or end is called.
func (w *watch) subscribe(ctx context.Context) (updates chan netlink.LinkUpdate, end context.CancelFunc, err error) {
	ctx, end = context.WithCancel(ctx)
	updates = make(chan netlink.LinkUpdate, 64)
	err = netlink.LinkSubscribeWithOptions(updates, ctx.Done(), netlink.LinkSubscribeOptions{
		ReceiveBufferSize: watchBuffer, ReceiveBufferForceSize: true,
	})
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("watch local interfaces: %w", err)
	}
	return updates, end, nil
}

// run ends when the watch is stopped. A subscription ends by itself when the kernel had to throw
// notifications away: then there is another, and a look at what is missing.
func (w *watch) run(ctx context.Context, updates chan netlink.LinkUpdate, end context.CancelFunc) {
	for {
		for u := range updates {
			w.update(u)
		}
		end()
		for updates = nil; updates == nil; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(settled):
			}
			var err error
			if updates, end, err = w.subscribe(ctx); err != nil {
				w.trunk.config.Log.Warn("local interfaces that are deleted do not come back for now", "err", err)
			}
		}
		for _, name := range w.missing() {
			w.gone(name)
		}
	}
}

func (w *watch) update(u netlink.LinkUpdate) {
	if u.IfInfomsg.Family != unix.AF_UNSPEC { // a bridge's word on its ports
		return
	}
	index := int(u.Index)
	if u.Header.Type == unix.RTM_NEWLINK {
		if _, ours := sessionOf(u.Link); ours && u.Attrs().Alias != w.trunk.endAlias() {
			w.devices[index] = w.devices[index].change(lookAt(u.Link))
		}
		return
	}
	last, known := w.devices[index]
	delete(w.devices, index)
	if name, ours := w.trunk.lost(u.Link, last.last(), known); ours {
		w.gone(name)
	}
}

// learn takes what is there for settled.
func (w *watch) learn(s scan) {
	for _, l := range s.byVLAN {
		is := lookAt(l)
		w.devices[l.Attrs().Index] = seen{now: is, before: is}
	}
}

// missing names the interfaces that are not here.
func (w *watch) missing() (names []string) {
	t := w.trunk
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.scan()
	if err != nil {
		t.config.Log.Warn("look for local interfaces that were deleted", "err", err)
		return nil
	}
	for name, r := range t.state.records {
		if s.byVLAN[r.vlan()] == nil {
			names = append(names, name)
		}
	}
	return names
}

// lost finds the interface that a device which has gone was, or was the other end of, and keeps its
// looks for the next one.
func (t *Trunk) lost(l netlink.Link, last look, known bool) (name string, ours bool) {
	a := l.Attrs()
	session, named := sessionOf(l)
	place, end := parseEnd(a.Name)
	end = end && a.Alias == t.endAlias()
	t.mu.Lock()
	defer t.mu.Unlock()
	if end {
		name, ours = t.state.byPlace[place]
	} else if name, ours = t.state.byIndex[a.Index]; ours {
		ours = name == a.Name || named && session == t.state.records[name].Session
	}
	if ours && known {
		t.looks[name] = last
	}
	return name, ours
}

// dress gives an interface that was made again what its predecessor had. Its session carries frames
// without that, too.
func (t *Trunk) dress(name string, l netlink.Link) {
	had, ok := t.looks[name]
	if !ok {
		return
	}
	delete(t.looks, name)
	if had.master != 0 {
		if err := t.handle.LinkSetMasterByIndex(l, had.master); err != nil {
			t.config.Log.Warn("put interface back into its bridge", "interface", name, "bridge", had.master, "err", err)
		}
	}
	if had.up {
		if err := t.handle.LinkSetUp(l); err != nil {
			t.config.Log.Warn("set interface up again", "interface", name, "err", err)
		}
	}
}
