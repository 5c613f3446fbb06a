package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// notifySocket is the other side of systemd's sd_notify.
type notifySocket struct {
	path string
	conn *net.UnixConn
}

func listenNotify(path string) (*notifySocket, error) {
	os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for readiness: %w", err)
	}
	return &notifySocket{path, conn}, nil
}

// wait returns nil at READY=1, or an error when done closes first.
func (n *notifySocket) wait(ctx context.Context, done <-chan struct{}) error {
	ready := make(chan error, 1)
	go func() {
		b := make([]byte, 4096)
		for {
			got, err := n.conn.Read(b)
			if err != nil {
				ready <- err
				return
			}
			for line := range strings.Lines(string(b[:got])) {
				if strings.TrimSpace(line) == "READY=1" {
					ready <- nil
					return
				}
			}
		}
	}()
	select {
	case err := <-ready:
		return err
	case <-done:
		return errors.New("it ended before it was ready")
	case <-ctx.Done():
		return fmt.Errorf("not ready: %w", ctx.Err())
	}
}

func (n *notifySocket) Close() error { return n.conn.Close() }
