package interop

import (
	"testing"
	"time"

	"xwire/bench/lab"
)

// testSmallCore takes the room for the headers from the core: from then on 1500-byte customers' full
// frames go both ways in outer fragments, and none is lost.
func (w *world) testSmallCore(t *testing.T) {
	for _, ns := range []*lab.Namespace{w.xwire, w.kernel} {
		if out, err := ns.Command("ip", "link", "set", "k0", "mtu", "1500"); err != nil {
			t.Fatalf("set the core's MTU: %v\n%s", err, out)
		}
	}
	time.Sleep(2 * time.Second) // for xwire to notice
	for _, c := range w.matrix {
		t.Run(c.Name, func(t *testing.T) {
			before, kernelBefore := w.session(t, c), w.kernelStats(t, c)
			const frames = 120
			carry(t, w.customer, c.near, w.kernel, c.far, uint64(c.vlan)+2000, frames)
			carry(t, w.kernel, c.far, w.customer, c.near, uint64(c.vlan)+3000, frames)
			sessionAgrees(t, w, c, before, kernelBefore, frames)
		})
	}
}
