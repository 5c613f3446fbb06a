package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// notifySocket is the other side of systemd's sd_notify.
type notifySocket struct {
	path   string
	conn   *net.UnixConn
	ready  chan struct{}
	once   sync.Once
	status atomic.Pointer[string]
}

func listenNotify(path string) (*notifySocket, error) {
	os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for readiness: %w", err)
	}
	n := &notifySocket{path: path, conn: conn, ready: make(chan struct{})}
	go n.listen()
	return n, nil
}

// listen reads until the socket is closed.
func (n *notifySocket) listen() {
	b := make([]byte, 4096)
	for {
		got, err := n.conn.Read(b)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(b[:got])) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch {
			case key == "READY" && value == "1":
				n.once.Do(func() { close(n.ready) })
			case key == "STATUS":
				n.status.Store(&value)
			}
		}
	}
}

// wait returns nil at READY=1, or an error when done closes first.
func (n *notifySocket) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-n.ready:
		return nil
	case <-done:
		return errors.New("it ended before it was ready")
	case <-ctx.Done():
		return fmt.Errorf("not ready: %w", ctx.Err())
	}
}

func (n *notifySocket) Close() error { return n.conn.Close() }
