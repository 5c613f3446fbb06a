package rings

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// checkEquation fails unless every frame that the ports received went somewhere.
func checkEquation(t *testing.T, ports ...*Port) {
	t.Helper()
	for _, p := range ports {
		s := p.Status()
		sum := s.Sent + s.Held + s.Returned
		for _, n := range s.Drops {
			sum += n
		}
		if s.Received != sum {
			t.Errorf("port %d: received %d, but accounted for %d: %+v", s.Index, s.Received, sum, s)
		}
	}
}

func checkAudit(t *testing.T, f *Fabric) Audit {
	t.Helper()
	a := f.Audit()
	for _, v := range a.Violations {
		t.Errorf("audit: %s", v)
	}
	if sum := a.Pool + a.Held + a.Spare + a.Inbox + a.Fill + a.RX + a.Receiving + a.TX + a.Completion + a.Sending + a.Quarantine + a.Gathering + a.Tails; sum != a.Frames {
		t.Errorf("audit: %d of %d frames: %+v", sum, a.Frames, a)
	}
	return a
}

func TestAuditFindsWrongs(t *testing.T) {
	tests := []struct {
		name string
		harm func(f *fakeFabric)
		want string
	}{
		{"frame free twice", func(f *fakeFabric) {
			c := &f.workers[0].cache
			c.frames[0] = c.frames[1]
		}, "was seen before"},
		{"frame lost", func(f *fakeFabric) { f.workers[0].cache.n-- }, "is lost"},
		{"frame in the fill ring and free", func(f *fakeFabric) {
			q := f.workers[0].queues[0]
			q.fill.entries[0] = uint64(f.workers[0].cache.frames[0]) << f.arena.shift
		}, "belongs to owner 0"},
		{"address outside", func(f *fakeFabric) { f.workers[0].queues[0].fill.entries[0] = math.MaxUint64 }, "outside the arena"},
		{"kernel kept one too many", func(f *fakeFabric) { f.workers[0].queues[0].receiving++ }, "were entrusted"},
		{"held by nobody", func(f *fakeFabric) { f.owners[f.workers[0].cache.frames[0]] = ownerHeld }, "belongs to owner 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeFabric(t, 1, FabricConfig{})
			f.port(PortConfig{Index: 0}, nil)
			f.workers[0].round(1)
			f.workers[0].cache.load()
			checkAudit(t, f.Fabric)
			tt.harm(f)
			if got := strings.Join(f.Audit().Violations, "; "); !strings.Contains(got, tt.want) {
				t.Errorf("violations %q, want one that has %q", got, tt.want)
			}
		})
	}
}

// cheat gives out what it does not have.
type cheat struct{ relay }

func (c *cheat) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	for _, f := range in {
		f.Out = NoPort
		out = append(out, f, f, Frame{Addr: math.MaxUint64, Out: 1})
	}
	return out
}

func TestHandlerThatCheatsIsFound(t *testing.T) {
	arena := newTestArena(t, ArenaConfig{Chunks: 16384})
	fabric, err := NewFabric(FabricConfig{Arena: arena, Workers: []WorkerConfig{{CPU: -1, Handler: &cheat{}}}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeFabric{fabric, t, arena}
	a := f.port(PortConfig{Index: 0}, nil)
	start(t, fabric)
	a.Receive(0, frameTo(1, 0))
	select {
	case e := <-f.Events():
		if e.Kind != Bug || !errors.Is(e.Err, errNotHeld) {
			t.Errorf("event %v: %v", e.Kind, e.Err)
		}
	case <-time.After(soon):
		t.Error("no event")
	}
	checkAudit(t, fabric)
}
