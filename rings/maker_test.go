package rings

import (
	"bytes"
	"slices"
	"testing"
)

// doubler sends every frame twice, as long as it has chunks for that.
type doubler struct {
	relay
	spares []uint64
	lacked int
}

func (d *doubler) Spares() int          { return len(d.spares) }
func (d *doubler) Supply(free []uint64) { d.spares = append(d.spares, free...) }

func (d *doubler) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	n := len(out)
	out = d.relay.Process(mem, in, now, out)
	for _, f := range slices.Clone(out[n:]) {
		if len(d.spares) == 0 {
			d.lacked++
			continue
		}
		addr := d.spares[len(d.spares)-1]
		d.spares = d.spares[:len(d.spares)-1]
		copy(mem[addr:], mem[f.Addr:f.Addr+uint64(f.Len)])
		f.Addr = addr
		out = append(out, f)
	}
	return out
}

func TestMaker(t *testing.T) {
	d := &doubler{}
	f := newFakeFabric(t, 0, FabricConfig{Workers: []WorkerConfig{{CPU: -1, Handler: d}}})
	var sent [][]byte
	in := f.port(PortConfig{Index: 0}, nil)
	out := f.port(PortConfig{Index: 1}, func(_ uint32, b []byte) { sent = append(sent, bytes.Clone(b)) })
	stop := start(t, f.Fabric)
	const frames = 1000
	for i := range uint64(frames) {
		to := byte(1)
		if i%10 == 9 {
			to = 0xff // dropped, twice
		}
		eventually(t, "room in the fill ring", func() bool { return in.Receive(0, frameTo(to, i)) })
	}
	settle(t, f.Fabric, in.Port, out.Port)
	if a := checkAudit(t, f.Fabric); a.Spare != len(d.spares) {
		t.Errorf("%d spare frames by the audit, the handler has %d", a.Spare, len(d.spares))
	}
	stop()
	checkEquation(t, in.Port, out.Port)
	if s := in.Status(); s.Injected != frames || s.Received != 2*frames+s.Drops[dropRxDropped] || s.Sent != 1800 || s.Returned != 200 || s.Held != 0 {
		t.Errorf("status %+v", s)
	}
	if len(sent) != 1800 || d.lacked != 0 {
		t.Errorf("%d frames sent, %d times no chunk", len(sent), d.lacked)
	}
}

func TestMakerThatLosesChunks(t *testing.T) {
	d := &doubler{}
	f := newFakeFabric(t, 0, FabricConfig{Workers: []WorkerConfig{{CPU: -1, Handler: d}}})
	in := f.port(PortConfig{Index: 0}, nil)
	start(t, f.Fabric)
	in.Receive(0, frameTo(0xff, 1))
	settle(t, f.Fabric, in.Port)
	f.workers[0].do(func() { d.spares = d.spares[1:] })
	if a := f.Audit(); len(a.Violations) == 0 {
		t.Error("the audit is content though the handler lost a spare chunk")
	}
}
