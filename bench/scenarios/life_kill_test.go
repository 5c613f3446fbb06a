package scenarios

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"xwire/bench/lab"
)

// stackPort is a port that needs settings changed: the other end of its veth is on the host itself.
const stackPort = "[port.ac1]\ninterface = \"ac1\"\n"

const stackSession = `
[tunnel.t.session.stack]
sid  = 9
psid = 9
l2spec_type = "none"
attach = "ac1"
vlan   = "all"
`

// The host's own traffic on a core port goes on while it forwards under load, when the process is
// killed, while it is dead and when it comes back; and a kill leaves nothing that frames would
// fall into.
func TestLifeKill(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	host := w.hosts[0]
	must(t, w.lab.Connect(lab.End{Namespace: host, Name: "ac1"}, lab.End{Namespace: host, Name: "stack1"}))
	const checksum = "tx-checksumming"
	if f := features(t, host, "stack1"); f[checksum] != "on" {
		t.Fatalf("%s of stack1 is %s before the start", checksum, f[checksum])
	}
	b := w.start(t, 0, stackPort+pairConfig(0)+stackSession)
	w.start(t, 1, pairConfig(1))
	ssh := newTalk(t, w.hosts[1], host, core4[0])
	stop := w.load(t, 8000)

	bulk := make(chan error, 1)
	go func() {
		// Spread over the life of the process and beyond.
		r, err := lab.Transfer(t.Context(), w.hosts[1], host, core4[0], lab.TransferConfig{Bytes: 32 << 20,
			Progress: func(int64) { time.Sleep(20 * time.Millisecond) }})
		if err == nil && !r.Whole() {
			t.Errorf("the transfer to the box was damaged: %+v", r)
		}
		bulk <- err
	}()
	neighbours := func(what string) {
		t.Helper()
		// Of the kernel's own table: whoever pings now must ask for the MAC.
		_, err := w.hosts[1].Command("ip", "neigh", "flush", "dev", "core0")
		must(t, err)
		lossless(t, what, w.hosts[1], core4[0], lab.PingConfig{Count: 20})
		lossless(t, what, w.hosts[1], core6[0], lab.PingConfig{Count: 20})
		ssh.say(t, what, 20)
	}

	t.Run("the host's traffic beside load", func(t *testing.T) {
		before := sessionOf(t, b, "t/s")
		neighbours("while the box forwards")
		after := sessionOf(t, b, "t/s")
		if after.TxPackets-before.TxPackets < 100 || after.RxPackets-before.RxPackets < 100 {
			t.Errorf("the box forwarded %d and %d frames meanwhile", after.TxPackets-before.TxPackets, after.RxPackets-before.RxPackets)
		}
	})
	if f := features(t, host, "stack1"); f[checksum] != "off" {
		t.Errorf("%s of stack1 is %s while the port is ours, want off", checksum, f[checksum])
	}
	if p := linkState(t, host, "ac0").Promisc; p == 0 {
		t.Error("the access port is not promiscuous")
	}

	b.Kill()
	clean(t, "no trace after the kill", host)
	neighbours("after the kill")
	if _, err := os.Stat(b.Control); err != nil {
		t.Errorf("a killed process took its socket file along, so this test holds nothing: %v", err)
	}

	start := time.Now()
	must(t, b.Restart(t.Context()))
	t.Logf("ready again after %v", time.Since(start).Round(time.Millisecond))
	w.carries(t, "traffic after the next start")
	neighbours("after the next start")
	p := portOf(t, b, "ac1")
	if len(p.Changes) > 0 && !strings.Contains(p.Changes[0], "stack1") {
		t.Errorf("port ac1 lists changes %v", p.Changes)
	}

	// Killed again, and started without the port: what was changed for it is put back then.
	b.Kill()
	launch(t, b, pairConfig(0))
	if f := features(t, host, "stack1"); f[checksum] != "on" {
		t.Errorf("%s of stack1 is %s after a start without its port, want on", checksum, f[checksum])
	}
	b.Kill()
	launch(t, b, stackPort+pairConfig(0)+stackSession)
	waitUp(t, b)
	stop()
	if err := <-bulk; err != nil {
		t.Errorf("a transfer to the box that ran all the time: %v", err)
	}
	balanced(t, b)
	must(t, b.Stop())
	clean(t, "no trace after the stop", host)
	if f := features(t, host, "stack1"); f[checksum] != "on" {
		t.Errorf("%s of stack1 is %s after the stop, want on", checksum, f[checksum])
	}
	lossless(t, "after the stop", w.hosts[1], core4[0], lab.PingConfig{Count: 3})
}

// A core port whose MAC changes goes on taking tunnel packets, also when no tunnel leaves by it.
func TestLifeCoreMACChanges(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	must(t, w.lab.Connect(
		lab.End{Namespace: w.hosts[0], Name: "core1", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}},
		lab.End{Namespace: w.hosts[1], Name: "core1", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.2/24")}}))
	for i := range w.hosts {
		for _, name := range []string{"all", "core0", "core1"} {
			must(t, w.hosts[i].SetSysctl("net/ipv4/conf/"+name+"/rp_filter", "0"))
		}
		w.start(t, i, pairConfig(i)+"[port.core1]\ninterface = \"core1\"\n")
	}
	// Box 0 sends by core1, and box 1 sends nothing by it.
	must(t, w.route(0, core4[1].String()+"/32", "198.51.100.2", "core1"))
	until(t, "next hop moves to core1", func() (bool, string) {
		h := hopOf(t, w.boxes[0], "t")
		return h.State == "resolved" && h.Port == "core1", h.Reason
	})
	w.carries(t, "traffic")
	must(t, w.hosts[1].SetSysctl("net/ipv4/conf/core1/arp_notify", "1"))
	time.Sleep(time.Second) // the kernel believes a neighbour's MAC for that long
	_, err := w.hosts[1].Command("ip", "link", "set", "core1", "address", "02:00:5e:00:00:0a")
	must(t, err)
	until(t, "next hop has the new MAC", func() (bool, string) {
		h := hopOf(t, w.boxes[0], "t")
		return h.Lladdr == "02:00:5e:00:00:0a", h.Lladdr
	})
	w.carries(t, "traffic to the new MAC")
	must(t, w.boxes[0].Stop())
}
