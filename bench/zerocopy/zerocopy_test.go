// Package zerocopy holds xwire over network cards whose drivers share frames
// with it: QEMU's igb and virtio-net, in a virtual machine.
package zerocopy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// patience is how long a test waits for what takes a moment on an idle machine: the guest's CPUs are emulated,
// and the host's may have other things to do.
const patience = 2 * time.Minute

// Two wires for each model: the customer's and the core's.
const (
	queues    = 2
	customers = 16 // pseudowires, each of its own address pair: receive-side scaling goes by these
	coreMTU   = 1600
)

var cards = []struct {
	model        vm.Model
	access, core vm.Wire
}{
	{vm.IGB, vm.NewWire(0, vm.IGB, queues), vm.NewWire(1, vm.IGB, queues)},
	{vm.Virtio, vm.NewWire(2, vm.Virtio, queues), vm.NewWire(3, vm.Virtio, queues)},
}

// TestZeroCopy joins a customer and a kernel that speaks L2TP through an xwire
// by emulated cards:
//
//	customer nic ══ access xwire core ══ nic kernel
func TestZeroCopy(t *testing.T) {
	var c vm.Config
	for _, w := range cards {
		c.Wires = append(c.Wires, w.access, w.core)
	}
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		must(t, err)
		c.Env = []string{lab.BinaryEnv + "=" + binary}
	}
	if !vm.Inside(t, c) {
		return
	}
	for _, w := range cards {
		t.Run(string(w.model), func(t *testing.T) { testCards(t, w.access, w.core) })
	}
}

func testCards(t *testing.T, access, core vm.Wire) {
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	w := world{}
	for _, n := range []struct {
		role string
		ns   **lab.Namespace
	}{{"customer", &w.customer}, {"xwire", &w.xwire}, {"kernel", &w.kernel}} {
		*n.ns, err = l.Namespace(n.role)
		must(t, err)
	}
	for _, c := range []struct {
		ns   *lab.Namespace
		mac  net.HardwareAddr
		name string
		mtu  int
	}{
		{w.customer, access.Ends[0], "nic", 1500}, {w.xwire, access.Ends[1], "access", 1500},
		{w.xwire, core.Ends[0], "core", coreMTU}, {w.kernel, core.Ends[1], "nic", coreMTU},
	} {
		must(t, c.ns.TakeCard(c.mac, c.name))
		must(t, c.ns.SetMTU(c.name, c.mtu))
		if access.Model == vm.Virtio {
			_, err := c.ns.Command("ethtool", "-L", c.name, "combined", fmt.Sprint(queues))
			must(t, err)
		}
		must(t, c.ns.SetLink(c.name, true))
	}
	w.start(t)
	t.Run("ports", w.testPorts)
	t.Run("both ways", w.testBothWays)
	t.Run("queues", w.testQueues)
	t.Run("every frame accounted for", w.testAccount)
	must(t, w.box.Stop())
}

type world struct {
	customer, xwire, kernel *lab.Namespace
	box                     *lab.Box
	wires                   []lab.Pseudowire
}

func (w *world) start(t *testing.T) {
	config := "[port.core]\ninterface = \"core\"\nmode = \"zerocopy\"\n" +
		"[port.access]\ninterface = \"access\"\nmode = \"zerocopy\"\n"
	for i := range customers {
		p := lab.Pseudowire{
			Name: fmt.Sprintf("pw%d", i), Sublayer: "default", TxCookie: "0102030405060708", RxCookie: "11121314",
			Local: core(1, i), Peer: core(2, i),
			TID: uint32(10 + i), PTID: uint32(110 + i), SID: uint32(210 + i), PSID: uint32(310 + i),
			Attach: "access", VLAN: fmt.Sprint(100 + i), PWVLAN: "none",
		}
		must(t, w.xwire.AddAddr("core", netip.PrefixFrom(p.Local.Addr(), 16)))
		must(t, w.kernel.AddAddr("nic", netip.PrefixFrom(p.Peer.Addr(), 16)))
		must(t, w.kernel.AddKernelPeer(p, p.Name, 1500))
		must(t, w.kernel.SetSysctl("net/ipv6/conf/"+p.Name+"/disable_ipv6", "1"))
		must(t, w.customer.AddVLAN(lab.VLAN{Name: p.Name, Parent: "nic", ID: uint16(100 + i)}))
		must(t, w.customer.SetSysctl("net/ipv6/conf/"+p.Name+"/disable_ipv6", "1"))
		config += p.TOML()
		w.wires = append(w.wires, p)
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
	// An igb resets its link when an XDP program comes.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !w.up(ctx, t) {
		select {
		case <-ctx.Done():
			out, _ := w.box.Run(t.Context(), "show", "tunnels", "--json")
			t.Fatalf("the sessions did not come up: %s", out)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// core is an address of an end of pseudowire i; the last bytes differ in many
// bits, for the sake of the cards' hashes.
func core(end, i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 99, byte(i * 37), byte(end + 2*i)}), 0)
}

func (w *world) up(ctx context.Context, t *testing.T) bool {
	control := api.NewClient(w.box.Control)
	sessions, err := control.Sessions(ctx, api.SessionQuery{})
	must(t, err)
	for _, s := range sessions {
		if s.State != "up" {
			return false
		}
	}
	ports, err := control.Ports(ctx)
	must(t, err)
	for _, p := range ports {
		if p.State != "up" {
			return false
		}
	}
	return len(sessions) == customers && len(ports) == 2
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
