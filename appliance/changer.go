package appliance

import (
	"context"
	"errors"
	"time"
)

// changer is the one goroutine that changes tunnels, sessions and ports: what it finds does not change
// under it. It runs one change after the other, to its end: whoever asked for it may go away meanwhile.
type changer struct {
	queue   chan func()
	stopped chan struct{}
}

var errStopping = errors.New("xwire is stopping: nothing is changed any more")

func newChanger() changer {
	return changer{queue: make(chan func()), stopped: make(chan struct{})}
}

// run is the goroutine.
func (c *changer) run(ctx context.Context) error {
	defer close(c.stopped)
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-c.queue:
			f()
		}
	}
}

// do has f run in its turn and waits for it. An f whose turn has not come when ctx ends does not run.
func (c *changer) do(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	select {
	case c.queue <- func() { done <- f() }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return errStopping
	}
}

// after has f run in its turn, once a time has passed. stop takes that back, if it is not too late.
func (c *changer) after(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, func() {
		_ = c.do(context.Background(), func() error { f(); return nil })
	}).Stop
}
