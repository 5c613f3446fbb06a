package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestQueuesOfVeth(t *testing.T) {
	veth(t)
	h := open(t, t.TempDir())
	for _, c := range []struct {
		name   string
		queues []uint32
		want   string // in the error; empty: none
	}{
		{"all by default", nil, ""},
		{"all named", []uint32{3, 1, 0, 2}, ""},
		{"two of four", []uint32{0, 1}, "ethtool -L ha rx 2 && ethtool -L hb tx 2"},
		{"the upper two", []uint32{2, 3}, "0 to 1"},
		{"one that is not there", []uint32{0, 4}, "queue 4 is not there, it has 4: 0 to 3"},
		{"one twice", []uint32{1, 1}, "twice"},
	} {
		_, err := h.Plan(Request{Interface: "ha", Role: Core, Queues: c.queues})
		var refused *QueueError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want a QueueError with %q", c.name, err, c.want)
		}
	}

	run(t, "ethtool -L ha rx 2")
	p, err := h.Plan(Request{Interface: "ha", Role: Core, Queues: []uint32{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "ethtool -L hb tx 2") {
		t.Errorf("warnings %q, want one on the TX queues of the other end", p.Warnings)
	}
	run(t, "ethtool -L hb tx 2")
	if p = plan(t, h, "ha"); len(p.Warnings) != 0 {
		t.Errorf("warnings %q, want none", p.Warnings)
	}
}

func TestOvershoot(t *testing.T) {
	table := []uint32{0, 1, 2, 3, 0, 1, 2, 3}
	for _, c := range []struct {
		chosen, over []uint32
		command      string
	}{
		{[]uint32{0, 1, 2, 3}, nil, "ethtool -X ens1f0 equal 4"},
		{[]uint32{0, 1}, []uint32{2, 3}, "ethtool -X ens1f0 equal 2"},
		{[]uint32{2, 3}, []uint32{0, 1}, "ethtool -X ens1f0 start 2 equal 2"},
		{[]uint32{1, 3}, []uint32{0, 2}, "ethtool -X ens1f0 weight 0 1 0 1"},
		{[]uint32{5}, []uint32{0, 1, 2, 3}, "ethtool -X ens1f0 start 5 equal 1"},
	} {
		if got := overshoot(table, c.chosen); !slices.Equal(got, c.over) {
			t.Errorf("overshoot of %v = %v, want %v", c.chosen, got, c.over)
		}
		if got := equalCommand("ens1f0", c.chosen); got != c.command {
			t.Errorf("command for %v = %q, want %q", c.chosen, got, c.command)
		}
	}
}

func TestNICFeatures(t *testing.T) {
	veth(t)
	h := open(t, t.TempDir())
	strip := nicFeatures[0]
	for _, c := range []struct {
		name              string
		is                feature
		changes, warnings int
	}{
		{"on", feature{changeable: true, wanted: true, active: true}, 1, 0},
		{"off", feature{changeable: true}, 0, 0},
		{"fixed on", feature{active: true}, 0, 1},
		{"fixed off", feature{}, 0, 0},
		{"on although nobody wants it", feature{changeable: true, active: true}, 0, 1},
		{"wanted, but off for lack of another", feature{changeable: true, wanted: true}, 1, 0},
	} {
		var p Plan
		h.switchOff("ha", strip.name, c.is, strip, &p)
		if len(p.Changes) != c.changes || len(p.Warnings) != c.warnings {
			t.Errorf("%s: plan = %+v, want %d changes and %d warnings", c.name, p, c.changes, c.warnings)
		}
	}
}

// TestPeerElsewhere has the other end in a namespace with a name, and in one without.
func TestPeerElsewhere(t *testing.T) {
	newNetns(t)
	name := fmt.Sprintf("xwire-host-%d", os.Getpid())
	run(t, "ip netns add "+name)
	t.Cleanup(func() { run(t, "ip netns del "+name) })
	run(t, "ip link add hc type veth peer name hd netns "+name)
	h := open(t, t.TempDir())

	p := plan(t, h, "hc")
	want := "ip netns exec " + name + " ethtool -K hd tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off"
	if len(p.Changes) != 0 || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], want) {
		t.Fatalf("plan = %+v, want one warning with %q", p, want)
	}
	withoutAdmin(t, func() {
		p := plan(t, h, "hc")
		if len(p.Changes) != 0 || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "CAP_SYS_ADMIN") ||
			!strings.Contains(p.Warnings[0], "ip netns exec "+name+" ethtool -K NAME tx off") {
			t.Errorf("plan of one who may not look = %+v, want one warning that says so, with the command", p)
		}
	})
	run(t, strings.TrimSuffix(want, " tx-vlan-stag-hw-insert off"))
	rest := "ip netns exec " + name + " ethtool -K hd tx-vlan-stag-hw-insert off'; else what the stack there sends arrives without S-tags"
	if p = plan(t, h, "hc"); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], rest) {
		t.Errorf("warnings %q, want one of what is left: %q", p.Warnings, rest)
	}
	run(t, want)
	if p = plan(t, h, "hc"); len(p.Warnings) != 0 {
		t.Errorf("warnings %q after the command was run", p.Warnings)
	}

	// A namespace that only a process holds.
	run(t, "ip link add hf type veth peer name hg")
	holder := startElsewhere(t)
	run(t, fmt.Sprintf("ip link set hg netns %d", holder))
	p = plan(t, h, "hf")
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "ethtool -K NAME tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off") {
		t.Errorf("warnings %q, want one with the command", p.Warnings)
	}
}

func TestTap(t *testing.T) {
	newNetns(t)
	run(t, "ip tuntap add dev ht mode tap vnet_hdr multi_queue")
	run(t, "ip tuntap add dev hp mode tap")
	run(t, "ip tuntap add dev hu mode tun")
	h := open(t, t.TempDir())
	if p := plan(t, h, "ht"); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "vnet_hdr=off") {
		t.Errorf("warnings %q, want one on vnet_hdr", p.Warnings)
	}
	if p := plan(t, h, "hp"); len(p.Warnings) != 0 || len(p.Changes) != 0 {
		t.Errorf("plan = %+v, want nothing", p)
	}
	if _, err := h.Plan(Request{Interface: "ht", Role: Access, Queues: []uint32{1}}); err == nil {
		t.Error("queue 1 of a tap with one queue: no error")
	}
	for _, name := range []string{"hu", "lo"} {
		if _, err := h.Plan(Request{Interface: name, Role: Core}); err == nil || !strings.Contains(err.Error(), "no Ethernet") {
			t.Errorf("plan for %s: %v, want an error that it carries no Ethernet", name, err)
		}
	}
}

func TestInfo(t *testing.T) {
	veth(t)
	run(t, "ip link set ha address 02:00:00:00:00:07 mtu 1600 up")
	h := open(t, t.TempDir())
	i, err := h.Info("ha")
	if err != nil {
		t.Fatal(err)
	}
	peer, err := h.Info("hb")
	if err != nil {
		t.Fatal(err)
	}
	want := InterfaceInfo{
		Name: "ha", Ifindex: i.Ifindex, Kind: "veth", Driver: "veth", MAC: [6]byte{2, 0, 0, 0, 0, 7}, MTU: 1600, Up: true, Ethernet: true,
		RxQueues: 4, TxQueues: 4, NUMANode: -1, Speed: 10000, Peer: Peer{Name: "hb", Ifindex: peer.Ifindex, NetNsID: -1},
	}
	if i != want {
		t.Errorf("Info = %+v, want %+v", i, want)
	}
	if same, err := h.InfoByIndex(i.Ifindex); err != nil || same != i {
		t.Errorf("InfoByIndex = %+v, %v, want the same", same, err)
	}
	if lo, err := h.Info("lo"); err != nil || lo.Driver != "" || lo.Peer.Ifindex != 0 {
		t.Errorf("Info(lo) = %+v, %v", lo, err)
	}
	if _, err := h.Info("nothere"); err == nil {
		t.Error("an interface that is not there: no error")
	}
}
