package gol2tp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/katalix/go-l2tp/config"
	"github.com/katalix/go-l2tp/l2tp"

	"xwire/appliance/api"
)

// Tunnel is one dynamic tunnel to dial.
type Tunnel struct {
	Name     string
	Config   l2tp.TunnelConfig // without HelloTimeout
	Hello    time.Duration     // 0: no keepalive
	Keys     api.Keys          // for xwire
	Sessions []DialedSession
}

// DialedSession is a session to dial in its tunnel.
type DialedSession struct {
	Name   string
	Config l2tp.SessionConfig
	Keys   api.Keys
}

// extras collects the keys that are xwire's and not go-l2tp's: attach, vlan, vrf, ...
type extras struct {
	tunnels  map[string]api.Keys
	sessions map[[2]string]api.Keys
}

func (e *extras) ParseParameter(key string, _ any) error {
	return fmt.Errorf("unrecognised parameter %v", key)
}

func (e *extras) ParseTunnelParameter(t *config.NamedTunnel, key string, value any) error {
	if e.tunnels[t.Name] == nil {
		e.tunnels[t.Name] = api.Keys{}
	}
	e.tunnels[t.Name][key] = value
	return nil
}

func (e *extras) ParseSessionParameter(t *config.NamedTunnel, s *config.NamedSession, key string, value any) error {
	at := [2]string{t.Name, s.Name}
	if e.sessions[at] == nil {
		e.sessions[at] = api.Keys{}
	}
	e.sessions[at][key] = value
	return nil
}

// Load reads a file in go-l2tp's dialect (that of kl2tpd). Keys that go-l2tp does not know go to
// xwire, which refuses what it does not know either. Order is by name: go-l2tp keeps none.
func Load(path string) ([]Tunnel, error) {
	e := &extras{tunnels: map[string]api.Keys{}, sessions: map[[2]string]api.Keys{}}
	c, err := config.LoadFileWithCustomParser(path, e)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return tunnels(c, e)
}

func tunnels(c *config.Config, e *extras) ([]Tunnel, error) {
	var list []Tunnel
	var errs []error
	for _, n := range c.Tunnels {
		t := Tunnel{Name: n.Name, Config: *n.Config, Hello: n.Config.HelloTimeout, Keys: e.tunnels[n.Name]}
		t.Config.HelloTimeout = 0
		t.Config.StopCCNTimeout = stopTime
		if t.Config.Version != l2tp.ProtocolVersion2 || t.Config.PeerTunnelID != 0 {
			errs = append(errs, fmt.Errorf(`tunnel %s: only dynamic L2TPv2 tunnels are dialed (version = "l2tpv2", no ptid); static ones stand in xwire's own configuration`, n.Name))
		}
		for _, s := range n.Sessions {
			t.Sessions = append(t.Sessions, DialedSession{Name: s.Name, Config: *s.Config, Keys: e.sessions[[2]string{n.Name, s.Name}]})
		}
		slices.SortFunc(t.Sessions, func(a, b DialedSession) int { return cmp.Compare(a.Name, b.Name) })
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b Tunnel) int { return cmp.Compare(a.Name, b.Name) })
	return list, errors.Join(errs...)
}
