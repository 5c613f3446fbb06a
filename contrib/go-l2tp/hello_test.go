package gol2tp

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/katalix/go-l2tp/l2tp"

	"xwire/appliance/liveness"
	wire "xwire/l2tp"
)

// ql2tpd is what the command of that name runs: a quiescent tunnel, here without a data plane.
type ql2tpd struct {
	ctx *l2tp.Context
	mu  sync.Mutex
	out bytes.Buffer
	log *Log
}

func (q *ql2tpd) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.out.Write(b)
}

func (q *ql2tpd) said(text string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return strings.Count(q.out.String(), text)
}

func startQl2tpd(t *testing.T, c l2tp.TunnelConfig) *ql2tpd {
	t.Helper()
	q := &ql2tpd{}
	q.log = &Log{To: slog.New(slog.NewTextHandler(q, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	var err error
	if q.ctx, err = l2tp.NewContext(nil, q.log); err != nil {
		t.Fatal(err)
	}
	if _, err := q.ctx.NewQuiescentTunnel("t", &c); err != nil {
		t.Fatal(err)
	}
	return q
}

// hearing stands in for xwire's steering program: all UDP of the namespace is handed up, and the kernel
// does not tell the sender that nobody has the port.
func hearing(ctx context.Context, t *testing.T, address string, receive func(packet []byte)) (done chan struct{}) {
	t.Helper()
	port, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.ListenPacket("ip4:17", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { port.Close(); raw.Close() })
	done = make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 2000); ; {
			n, _, _, _, err := raw.(*net.IPConn).ReadMsgIP(b, nil) // with the IP header
			if err != nil {
				return
			}
			receive(b[:n])
		}
	}()
	return done
}

// xwire and ql2tpd ask each other whether they are there, in both versions of L2TP.
func TestHelloWithQl2tpd(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ctx, stop := context.WithCancel(t.Context())
	take := func(netip.AddrPort, uint8, uint32, bool) error { return nil }
	w := liveness.New(liveness.Config{Take: take, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), OnChange: func(liveness.Change) {}})
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	heard := hearing(ctx, t, "127.0.0.1:1701", w.Receive)
	defer func() { stop(); <-done; <-heard }()
	state := func(want liveness.State) func() bool {
		return func() bool { s, _ := w.Status("t"); return s.State == want }
	}
	for _, version := range []uint8{3, 2} {
		far := l2tp.TunnelConfig{
			Local: "127.0.0.2:1701", Peer: "127.0.0.1:1701", Encap: l2tp.EncapTypeUDP, Version: l2tp.ProtocolVersion(version),
			TunnelID: 2, PeerTunnelID: 1,
		}
		near := liveness.Tunnel{
			Name: "t", Local: netip.MustParseAddrPort(far.Peer), Peer: netip.MustParseAddrPort(far.Local), TID: 1, PTID: 2, Version: version,
			Encap: wire.EncapUDP, Hello: 200 * time.Millisecond, Retry: 200 * time.Millisecond,
		}
		q := startQl2tpd(t, far)
		if err := w.Set(near); err != nil {
			t.Fatal(err)
		}
		until(t, "ql2tpd answers", state(liveness.Up))
		time.Sleep(time.Second)
		q.ctx.Close()
		until(t, "ql2tpd is gone", state(liveness.Down))

		// Its numbers begin anew, ours go on.
		q = startQl2tpd(t, far)
		until(t, "ql2tpd answers again", state(liveness.Up))
		if n := q.said("frame receive failed"); n > 0 {
			t.Errorf("L2TPv%d: ql2tpd could not read %d of our messages:\n%s", version, n, q.out.String())
		}
		q.ctx.Close()
		until(t, "ql2tpd is gone again", state(liveness.Down))
		w.Remove("t")

		// It asks, we only answer. In v0.1.8 no answer keeps the tunnel up: what counts is that it
		// reads ours.
		near.Hello = 0
		if err := w.Set(near); err != nil {
			t.Fatal(err)
		}
		far.HelloTimeout = 300 * time.Millisecond
		q = startQl2tpd(t, far)
		until(t, "we hear ql2tpd", func() bool { s, _ := w.Status("t"); return s.Received > 0 })
		until(t, "ql2tpd hears us", func() bool { return !q.log.heard("t").at.IsZero() })
		if n := q.said("frame receive failed"); n > 0 {
			t.Errorf("L2TPv%d: ql2tpd could not read %d of our answers:\n%s", version, n, q.out.String())
		}
		w.Remove("t")
		until(t, "the transport of v0.1.8 gives up", func() bool { return q.said("transport down") > 0 })
	}
}
