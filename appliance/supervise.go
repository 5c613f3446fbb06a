package appliance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"xwire/rings"
)

// supervise opens ports, opens them again when they come back, and says how things stand, until
// ctx ends.
func (a *Appliance) supervise(ctx context.Context) error {
	tick := time.NewTicker(retryPort / 2)
	defer tick.Stop()
	a.round(time.Now())
	if err := a.strict(); err != nil {
		return err
	}
	a.ready.Store(true)
	a.notify(daemon.SdNotifyReady)
	a.log.Info("ready", "sessions", len(a.sessions), "tunnels", len(a.tunnels), "seconds", time.Since(a.started).Seconds())
	status := ""
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
		case <-tick.C:
		}
		a.round(time.Now())
	}
}

// round opens the ports whose time has come and closes those whose interface has gone.
func (a *Appliance) round(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.ports {
		if p.opened == nil {
			continue
		}
		info, err := a.host.Info(p.Interface)
		switch {
		case err != nil, info.Ifindex != p.opened.info.Ifindex:
			a.log.Warn("port gone", "port", p.Name, "interface", p.Interface)
			a.closePort(p)
			p.reason, p.retry = "interface "+p.Interface+" is gone", now
		case info.MTU != p.opened.info.MTU:
			a.log.Info("MTU changed", "port", p.Name, "interface", p.Interface, "from", p.opened.info.MTU, "to", info.MTU)
			p.opened.info = info
			a.table.SetPort(p.index, p.spec())
		default:
			p.opened.info = info
		}
	}
	a.openPorts(now)
}

// portEvent acts on what a worker met while it sent.
func (a *Appliance) portEvent(e rings.Event) {
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
		p.reason = fmt.Sprintf("interface %s is gone: %v", p.Interface, e.Err)
	default:
		a.log.Error("port fails", "port", p.Name, "interface", p.Interface, "error", e.Err)
		p.reason = fmt.Sprintf("interface %s: %v", p.Interface, e.Err)
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
	if w := a.waiting(); len(w) > 0 {
		return "waiting: " + strings.Join(w, "; ")
	}
	return "all ports forward"
}

func (a *Appliance) wakeSupervisor() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}
