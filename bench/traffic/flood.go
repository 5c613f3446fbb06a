package traffic

import (
	"context"
	"errors"
	"time"
)

// Flood is a generator that sends beside its caller, who must end it.
type Flood struct {
	stop  context.CancelFunc
	ended chan struct{}
	err   error // once ended
}

// beginPoll is how often is looked whether a generator has begun.
const beginPoll = time.Millisecond

// Begin has the generator send a load, whose limit has no meaning, and returns once its first frame is out: that
// takes some 30 ms, and as long as a busy machine likes.
func (g *Generator) Begin(ctx context.Context, l Load) (*Flood, error) {
	if err := g.set(l); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	f := &Flood{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		f.err = g.send(ctx, l)
	}()
	for {
		if err := f.Wait(ctx, beginPoll); err != nil {
			return nil, errors.Join(err, f.End())
		}
		n, err := g.Generated()
		if err != nil {
			return nil, errors.Join(err, f.End())
		}
		if n > 0 {
			return f, nil
		}
	}
}

// Wait lets some time of the flood go by.
func (f *Flood) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.ended:
		return errors.New("the generator ended early")
	case <-time.After(d):
		return nil
	}
}

// End ends the flood, and tells what went wrong in it.
func (f *Flood) End() error {
	f.stop()
	<-f.ended
	return f.err
}
