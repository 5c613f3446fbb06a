// Package interop holds xwire against the kernel's own L2TP. This machine's
// kernel may have none, so the tests run in a virtual machine.
package interop

import (
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
	var c vm.Config
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
	t.Run("small core", w.testSmallCore)
	t.Run("cookie rollover", w.testRollover)
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
	w := newNamespaces(t)
	w.matrix, w.mismatch = matrix(), mismatches()
	config := ports
	for _, c := range append(w.matrix, w.mismatch...) {
		config += c.TOML()
		w.addCircuit(t, c)
	}
	w.run(t, config)
	return w
}

// patience is how long a test waits for what takes a moment on an idle machine: the guest's CPUs are emulated,
// and the host's may have other things to do.
const patience = 2 * time.Minute

// until waits for a condition; why tells what is missing.
func until(t *testing.T, what string, ok func() (now bool, why string)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		now, why := ok()
		if now {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %s", what, patience, why)
		}
	}
}

// waitUp waits until every session has a next hop.
func (w *world) waitUp(t *testing.T) {
	t.Helper()
	until(t, "all sessions are up", func() (bool, string) {
		sessions, err := w.control.Sessions(t.Context(), api.SessionQuery{})
		must(t, err)
		for _, s := range sessions {
			if s.State != "up" {
				return false, fmt.Sprintf("%s/%s is %s: %s", s.Tunnel, s.Name, s.State, s.Reason)
			}
		}
		return len(sessions) == len(w.matrix)+len(w.mismatch), fmt.Sprintf("there are %d", len(sessions))
	})
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
