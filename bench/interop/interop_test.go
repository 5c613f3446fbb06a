// Package interop holds xwire against the kernel's own L2TP. This machine's
// kernel may have none, so the tests run in a virtual machine.
package interop

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestKernel builds, inside one guest, a customer, an xwire and a kernel that
// speaks L2TP, with every pseudowire of the matrix up at once in one process:
//
//	customer c0 ── a0 xwire k0 ── core, MTU 1600 ── k0 kernel, a device for each session
//
// Each pseudowire has a VLAN of its own on the customer's port and none inside.
func TestKernel(t *testing.T) {
	c := vm.Config{Limit: 5 * time.Minute}
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		if err != nil {
			t.Fatal(err)
		}
		c.Env = []string{lab.BinaryEnv + "=" + binary}
	}
	if !vm.Inside(t, c) {
		return
	}
	w := newWorld(t)
	t.Run("matrix", w.testMatrix)
	t.Run("cookie mismatch", w.testMismatch)
	t.Run("xwire's own address", w.testOwnAddress)
	t.Run("stop", w.testStop)
}

const coreMTU = 1600

// circuit is one pseudowire and the names and addresses around it.
type circuit struct {
	lab.Pseudowire
	vlan              uint16
	near, far         string // devices: the customer's VLAN and the kernel's session
	nearAddr, farAddr netip.Prefix
	kernel            lab.KernelSession
}

type world struct {
	customer, xwire, kernel *lab.Namespace
	box                     *lab.Box
	control                 *api.Client
	matrix, mismatch        []*circuit
}

func newWorld(t *testing.T) *world {
	l, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &world{}
	for _, n := range []struct {
		role string
		ns   **lab.Namespace
	}{{"customer", &w.customer}, {"xwire", &w.xwire}, {"kernel", &w.kernel}} {
		if *n.ns, err = l.Namespace(n.role); err != nil {
			t.Fatal(err)
		}
	}
	must(t, l.Connect(
		lab.End{Namespace: w.customer, Name: "c0", Plain: true},
		lab.End{Namespace: w.xwire, Name: "a0"}))
	must(t, l.Connect(
		lab.End{Namespace: w.xwire, Name: "k0", MTU: coreMTU, Addrs: prefixes("192.0.2.1/24", "2001:db8::1/64")},
		lab.End{Namespace: w.kernel, Name: "k0", MTU: coreMTU, Plain: true, Addrs: prefixes("192.0.2.2/24", "2001:db8::2/64")}))

	w.matrix, w.mismatch = matrix(), mismatches()
	config := "[port.core]\ninterface = \"k0\"\n[port.access]\ninterface = \"a0\"\n"
	for _, c := range append(w.matrix, w.mismatch...) {
		config += c.TOML()
		must(t, w.customer.AddVLAN(lab.VLAN{Name: c.near, Parent: "c0", ID: c.vlan, Addrs: []netip.Prefix{c.nearAddr}}))
		tunnel, session := c.KernelPeer(c.far, 1500, c.farAddr)
		session.TxCookie, session.RxCookie = c.kernel.TxCookie, c.kernel.RxCookie
		must(t, w.kernel.AddKernelTunnel(tunnel))
		must(t, w.kernel.AddKernelSession(session))
		// Neighbour and multicast reports would disturb the counters.
		must(t, w.customer.SetSysctl("net/ipv6/conf/"+c.near+"/disable_ipv6", "1"))
		must(t, w.kernel.SetSysctl("net/ipv6/conf/"+c.far+"/disable_ipv6", "1"))
		c.kernel = session
	}
	binary, err := lab.Build(t.Context(), "", false)
	must(t, err)
	w.box, err = w.xwire.Box(binary)
	must(t, err)
	must(t, w.box.Start(t.Context(), config))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("xwire printed:\n%s", w.box.Process().Output())
		}
	})
	w.control = api.NewClient(w.box.Control)
	w.waitUp(t)
	return w
}

// waitUp waits until every session has a next hop.
func (w *world) waitUp(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		sessions, err := w.control.Sessions(ctx, api.SessionQuery{})
		must(t, err)
		waiting := ""
		for _, s := range sessions {
			if s.State != "up" {
				waiting = fmt.Sprintf("%s/%s is %s: %s", s.Tunnel, s.Name, s.State, s.Reason)
			}
		}
		if waiting == "" && len(sessions) == len(w.matrix)+len(w.mismatch) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d sessions; %s", len(sessions), waiting)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// session reads one session's state from xwire. Starting the command for it would
// take half a second in the guest.
func (w *world) session(t *testing.T, c *circuit) api.Session {
	t.Helper()
	s, err := w.control.Session(t.Context(), c.Name+"/"+c.Name, false)
	must(t, err)
	return s
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
