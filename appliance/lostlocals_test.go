package appliance

import (
	"net"
	"strings"
	"testing"
	"time"
)

const localsText = `
[port.core0]
interface = "core0"
[tunnel.t]
encap = "ip"
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 1
ptid = 1
[tunnel.t.session.a]
sid = 1
psid = 1
l2spec_type = "none"
interface_name = "cust0"
[tunnel.t.session.b]
sid = 2
psid = 2
l2spec_type = "none"
interface_name = "cust1"
`

func core(t *testing.T) {
	t.Helper()
	command(t, "ip link add core0 type veth peer name far0")
	command(t, "ip link set core0 up")
	command(t, "ip link set far0 up")
	command(t, "ip addr add 192.0.2.1/24 dev core0")
}

func isThere(name string) func() bool {
	return func() bool { _, err := net.InterfaceByName(name); return err == nil }
}

// A local interface that somebody deletes comes back, and its session tells while it does not.
func TestDeletedLocalInterface(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	_, log, stop := launch(t, localsText)
	command(t, "ip link set cust0 up")
	before, err := net.InterfaceByName("cust0")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // what stands for a second is the operator's
	command(t, "ip link del cust0")
	until(t, "cust0 is back", func() bool { n, err := net.InterfaceByName("cust0"); return err == nil && n.Flags&net.FlagUp != 0 })
	if n, err := net.InterfaceByName("cust0"); err != nil || n.HardwareAddr.String() != before.HardwareAddr.String() || n.MTU != before.MTU {
		t.Errorf("cust0 = %+v (%v), want it as before: %+v", n, err, before)
	}
	until(t, "it is logged", func() bool { return log.count("local interface was deleted: it is made again") == 1 })
	// With the trunk under it.
	command(t, "ip link del cust1")
	command(t, "ip link del xw-port")
	until(t, "the trunk is back", isThere("xw-port"))
	until(t, "cust1 is back", isThere("cust1"))
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !isThere("cust1")() {
		t.Error("the stop took cust1 along")
	}
}

// While the name is taken, the session says so, and not every second in the log.
func TestDeletedLocalInterfaceNameTaken(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	a, log, _ := launch(t, localsText)
	a.mu.Lock() // the supervisor waits
	command(t, "ip link del cust1")
	command(t, "ip link add cust1 type bridge")
	a.mu.Unlock()
	reason := func() string { s, _ := a.Session("t", "b", false); return s.Reason }
	until(t, "the session tells", func() bool { return strings.Contains(reason(), "cust1: the name is taken") })
	time.Sleep(2 * retryPort)
	if n := log.count("does not come back"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	command(t, "ip link del cust1")
	until(t, "cust1 is ours again", func() bool { return !strings.Contains(reason(), "cust1") })
	if !isThere("cust1")() {
		t.Error("cust1 is not there")
	}
}
