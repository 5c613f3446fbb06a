package rings

import "testing"

// interleaved has another worker go round before each batch, as if on another CPU.
type interleaved struct {
	relay
	other *worker
}

func (i *interleaved) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	i.other.round(now)
	return i.relay.Process(mem, in, now, out)
}

// A round may have more for another worker than an inbox takes. That is no loss where the other
// keeps up: it is shown the frames while the round goes on.
func TestInboxIsShownDuringTheRound(t *testing.T) {
	f := newFakeFabric(t, 2, FabricConfig{Inbox: 64, Batch: 16})
	out := f.port(PortConfig{Index: 0, Workers: []int{0}, RingSize: 256}, nil)
	ports := []*Port{out.Port}
	for i := range uint16(8) {
		p := f.port(PortConfig{Index: 1 + i, Workers: []int{1}}, nil)
		ports = append(ports, p.Port)
		for range 16 {
			p.Receive(0, frameTo(0, 0))
		}
	}
	w := f.workers[1]
	w.handler = &interleaved{other: f.workers[0]}
	w.round(1)
	f.workers[0].round(1)
	f.workers[0].round(1)
	f.workers[0].round(1)
	f.workers[0].round(1)
	if n := out.Status().Transmitted; n != 128 {
		t.Errorf("%d frames of 128 sent, %v", n, ports[8].Status().Drops)
	}
	checkEquation(t, ports...)
	checkAudit(t, f.Fabric)
}
