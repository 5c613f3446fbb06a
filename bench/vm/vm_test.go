package vm

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"xwire/bench/lab"
)

func TestRun(t *testing.T) {
	r, err := Run(t.Context(), Config{
		Command: []string{"/bin/sh", "-c", `echo "$0 $1 $X"; uname -r; cat /etc/os-release >/dev/null && touch /mnt/tmp/x && ! touch /etc/x; exit 7`, "it's", "a b"},
		Env:     []string{"X=$HOME 'q'"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first output after %v, off after %v", r.Boot, r.Total)
	if r.Status != 7 || !strings.HasPrefix(string(r.Output), "it's a b $HOME 'q'\n") {
		t.Fatalf("status %d, output %q; console:\n%s", r.Status, r.Output, r.Console)
	}
	if strings.Contains(r.Console, "insmod ") || strings.Contains(r.Console, "mount of") {
		t.Errorf("console:\n%s", r.Console)
	}
}

func TestRunTooLong(t *testing.T) {
	_, err := Run(t.Context(), Config{Command: []string{"sleep", "1000"}, Limit: 5 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "longer than 5s") || !strings.Contains(err.Error(), "console:") {
		t.Fatalf("error %v", err)
	}
}

// TestGuest proves the guest as a lab: the kernel's L2TP on both sides of a veth
// pair, and cards that find each other.
func TestGuest(t *testing.T) {
	wires := []Wire{NewWire(0, IGB, 0), NewWire(1, Virtio, 2)}
	if !Inside(t, Config{Wires: wires}) {
		return
	}
	l, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Run("kernel L2TP", func(t *testing.T) { kernelToKernel(t, l) })
	for _, w := range wires {
		t.Run(string(w.Model), func(t *testing.T) { cardToCard(t, l, w) })
	}
}

func kernelToKernel(t *testing.T, l *lab.Lab) {
	var ns [2]*lab.Namespace
	for i, role := range []string{"k0", "k1"} {
		n, err := l.Namespace(role)
		if err != nil {
			t.Fatal(err)
		}
		ns[i] = n
	}
	outer := []string{"192.0.2.1", "192.0.2.2"}
	err := l.Connect(
		lab.End{Namespace: ns[0], Name: "core", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix(outer[0] + "/24")}},
		lab.End{Namespace: ns[1], Name: "core", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix(outer[1] + "/24")}})
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{"01020304", "1112131415161718"}
	for i, n := range ns {
		port := netip.MustParseAddr
		err := n.AddKernelTunnel(lab.KernelTunnel{ID: uint32(1 + i), PeerID: uint32(2 - i),
			Local:  netip.AddrPortFrom(port(outer[i]), 1701),
			Remote: netip.AddrPortFrom(port(outer[1-i]), 1701)})
		if err != nil {
			t.Fatal(err)
		}
		err = n.AddKernelSession(lab.KernelSession{Tunnel: uint32(1 + i), ID: uint32(10 + i), PeerID: uint32(11 - i),
			Name: "pw", TxCookie: cookies[i], RxCookie: cookies[1-i], Sublayer: "default", MTU: 1500,
			Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), 24)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range ns {
		p, err := n.Ping(t.Context(), netip.AddrFrom4([4]byte{10, 0, 0, byte(2 - i)}), lab.PingConfig{Count: 5, Size: 1472, DontFragment: true, Timeout: time.Minute})
		if err != nil || p.Lost() != 0 {
			t.Fatalf("ping from %s: %+v, %v", n.Name(), p, err)
		}
	}
	stats, err := ns[1].KernelStats(2, 11)
	if err != nil || stats.RxPackets < 10 || stats.TxPackets < 10 || stats.RxCookieDiscards != 0 {
		t.Fatalf("counters %+v, %v", stats, err)
	}
}

func cardToCard(t *testing.T, l *lab.Lab, w Wire) {
	var ns [2]*lab.Namespace
	for i := range ns {
		n, err := l.Namespace(string(w.Model) + []string{"0", "1"}[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := n.TakeCard(w.Ends[i], "nic"); err != nil {
			t.Fatal(err)
		}
		ns[i] = n
	}
	for i, n := range ns {
		if err := n.SetLink("nic", true); err != nil {
			t.Fatal(err)
		}
		if err := n.AddAddr("nic", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), 24)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range ns {
		if err := n.WaitLink("nic", 2*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	p, err := ns[0].Ping(t.Context(), netip.AddrFrom4([4]byte{10, 0, 0, 2}), lab.PingConfig{Count: 20, Size: 1472, Timeout: 10 * time.Second})
	if err != nil || p.Lost() > 2 {
		t.Fatalf("ping: %+v, %v", p, err)
	}
}
