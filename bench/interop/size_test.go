package interop

import (
	"fmt"
	"testing"

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
	until(t, "xwire notices", func() (bool, string) {
		tunnels, err := w.control.Tunnels(t.Context())
		must(t, err)
		for _, x := range tunnels {
			if x.PathMTU != 1500 {
				return false, fmt.Sprintf("the path of tunnel %s has an MTU of %d", x.Name, x.PathMTU)
			}
		}
		return true, ""
	})
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
