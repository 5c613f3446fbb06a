package appliance

import (
	"context"
	"sync"
	"time"

	"xwire/l2tp"
	"xwire/pw"
)

// oamPause is the least time between two VCCV messages that are logged: anyone who knows a cookie can
// send them.
const oamPause = 10 * time.Second

// hearOAM reads the VCCV messages that workers hand over, until ctx ends.
func (a *Appliance) hearOAM(ctx context.Context) error {
	var readers sync.WaitGroup
	for i := range a.workers {
		q := a.table.Forwarder(i).OAM()
		readers.Go(func() {
			buf := make([]byte, 0, pw.MaxOAM)
			for {
				select {
				case <-ctx.Done():
					return
				case <-q.Came():
				}
				for {
					m, ok := q.Take(buf)
					if !ok {
						break
					}
					a.oam(&m)
				}
			}
		})
	}
	readers.Wait()
	return nil
}

// oam is where VCCV messages of all workers arrive, and where those who answer a channel, BFD say
// (RFC 5885), are to take theirs. Nobody does yet. The message is gone when it returns.
func (a *Appliance) oam(m *pw.OAM) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if now.Sub(a.toldOAM) < oamPause {
		return
	}
	a.toldOAM = now
	v := l2tp.VCCV(m.Message)
	for s := range a.eachSession {
		switch {
		case !s.standing || s.id != m.Session:
		case v.Valid():
			a.log.Info("VCCV message of a channel that nothing here answers", "session", s.path(), "channel", v.Channel(), "bytes", len(v.Payload()))
			return
		default:
			a.log.Info("VCCV message of a version that is not known", "session", s.path(), "bytes", len(v))
			return
		}
	}
}
