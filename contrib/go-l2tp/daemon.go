package gol2tp

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/katalix/go-l2tp/l2tp"

	"xwire/appliance/api"
)

const (
	// stopTime is how long a tunnel that the peer stopped goes on acknowledging.
	stopTime = 3 * time.Second
	// endTime is how long a tunnel may take to end; then it is left to itself.
	endTime = 20 * time.Second
	// pauses between tries to dial
	leastPause = time.Second
	mostPause  = time.Minute
)

// Daemon dials tunnels and keeps them up.
type Daemon struct {
	Client  *api.Client
	Tunnels []Tunnel
	Log     *slog.Logger

	plane *Plane
	log   *Log
	ctx   *l2tp.Context

	mu     sync.Mutex
	dials  map[string]*dial // by go-l2tp's name of the tunnel
	number int
}

// Run dials until ctx ends, then takes all tunnels down.
func (d *Daemon) Run(ctx context.Context) error {
	d.plane, d.log, d.dials = NewPlane(d.Client), &Log{To: d.Log, Ended: d.ended}, make(map[string]*dial)
	var err error
	if d.ctx, err = l2tp.NewContext(d.plane, d.log); err != nil {
		return err
	}
	d.ctx.RegisterEventHandler(d)
	var all sync.WaitGroup
	for i := range d.Tunnels {
		all.Go(func() { d.keep(ctx, &d.Tunnels[i]) })
	}
	all.Wait()
	return d.plane.sweep()
}

// keep dials one tunnel again and again.
func (d *Daemon) keep(ctx context.Context, t *Tunnel) {
	pause := leastPause
	for ctx.Err() == nil {
		start := time.Now()
		err := d.dial(ctx, t)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > mostPause {
			pause = leastPause
		}
		d.Log.Warn("tunnel is down", "tunnel", t.Name, "error", err, "again_in", pause)
		sleep(ctx, pause)
		pause = min(2*pause, mostPause)
	}
}

// dial is one life of a tunnel.
type dial struct {
	up     chan struct{}
	down   chan struct{} // it is no more, or will not be for long
	once   sync.Once
	ended  chan struct{}          // it is no more
	gone   map[string]chan string // by go-l2tp's name of the session: why it went
	daemon *Daemon
}

// HandleEvent is called by go-l2tp, from inside tunnels and sessions: it must not wait.
func (d *Daemon) HandleEvent(event any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e := event.(type) {
	case *l2tp.TunnelUpEvent:
		if one := d.dials[e.TunnelName]; one != nil {
			close(one.up)
		}
	case *l2tp.TunnelDownEvent:
		if one := d.dials[e.TunnelName]; one != nil {
			one.once.Do(func() { close(one.down) })
		}
	case *l2tp.SessionUpEvent:
		d.Log.Info("session is up", "tunnel", e.TunnelName, "session", e.SessionName, "interface", e.InterfaceName)
	case *l2tp.SessionDownEvent:
		if one := d.dials[e.TunnelName]; one != nil {
			if gone := one.gone[e.SessionName]; gone != nil {
				gone <- e.Result // has room for one, and there is one
				delete(one.gone, e.SessionName)
			}
		}
	}
}

// ended is told by the log.
func (d *Daemon) ended(tunnel string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if one := d.dials[tunnel]; one != nil {
		one.once.Do(func() { close(one.down) })
		close(one.ended)
		delete(d.dials, tunnel)
	}
}

// close ends a tunnel that does not end by itself.
func (d *Daemon) close(t l2tp.Tunnel, name string, one *dial) {
	select {
	case <-one.ended:
		return
	default:
	}
	if !d.log.heard(name).dying {
		go t.Close()
	}
	select {
	case <-one.ended:
	case <-time.After(endTime):
		d.Log.Warn("tunnel does not end, and is left to itself", "tunnel", name)
	}
}

// dial returns why the tunnel went down.
func (d *Daemon) dial(ctx context.Context, t *Tunnel) error {
	c := t.Config
	d.mu.Lock()
	d.number++
	name := fmt.Sprintf("%s#%d", t.Name, d.number)
	if c.TunnelID == 0 {
		c.TunnelID = l2tp.ControlConnID(1 + rand.N(65535))
	}
	one := &dial{up: make(chan struct{}), down: make(chan struct{}), ended: make(chan struct{}), gone: make(map[string]chan string), daemon: d}
	d.dials[name] = one
	d.mu.Unlock()
	d.plane.SetName(c.TunnelID, Name{Tunnel: t.Name, Keys: t.Keys})
	defer func() {
		d.mu.Lock()
		delete(d.dials, name)
		d.mu.Unlock()
		d.plane.Forget(c.TunnelID)
		d.log.forget(name)
	}()
	tunnel, err := d.ctx.NewDynamicTunnel(name, &c)
	if err != nil {
		return err
	}
	// While it is not up it cannot be closed. SCCRQ is sent a few times only.
	select {
	case <-one.ended:
		return fmt.Errorf("the peer refused it, or did not answer")
	case <-one.up:
	}
	defer d.close(tunnel, name, one)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	retry, sends := c.RetryTimeout, int(c.MaxRetries)
	if retry == 0 {
		retry = time.Second
	}
	if sends == 0 {
		sends = 3
	}
	d.Log.Info("tunnel is up", "tunnel", t.Name, "tunnel_id", c.TunnelID)

	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	for i := range t.Sessions {
		parts.Go(func() { one.keepSession(ctx, tunnel, name, c.TunnelID, &t.Sessions[i]) })
	}
	dead := make(chan error, 1)
	if t.Hello > 0 {
		k := keepalive{plane: d.plane, log: d.log, tunnel: name, tid: c.TunnelID, interval: t.Hello, retry: retry, sends: sends}
		parts.Go(func() { dead <- k.run(ctx) })
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-one.down:
		return fmt.Errorf("the peer or the transport ended it")
	case err := <-dead:
		return err
	}
}

// keepSession dials one session again and again while its tunnel is up.
func (o *dial) keepSession(ctx context.Context, t l2tp.Tunnel, tunnel string, tid l2tp.ControlConnID, s *DialedSession) {
	pause := leastPause
	for number := 1; ctx.Err() == nil; number++ {
		c := s.Config
		name := fmt.Sprintf("%s#%d", s.Name, number)
		if c.SessionID == 0 {
			c.SessionID = l2tp.ControlConnID(1 + rand.N(65535))
		}
		gone := make(chan string, 1)
		o.daemon.mu.Lock()
		o.gone[name] = gone
		o.daemon.mu.Unlock()
		o.daemon.plane.NameSession(tid, c.SessionID, Session{Name: s.Name, Keys: s.Keys})
		made := make(chan error, 1)
		go func() { // waits for ever if the tunnel ends just now
			_, err := t.NewSession(name, &c)
			made <- err
		}()
		why := ""
		select {
		case <-ctx.Done():
			return
		case err := <-made:
			if err != nil {
				why = err.Error()
				break
			}
			select {
			case <-ctx.Done():
				return
			case why = <-gone:
			}
		}
		o.daemon.Log.Warn("session is down", "tunnel", tunnel, "session", s.Name, "result", why, "again_in", pause)
		sleep(ctx, pause)
		pause = min(2*pause, mostPause)
	}
}
