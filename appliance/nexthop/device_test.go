package nexthop

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What VLAN devices over a port have for tags, whatever lies between.
func TestVLANsOverAPort(t *testing.T) {
	const up, down = unix.IFF_UP, 0
	vlan := func(parent int, vid uint16, flags uint32) link {
		return link{kind: "vlan", parent: parent, vlanProto: 0x8100, vlanID: vid, flags: flags}
	}
	service := func(parent int, vid uint16) link {
		return link{kind: "vlan", parent: parent, vlanProto: 0x88a8, vlanID: vid, flags: up}
	}
	away := vlan(1, 100, up)
	away.foreign = true
	for _, tt := range []struct {
		name  string
		links map[int]link
		want  string // of port 1
		other string // of port 2
	}{
		{"none", nil, "", ""},
		{"one", map[int]link{10: vlan(1, 100, up)}, "100", ""},
		{"of two ports", map[int]link{10: vlan(1, 100, up), 11: vlan(2, 100, up), 12: vlan(2, 7, up)}, "100", "7 100"},
		{"down", map[int]link{10: vlan(1, 100, down), 11: vlan(1, 101, up)}, "101", ""},
		{"over another interface", map[int]link{3: {flags: up}, 10: vlan(3, 100, up)}, "", ""},
		{"over one in another namespace, which has the number of our port there", map[int]link{10: away}, "", ""},
		{"over nothing that is known", map[int]link{10: vlan(99, 100, up)}, "", ""},
		{"service tag", map[int]link{10: service(1, 100), 11: vlan(1, 100, up)}, "100 s100", ""},
		{"stacked", map[int]link{10: service(1, 100), 11: vlan(10, 20, up)}, "s100 s100.20", ""},
		{"stacked on one that is down", map[int]link{10: vlan(1, 100, down), 11: vlan(10, 20, up)}, "", ""},
		{"three tags, which nobody reads", map[int]link{10: service(1, 100), 11: vlan(10, 20, up), 12: vlan(11, 5, up)}, "s100 s100.20", ""},
		{"for VLAN 0", map[int]link{10: vlan(1, 0, up), 11: vlan(10, 20, up)}, "20", ""},
		{"macvlan between", map[int]link{10: {kind: "macvlan", parent: 1, flags: up}, 11: vlan(10, 20, up), 12: vlan(1, 20, up)}, "20", ""},
		{"macvlan on top", map[int]link{10: vlan(1, 20, up), 11: {kind: "macvlan", parent: 10, flags: up}}, "20", ""},
		{"over a bond of both ports", map[int]link{1: {master: 20}, 2: {master: 20, slaveState: 1}, 20: {kind: "bond", flags: up}, 21: vlan(20, 100, up)}, "100", "100"},
		{"over a bridge", map[int]link{1: {master: 20}, 20: {kind: "bridge", flags: up}, 21: vlan(20, 100, up)}, "100", ""},
		{"port in a VRF", map[int]link{1: {master: 20}, 20: {kind: "vrf", flags: up}, 21: vlan(1, 100, up)}, "100", ""},
		{"a device that is a port itself", map[int]link{2: vlan(1, 100, up), 11: vlan(2, 20, up)}, "", "20"},
		{"a loop", map[int]link{10: vlan(11, 5, up), 11: {kind: "macvlan", parent: 10, flags: up}}, "", ""},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			w := &Watcher{links: links{byIndex: map[int]link{1: {flags: up}, 2: {flags: up}}, ports: map[int]bool{1: true, 2: true}}}
			for i, l := range tt.links {
				l.index = i
				w.links.byIndex[i] = l
			}
			for port, want := range map[int]string{1: tt.want, 2: tt.other} {
				var got []string
				for _, s := range w.VLANs(port) {
					text := map[uint16]string{0x8100: "", 0x88a8: "s"}[s[0].TPID] + fmt.Sprint(s[0].TCI)
					if s[1].TPID != 0 {
						text += fmt.Sprintf(".%d", s[1].TCI)
					}
					got = append(got, text)
				}
				if text := strings.Join(got, " "); text != want {
					t.Errorf("port %d: %q, want %q", port, text, want)
				}
			}
		})
	}
}

// OnVLANs tells of every change once, and of every port that comes.
func TestVLANsMoved(t *testing.T) {
	w := &Watcher{links: links{byIndex: map[int]link{1: {index: 1}}, ports: map[int]bool{}}, kick: make(chan struct{}, 1)}
	set := func(l link) {
		w.links.byIndex[l.index] = l
		w.relinked = true
	}
	v := link{index: 10, kind: "vlan", parent: 1, vlanProto: 0x8100, vlanID: 100, flags: unix.IFF_UP}
	for i, step := range []struct {
		do   func()
		want bool
	}{
		{func() { set(v) }, false}, // no port yet
		{func() { w.SetPorts([]int{1}) }, true},
		{func() { w.SetPorts([]int{1}) }, false},
		{func() { set(link{index: 3}) }, false},
		{func() { v.flags = 0; set(v) }, true},
		{func() { v.mtu = 1400; set(v) }, false},
		{func() { v.flags = unix.IFF_UP; set(v) }, true},
		{func() { v.parent = 3; set(v) }, true},
		{func() { w.SetPorts([]int{1, 3}) }, true},
		{func() { delete(w.links.byIndex, 10); w.relinked = true }, true},
		{func() {}, false},
	} {
		step.do()
		if got := w.vlansMoved(); got != step.want {
			t.Errorf("step %d: moved %v, want %v", i, got, step.want)
		}
	}
}
