package scenarios

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// laterConfig adds a second access port with a session of its own, whose interface may be missing.
func laterConfig(i int) string {
	return pairConfig(i) + `
[port.later]
interface = "ac1"

[tunnel.t.session.later]
sid  = 300
psid = 300
l2spec_type = "none"
attach = "later"
vlan   = "all"
`
}

// later makes the second customers' links: site eth1, 10.1.0.1/24 and 10.1.0.2/24.
func (w *world) later(t *testing.T, i int) {
	t.Helper()
	must(t, w.lab.Connect(
		lab.End{Namespace: w.sites[i], Name: "eth1", Plain: true, Addrs: []netip.Prefix{netip.PrefixFrom(laterAddr[i], 24)}},
		lab.End{Namespace: w.hosts[i], Name: "ac1"}))
}

var laterAddr = [2]netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2")}

// A port whose interface is missing, comes, goes under traffic, comes again, goes down and up: the
// others forward all the time, the process stays, and systemd is told.
func TestLifePortComesAndGoes(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	w.later(t, 1)
	w.start(t, 1, laterConfig(1))
	b := w.boxes[0]
	launch(t, b, laterConfig(0)) // READY, although ac1 is missing
	const missing = "port later: interface ac1 is not there"
	told := func(want string) {
		t.Helper()
		until(t, "systemd is told: "+want, func() (bool, string) { return strings.Contains(b.Status(), want), b.Status() })
	}
	told(missing)
	portIs(t, b, "later", "waiting", "interface ac1 is not there")
	if s := sessionOf(t, b, "t/later"); s.State != "waiting" || !strings.Contains(s.Reason, missing) {
		t.Errorf("the port's session is %s: %s", s.State, s.Reason)
	}
	w.carries(t, "the others forward")
	stop := w.load(t, 2000)
	forwarding := func(what string) {
		t.Helper()
		alive(t, b)
		lossless(t, what, w.sites[0], siteAddr[1], lab.PingConfig{Count: 10})
	}

	w.later(t, 0)
	portIs(t, b, "later", "up", "")
	answers(t, "the late port carries", w.sites[0], laterAddr[1])
	told("all ports forward")
	forwarding("after a port was taken")

	deleted := make(chan struct{})
	go func() { // its customer sends when it goes
		defer close(deleted)
		w.sites[0].SendStream(t.Context(), "eth1", lab.Stream{Run: 3, Dst: make([]byte, 6), Src: []byte{2, 0, 0, 0, 0, 3}, Count: 1 << 20, Rate: 4000})
	}()
	time.Sleep(100 * time.Millisecond)
	must(t, w.hosts[0].DelLink("ac1"))
	<-deleted
	portIs(t, b, "later", "waiting", "interface ac1 is not there")
	told(missing)
	forwarding("after a port was deleted")
	w.later(t, 0)
	portIs(t, b, "later", "up", "")
	answers(t, "the port carries that was deleted", w.sites[0], laterAddr[1])

	for range 2 {
		must(t, w.hosts[0].SetLink("ac1", false))
		portIs(t, b, "later", "down", "ac1")
		told("port later: interface ac1")
		if s := sessionOf(t, b, "t/later"); s.State != "waiting" || !strings.Contains(s.Reason, "port later") {
			t.Errorf("the session of a port that is down is %s: %q", s.State, s.Reason)
		}
		forwarding("while a port is down")
		must(t, w.hosts[0].SetLink("ac1", true))
		portIs(t, b, "later", "up", "")
		answers(t, "the port carries that was down", w.sites[0], laterAddr[1])
	}

	// The core port too, made again under the same name.
	must(t, w.hosts[0].DelLink("core0"))
	portIs(t, b, "core0", "waiting", "interface core0 is not there")
	portIs(t, w.boxes[1], "core0", "waiting", "interface core0 is not there")
	var ends [2]lab.End
	for i := range ends {
		ends[i] = lab.End{Namespace: w.hosts[i], Name: "core0", MTU: 1600, Addrs: []netip.Prefix{netip.PrefixFrom(core4[i], 24)}}
	}
	must(t, w.lab.Connect(ends[0], ends[1]))
	w.carries(t, "the core port that was deleted")
	stop()
	for _, b := range w.boxes {
		alive(t, b)
		balanced(t, b)
	}
	must(t, b.Stop())
	clean(t, "no trace after the stop", w.hosts[0])
}

// start = "strict" demands all ports.
func TestLifeStrict(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	out := refused(t, w.boxes[0], "[appliance]\nstart = \"strict\"\n"+laterConfig(0))
	says(t, out, "strict", "port later: interface ac1 is not there")
	clean(t, "no trace after the refusal", w.hosts[0])
	w.later(t, 0)
	must(t, w.boxes[0].Restart(t.Context()))
	must(t, w.boxes[0].Stop())
}

// Another program on an interface is named, not replaced, and the port taken once it is gone.
func TestLifeForeignProgram(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	w.start(t, 1, pairConfig(1))
	foreign, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "guardian", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}}) // XDP_PASS
	must(t, err)
	defer foreign.Close()
	for _, c := range []struct {
		how    string
		attach func(index int) (detach func() error, err error)
	}{
		{"by a BPF link", func(index int) (func() error, error) {
			l, err := link.AttachXDP(link.XDPOptions{Program: foreign, Interface: index})
			if err != nil {
				return nil, err
			}
			return l.Close, nil
		}},
		{"by netlink", func(index int) (func() error, error) {
			off := func() error {
				return w.hosts[0].Run(func() error {
					l, err := netlink.LinkByIndex(index)
					if err != nil {
						return err
					}
					return netlink.LinkSetXdpFd(l, -1)
				})
			}
			l, err := netlink.LinkByIndex(index)
			if err != nil {
				return nil, err
			}
			return off, netlink.LinkSetXdpFd(l, foreign.FD())
		}},
	} {
		t.Run(c.how, func(t *testing.T) {
			index := linkState(t, w.hosts[0], "ac0").Index
			var detach func() error
			must(t, w.hosts[0].Run(func() (err error) {
				detach, err = c.attach(index)
				return err
			}))
			b := w.boxes[0]
			launch(t, b, pairConfig(0))
			p := portIs(t, b, "ac0", "waiting", `"guardian"`)
			t.Log(p.Reason)
			if p := portOf(t, b, "core0"); p.State != "up" {
				t.Errorf("the other port is %s: %s", p.State, p.Reason)
			}
			if linkState(t, w.hosts[0], "ac0").Promisc != 0 {
				t.Error("a port that was refused is promiscuous")
			}
			must(t, detach())
			portIs(t, b, "ac0", "up", "")
			w.carries(t, "after the program left")
			must(t, b.Stop())
		})
	}
}

// Queues that the NIC's spreading overshoots are refused with the command that mends it; run, it
// mends it. When the number of queues changes later, the port follows.
func TestLifeQueues(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{Queues: 2})
	b := w.boxes[0]
	config := strings.Replace(pairConfig(0), accessPort, accessPort+"queues = [0]\n", 1)
	out := refused(t, b, "[appliance]\nstart = \"strict\"\n"+config)
	says(t, out, "ac0", "ethtool -L ac0 rx 1")

	launch(t, b, config)
	p := portIs(t, b, "ac0", "waiting", "ethtool -L ac0 rx 1")
	t.Log(p.Reason)
	// As told; the other end is the customer's.
	_, err := w.sites[0].Command("ethtool", "-L", "eth0", "tx", "1")
	must(t, err)
	_, err = w.hosts[0].Command("ethtool", "-L", "ac0", "rx", "1")
	must(t, err)
	portIs(t, b, "ac0", "up", "")
	w.start(t, 1, pairConfig(1))
	w.carries(t, "with the queue chosen")

	// All queues, and then more of them.
	must(t, b.Stop())
	launch(t, b, pairConfig(0))
	if n := len(portIs(t, b, "ac0", "up", "").Queues); n != 1 {
		t.Errorf("port ac0 has %d queues, want 1", n)
	}
	_, err = w.hosts[0].Command("ethtool", "-L", "ac0", "rx", "2")
	must(t, err)
	until(t, "the new queue is taken", func() (bool, string) {
		p := portOf(t, b, "ac0")
		return p.State == "up" && len(p.Queues) == 2, p.Reason
	})
	w.carries(t, "with both queues")
	balanced(t, b)
}

// A file without ports takes nothing that was not named.
func TestLifeNoPorts(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	config := strings.NewReplacer(corePort, "", accessPort, "", "attach = \"ac0\"\n", "", "vlan   = \"all\"\n", "interface_name = \"cust0\"\n").Replace(pairConfig(0))
	out := refused(t, w.boxes[0], config)
	says(t, out, "no [port.NAME]", "--auto-ports")
	clean(t, "no trace after the refusal", w.hosts[0])

	// The route's interface is taken, and another one when the route moves there.
	b := w.boxes[0]
	b.Args = append(b.Args, "--auto-ports")
	launch(t, b, config)
	if p := portIs(t, b, "core0", "up", ""); p.Interface != "core0" {
		t.Errorf("the port taken is %+v", p)
	}
	waitsFor(t, b, "t", "resolved", "")
	// The trunk of local interfaces is a port like others to those who look.
	portIs(t, b, "trunk", "up", "")
	client := api.NewClient(b.Control)
	if v, err := client.TraceFrame(t.Context(), api.TraceRequest{Port: "trunk", Frame: strings.Repeat("02", 60)}); err != nil || v.Port != "trunk" || v.Reason != "no_attachment" {
		t.Errorf("a frame of no local interface: %+v, %v", v, err)
	}
	var captured strings.Builder
	if _, err := client.Capture(t.Context(), api.CaptureQuery{Of: "nothing"}, &captured); err == nil || captured.Len() != 0 {
		t.Errorf("capture of nothing: %v, %d bytes", err, captured.Len())
	}
	must(t, w.lab.Connect(
		lab.End{Namespace: w.hosts[0], Name: "core1", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}},
		lab.End{Namespace: w.hosts[1], Name: "core1", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.2/24")}}))
	must(t, w.route(0, core4[1].String()+"/32", "198.51.100.2", "core1"))
	portIs(t, b, "core1", "up", "")
	until(t, "the tunnel leaves by core1", func() (bool, string) {
		h := hopOf(t, b, "t")
		return h.State == "resolved" && h.Port == "core1", fmt.Sprintf("%+v", h)
	})
	if err := b.Stop(); err != nil {
		t.Error(errors.Unwrap(err))
	}
	clean(t, "no trace after the stop", w.hosts[0])
}
