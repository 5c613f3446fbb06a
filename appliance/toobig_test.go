package appliance

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/appliance/pathmtu"
	"xwire/l2tp"
)

// TestReportsFollowTunnels has reports of path MTUs come for tunnels that were made, moved and removed meanwhile:
// they count where the tunnel is now, and cost nothing elsewhere.
func TestReportsFollowTunnels(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, requestText)
	ctx := t.Context()
	for _, n := range []string{"3", "4"} {
		command(t, "ip neigh replace 192.0.2."+n+" lladdr 02:00:00:00:00:0"+n+" dev core0")
	}
	mtu := func(name string) int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.byName[name].target.mtu()
	}
	report := func(peer string, sid uint32, mtu int) bool {
		return a.tooBig(&pathmtu.Report{
			Local: netip.MustParseAddrPort("192.0.2.1:0"), Peer: netip.AddrPortFrom(netip.MustParseAddr(peer), 0),
			Encap: l2tp.EncapIP, MTU: mtu, Message: binary.BigEndian.AppendUint32(nil, sid),
		}, time.Now())
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the route is known", func() bool { return mtu("file") == 1500 })
	if report("192.0.2.3", 5, 1300) || report("192.0.2.9", 1, 1300) || !report("192.0.2.2", 9, 1300) || mtu("file") != 1500 {
		t.Errorf("MTU %d by reports of nobody's", mtu("file"))
	}
	if !report("192.0.2.2", 1, 1400) || mtu("file") != 1400 {
		t.Errorf("MTU %d", mtu("file"))
	}
	_, err := c.CreateTunnel(ctx, "new", api.Keys{"encap": "ip", "local": "192.0.2.1", "peer": "192.0.2.3", "tid": 5, "ptid": 5,
		"session": api.Keys{"s": api.Keys{"sid": 5, "psid": 5, "l2spec_type": "none", "attach": "ac0", "vlan": 105}}})
	must(err)
	until(t, "the new one's route is known", func() bool { return mtu("new") == 1500 })
	if !report("192.0.2.3", 5, 1300) || mtu("new") != 1300 || mtu("file") != 1400 {
		t.Errorf("MTUs %d, %d", mtu("new"), mtu("file"))
	}
	_, err = c.ModifyTunnel(ctx, "new", api.Keys{"peer": "192.0.2.4"})
	must(err)
	until(t, "the moved one's route is known", func() bool { return mtu("new") == 1500 })
	if report("192.0.2.3", 5, 1300) || !report("192.0.2.4", 5, 1200) || mtu("new") != 1200 {
		t.Errorf("MTU %d after it moved", mtu("new"))
	}
	must(c.DeleteTunnel(ctx, "new"))
	if report("192.0.2.4", 5, 1100) {
		t.Error("a report about a tunnel that is gone is looked into")
	}
}
