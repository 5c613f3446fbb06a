package appliance

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"xwire/appliance/api"
	"xwire/appliance/liveness"
	"xwire/config"
	"xwire/rings/steer"
)

// watchPeer has a tunnel's HELLOs answered, and sent where it has hello_timeout. For a tunnel that is
// watched already it takes over what changed. A keyed tunnel has no control messages.
func (a *Appliance) watchPeer(c *config.Tunnel) {
	if c.Keyed {
		a.peers.Remove(c.Name)
		return
	}
	err := a.peers.Set(liveness.Tunnel{
		Name: c.Name, VRF: c.VRF, Local: c.Local, Peer: c.Peer, TID: c.TID, PTID: c.PTID, Version: c.Version, Encap: c.Encap,
		Yields: c.Requested && c.HelloTimeout == 0, // most likely of a control daemon
		Hello:  c.HelloTimeout, Retry: c.RetryTimeout, Sends: int(c.MaxRetries), Window: int(c.WindowSize),
	})
	if err != nil {
		a.log.Warn("control messages of a tunnel are not answered", "tunnel", c.Name, "error", err)
	}
}

// runPeers has peers watched once the ports are open, or HELLOs over UDP would find nobody there.
func (a *Appliance) runPeers(ctx context.Context) error {
	select {
	case <-a.tried:
		return a.peers.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// takeControl has the ports' steering programs hand up the control messages to a tunnel over UDP, or no
// more.
func (a *Appliance) takeControl(local netip.AddrPort, version uint8, tid uint32, on bool) error {
	c := steer.Control{Local: steer.Local{Addr: local.Addr(), Encap: steer.EncapUDP, Port: local.Port()}, Version: version, Tunnel: tid}
	if on {
		return a.steering.AddControl(c)
	}
	return a.steering.RemoveControl(c)
}

// hearPeers reads the control messages that steering programs hand up, until ctx ends.
func (a *Appliance) hearPeers(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = a.steering.StopControl() })()
	for {
		packet, err := a.steering.ReadControl()
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		a.peers.Receive(packet)
	}
}

// peerChanged tells that a tunnel's peer is there, or is not.
func (a *Appliance) peerChanged(c liveness.Change) {
	level := slog.LevelInfo
	if c.Status.State == liveness.Down {
		level = slog.LevelWarn
	}
	a.log.Log(context.Background(), level, "tunnel "+c.Status.State.String(), "tunnel", c.Tunnel, "was", c.From.String(), "reason", c.Status.Reason)
	a.mu.Lock()
	if t := a.byName[c.Tunnel]; t != nil {
		a.settleTunnel(t)
	}
	a.mu.Unlock()
	a.wakeSupervisor() // for followPeers
}

// apiPeer tells how a tunnel's peer does.
func (a *Appliance) apiPeer(v *api.Tunnel) {
	s, ok := a.peers.Status(v.Name)
	if !ok {
		v.State, v.Reason = liveness.Unknown.String(), "its control messages are not answered"
		return
	}
	v.State, v.Reason, v.Since = s.State.String(), s.Reason, timeOrNone(s.Since)
	v.HelloTimeout, v.Hello = s.Interval.Milliseconds(), api.Hello{Heard: timeOrNone(s.Heard), Sent: s.Sent, Received: s.Received}
}

func timeOrNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
