package appliance

import (
	"fmt"
	"io"

	"xwire/config"
)

// running is what runs, as a configuration. The caller holds mu.
func (a *Appliance) running() *config.Config {
	cfg := a.withPorts()
	cfg.Tunnels = make([]config.Tunnel, 0, len(a.tunnels))
	for _, t := range a.tunnels {
		cfg.Tunnels = append(cfg.Tunnels, t.part(t.sessions))
	}
	return cfg
}

// withPorts is what runs without its tunnels.
func (a *Appliance) withPorts() *config.Config {
	cfg := &config.Config{Appliance: a.settings}
	for _, p := range a.ports {
		if !p.trunk && !p.taken {
			cfg.Ports = append(cfg.Ports, p.Port)
		}
	}
	return cfg
}

// part is the tunnel with some of its sessions.
func (t *tunnel) part(sessions []*session) config.Tunnel {
	c := t.Tunnel
	c.Sessions = make([]config.Session, len(sessions))
	for i, s := range sessions {
		c.Sessions[i] = s.config()
	}
	return c
}

// WriteConfig writes what runs as a file that loads to it. It holds the cookies in clear.
func (a *Appliance) WriteConfig(w io.Writer) error {
	a.mu.Lock()
	cfg := a.running()
	a.mu.Unlock()
	if _, err := fmt.Fprintf(w, "# What runs: the configuration file %s, and what was created or changed through the API.\n", a.o.ConfigFile); err != nil {
		return err
	}
	return cfg.WriteTOML(w)
}
