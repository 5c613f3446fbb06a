package appliance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/vishvananda/netlink"

	"xwire/appliance/host"
	"xwire/rings"
)

// supervise opens ports, opens them again when they come back, and says how things stand, until
// ctx ends.
func (a *Appliance) supervise(ctx context.Context) error {
	tick := time.NewTicker(retryPort / 2)
	defer tick.Stop()
	a.round(time.Now())
	close(a.tried)
	if err := a.strict(); err != nil {
		return err
	}
	a.ready.Store(true)
	a.notify(daemon.SdNotifyReady)
	a.log.Info("ready", "sessions", a.count, "tunnels", len(a.tunnels), "seconds", time.Since(a.started).Seconds())
	status := ""
	settled := time.After(retryPort) // by then the next hops know the ports
	for {
		if s := a.statusLine(); s != status {
			status = s
			a.notify("STATUS=" + s)
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-a.fabric.Events():
			a.portEvent(e)
		case <-a.wake:
		case <-settled:
			a.tellStrays()
		case <-tick.C:
		}
		a.round(time.Now())
	}
}

// round closes ports whose interface has gone, opens those whose time has come, and makes local
// interfaces again that were deleted.
func (a *Appliance) round(now time.Time) {
	looks := a.lookAtPorts(now)
	a.mu.Lock()
	for _, l := range looks {
		if l.port.opened == l.opened {
			a.look(&l, now)
		}
	}
	a.openPorts(now)
	a.forgetPaths(now)
	a.settle()
	a.mu.Unlock()
	a.restoreLocals(now)
	a.resizeLocals()
	a.followPeers()
}

// lookPause is the least time between two looks at the interfaces of ports: each change of a session
// wakes the supervisor.
const lookPause = 100 * time.Millisecond

// portLook is what the interface of an open port was found to be.
type portLook struct {
	port   *port
	opened *opened
	name   string
	info   host.InterfaceInfo
	err    error
}

// lookAtPorts asks the kernel, which may let wait while others change interfaces, without mu.
func (a *Appliance) lookAtPorts(now time.Time) (looks []portLook) {
	if now.Sub(a.looked) < lookPause {
		return nil
	}
	a.looked = now
	a.mu.Lock()
	for _, p := range a.ports {
		if p.opened != nil {
			looks = append(looks, portLook{port: p, opened: p.opened, name: p.Interface})
		}
	}
	a.mu.Unlock()
	for i := range looks {
		looks[i].info, looks[i].err = a.host.Info(looks[i].name)
	}
	return looks
}

// look follows what happens to an open port's interface without a word from the rings.
func (a *Appliance) look(l *portLook, now time.Time) {
	p, info, err := l.port, l.info, l.err
	if err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
		return // not told this time; the next look will be
	}
	o, log := p.opened, a.log.With("port", p.Name, "interface", p.Interface)
	was := o.info
	switch {
	case err != nil, info.Ifindex != was.Ifindex:
		log.Warn("port gone")
		a.closePort(p)
		p.reason, p.retry = noInterface(p.Interface), now
		return
	case info.RxQueues != was.RxQueues:
		log.Warn("number of queues changed: port is opened again", "from", was.RxQueues, "to", info.RxQueues)
		a.closePort(p)
		p.reason, p.retry = "its number of queues changed", now
		return
	}
	o.info = info
	if info.MAC != was.MAC {
		log.Info("MAC changed", "from", macText(was.MAC), "to", macText(info.MAC))
		// The old one stays: an interface above may go on using it.
		if err := o.program.AddMAC(info.MAC); err != nil {
			log.Warn("steer new MAC", "error", err)
		}
	}
	if info.MTU != was.MTU {
		log.Info("MTU changed", "from", was.MTU, "to", info.MTU)
	}
	if info.MTU != was.MTU || info.MAC != was.MAC {
		a.table.SetPort(p.index, p.spec())
	}
}

func noInterface(name string) string { return "interface " + name + " is not there" }

// portEvent acts on what a worker met while it sent.
func (a *Appliance) portEvent(e rings.Event) {
	if e.Port == nil {
		a.log.Error("a worker fails", "error", e.Err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var p *port
	for _, q := range a.ports {
		if q.opened != nil && q.opened.rings == e.Port {
			p = q
		}
	}
	if p == nil {
		return
	}
	a.unsettled.all = true
	switch e.Kind {
	case rings.PortDown:
		p.opened.down, p.reason = true, fmt.Sprintf("interface %s does not send: %v", p.Interface, e.Err)
		a.log.Warn("port down", "port", p.Name, "interface", p.Interface, "error", e.Err)
	case rings.PortUp:
		p.opened.down, p.reason = false, ""
		a.log.Info("port up", "port", p.Name, "interface", p.Interface)
	case rings.PortGone:
		a.log.Warn("port gone", "port", p.Name, "interface", p.Interface, "error", e.Err)
		a.closePort(p)
		p.reason = noInterface(p.Interface)
	default:
		a.log.Error("port fails", "port", p.Name, "interface", p.Interface, "error", e.Err)
		p.reason = fmt.Sprintf("interface %s: %v", p.Interface, e.Err)
		p.opened.down = e.Port.Status().State != "up" // a complaint alone does not stop it
	}
}

// strict is the error of a start that demands all ports.
func (a *Appliance) strict() error {
	if !a.settings.Strict {
		return nil
	}
	if w := a.waiting(); len(w) > 0 {
		return fmt.Errorf("start strictly ([appliance] start = \"strict\"): %s", strings.Join(w, "; "))
	}
	return nil
}

// waiting names the ports that do not forward, and why.
func (a *Appliance) waiting() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var w []string
	for _, p := range a.ports {
		if p.opened == nil || p.opened.down {
			w = append(w, fmt.Sprintf("port %s: %s", p.Name, p.reason))
		}
	}
	return w
}

func (a *Appliance) statusLine() string {
	prefix := ""
	a.mu.Lock()
	instead := a.instead
	a.mu.Unlock()
	if instead != "" {
		prefix = "the kept configuration runs instead of " + a.o.ConfigFile + "; "
	}
	if w := a.waiting(); len(w) > 0 {
		return prefix + "waiting: " + strings.Join(w, "; ")
	}
	return prefix + "all ports forward"
}

func (a *Appliance) wakeSupervisor() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}
