package gol2tp

import (
	"context"
	"errors"
	"fmt"

	"github.com/katalix/go-l2tp/l2tp"
	"golang.org/x/sys/unix"

	"xwire/appliance/api"
)

// tunnel is a tunnel of go-l2tp's in xwire.
type tunnel struct {
	plane    *Plane
	name     string
	id, peer l2tp.ControlConnID
	version  uint8
	control  int // our own descriptor of the control socket; -1: none
}

// Down deletes the tunnel, with its sessions.
func (t *tunnel) Down() error {
	t.plane.mu.Lock()
	if t.plane.tunnels[t.id] == t {
		delete(t.plane.tunnels, t.id)
	}
	if t.control >= 0 {
		unix.Close(t.control)
		t.control = -1
	}
	t.plane.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	if err := t.plane.client.DeleteTunnel(ctx, t.name); err != nil && !isCode(err, api.CodeNoSuchTunnel) {
		return fmt.Errorf("delete tunnel %s: %w", t.name, err)
	}
	return nil
}

// sweep deletes what go-l2tp has left.
func (p *Plane) sweep() error {
	p.mu.Lock()
	var left []*tunnel
	for _, t := range p.tunnels {
		left = append(left, t)
	}
	p.mu.Unlock()
	var errs []error
	for _, t := range left {
		errs = append(errs, t.Down())
	}
	return errors.Join(errs...)
}

// session is a session of go-l2tp's in xwire.
type session struct {
	plane        *Plane
	tunnel, name string
}

// GetStatistics asks for the six counters that go-l2tp knows; xwire has more.
func (s *session) GetStatistics() (*l2tp.SessionDataPlaneStatistics, error) {
	v, err := s.ask()
	if err != nil {
		return nil, err
	}
	return &l2tp.SessionDataPlaneStatistics{
		TxPackets: v.TxPackets, TxBytes: v.TxBytes, TxErrors: v.TxErrors, RxPackets: v.RxPackets, RxBytes: v.RxBytes, RxErrors: v.RxErrors,
	}, nil
}

// GetInterfaceName names the local interface, or the port where that is the attachment circuit.
func (s *session) GetInterfaceName() (string, error) {
	v, err := s.ask()
	if err != nil {
		return "", err
	}
	switch {
	case v.Interface != "":
		return v.Interface, nil
	case v.Port != "":
		return v.Port, nil
	}
	return v.Switched, nil
}

func (s *session) ask() (api.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	return s.plane.client.TunnelSession(ctx, s.tunnel, s.name, false)
}

// Down deletes the session. One that went with its tunnel is no error.
func (s *session) Down() error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	err := s.plane.client.DeleteSession(ctx, s.tunnel, s.name)
	if err != nil && !isCode(err, api.CodeNoSuchSession) && !isCode(err, api.CodeNoSuchTunnel) {
		return fmt.Errorf("delete session %s/%s: %w", s.tunnel, s.name, err)
	}
	return nil
}

func isCode(err error, code string) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == code
}
