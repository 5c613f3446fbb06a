package liveness

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"xwire/l2tp"
	"xwire/l2tp/control"
)

// lineKey is the two ends, what a socket is bound and connected to.
type lineKey struct {
	local, peer netip.AddrPort
	vrf         string
	encap       l2tp.Encap
	yields      bool // see Tunnel.Yields
}

// line is the way between two ends, and the tunnels that share it, by their tunnel id. The watcher's
// mutex guards all.
type line struct {
	key     lineKey
	tunnels map[uint32]*tunnel
	open    bool
	reason  string // why it is not
	socket  socket // over IP, while it is open
	stop    context.CancelFunc
	done    chan struct{} // closed after stop, once the socket is
	strays  uint64        // messages to no tunnel of the line
}

// tunnel is a tunnel that is watched.
type tunnel struct {
	Tunnel
	hello *hello
	line  *line
	timer *time.Timer
	told  State // what OnChange knows
	taken bool  // Config.Take was called for it
}

const (
	// retryOpen is the time between two tries to open a socket, retryForeign between two looks for those
	// of another program.
	retryOpen    = 5 * time.Second
	retryForeign = 30 * time.Second
	// longest is the largest control message taken. HELLO has 20 bytes.
	longest = 4096
)

// run has the line open until ctx ends.
func (l *line) run(ctx context.Context, w *Watcher) {
	if l.key.encap == l2tp.EncapUDP {
		l.runUDP(ctx, w)
	} else {
		l.runIP(ctx, w)
	}
}

// runUDP leaves the line to another program while that has a socket for the same two ends, whoever was
// first.
func (l *line) runUDP(ctx context.Context, w *Watcher) {
	for ctx.Err() == nil {
		var err error
		if l.key.vrf == "" {
			err = w.foreign.taken(ctx, &l.key)
		}
		w.mu.Lock()
		switch {
		case ctx.Err() != nil:
		case err != nil:
			w.refused(l, err)
		case !l.open:
			w.opened(l, nil)
		}
		w.mu.Unlock()
		pause := retryOpen
		if err == nil || errors.Is(err, errForeign) || errors.Is(err, errDaemon) {
			pause = retryForeign
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// runIP opens the line's socket, reads from it, and opens it again, until ctx ends.
func (l *line) runIP(ctx context.Context, w *Watcher) {
	for ctx.Err() == nil {
		s, err := dial(ctx, l.key)
		w.mu.Lock()
		if err == nil && ctx.Err() == nil {
			w.opened(l, s)
		} else if ctx.Err() == nil {
			w.refused(l, err)
		}
		w.mu.Unlock()
		if err == nil {
			stop := context.AfterFunc(ctx, func() { s.Close() })
			err = l.read(s, w)
			stop()
			s.Close()
			w.mu.Lock()
			l.open, l.socket = false, nil
			if ctx.Err() == nil {
				w.refused(l, err)
			}
			w.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryOpen):
		}
	}
}

// read takes what comes until the socket is closed. All lines share one buffer, so that a waiting
// line costs no more than its stack.
func (l *line) read(s socket, w *Watcher) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			n, err := unix.Read(int(fd), w.buffer[:])
			switch err {
			case nil:
				w.received(l, w.buffer[:n])
			case unix.EAGAIN:
				return false
			case unix.EINTR, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EPROTO, unix.EMSGSIZE, unix.ENOPROTOOPT:
				// Errors of what was sent, told by ICMP: the peer may yet come.
			default:
				failed = err
			}
			return true
		})
		if err != nil {
			return err
		}
		if failed != nil {
			return fmt.Errorf("read from %s: %w", l.key.peer, failed)
		}
	}
}

// message finds the control message in what a raw socket gave.
func (l *line) message(b []byte) []byte {
	if l.key.peer.Addr().Is4() { // a raw IPv4 socket gives the IP header too
		if len(b) < l2tp.IPv4Len {
			return nil
		}
		b = b[min(len(b), int(b[0]&0xf)*4):]
	}
	if len(b) < l2tp.SessionIDLen || binary.BigEndian.Uint32(b) != 0 {
		return nil
	}
	return b[l2tp.SessionIDLen:]
}

// received gives a message to its tunnel, and answers it.
func (w *Watcher) received(l *line, b []byte) {
	m, err := control.Parse(l.message(b))
	if err != nil {
		l.strays++
		return
	}
	w.hear(l, &m)
}

func (w *Watcher) hear(l *line, m *control.Message) {
	t := l.tunnels[m.ID]
	if t == nil || m.Version != t.Version || m.Session != 0 {
		l.strays++
		return
	}
	t.hello.receive(time.Now(), m)
	w.step(t)
}

// send gives the kernel one message. What it refuses is lost like a message on the wire.
func (w *Watcher) send(l *line, b []byte) {
	if l.socket == nil {
		_ = w.sender.send(&l.key, b)
		return
	}
	raw, err := l.socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Write(func(fd uintptr) bool {
		_, _ = unix.Write(int(fd), b)
		return true
	})
}
