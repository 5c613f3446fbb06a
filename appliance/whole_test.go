package appliance

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xwire/config"
)

// stayed holds what the appliance keeps of sessions in several places against each other.
func stayed(t *testing.T, a *Appliance) {
	t.Helper()
	text := &strings.Builder{}
	if err := a.WriteConfig(text); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shown.toml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	shown, err := config.Load(file)
	if err != nil {
		t.Fatalf("what is shown does not load: %v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, change := range config.Compare(a.running(), shown).Changes() {
		if len(change.Keys) > 0 || change.Action != "changed" {
			t.Errorf("what is shown differs: %+v", change)
		}
	}
	count, vlans, ids := 0, map[tags]bool{}, map[uint32]string{}
	for _, tun := range a.tunnels {
		if a.byName[tun.Name] != tun || tun.target == nil || a.targets[hopKey(&tun.Tunnel)] != tun.target {
			t.Errorf("tunnel %s is not to be found by its name, or has another's next hop", tun.Name)
		}
		for _, s := range tun.sessions {
			count++
			c := s.config()
			if tun.session(c.Name) != s || s.gone || s.tunnel != tun {
				t.Errorf("session %s is not to be found by its name", s.path())
			}
			spec, ok := a.table.Session(s.id)
			if !s.standing || !ok || spec.SID != c.SID || spec.PSID != c.PSID || spec.Tunnel != tun.id || spec.TxCookie != c.TxCookie {
				t.Errorf("session %s (standing: %v, %s): %+v in the table: %+v", s.path(), s.standing, s.reason(), c, spec)
			}
			if other := ids[uint32(s.id)]; other != "" {
				t.Errorf("sessions %s and %s have one place in the table", other, s.path())
			}
			ids[uint32(s.id)] = s.path()
			switch c.VLAN.Kind {
			case config.VLANAbsent:
			case config.VLANQinQ:
				vlans[tags{c.VLAN.Lo, c.VLAN.C}] = true
			default:
				vlans[tags{c.VLAN.Lo, wholePort.inner}] = true
			}
		}
	}
	if count != a.count || len(a.byName) != len(a.tunnels) {
		t.Errorf("%d sessions counted, %d are there; %d tunnels by name, %d are there", a.count, count, len(a.byName), len(a.tunnels))
	}
	steered := map[tags]bool{}
	for _, v := range a.portNamed("ac0").vlans {
		steered[v] = true
	}
	if !maps.Equal(steered, vlans) {
		t.Errorf("VLANs %v are steered, sessions have %v", steered, vlans)
	}
	was := a.index
	if was == nil {
		return
	}
	a.index = nil
	is := a.indexed()
	if !maps.Equal(was.names, is.names) || !maps.Equal(was.vlans, is.vlans) || !maps.Equal(was.joined, is.joined) || !maps.EqualFunc(was.pppoes, is.pppoes, maps.Equal) || len(was.ids) != len(is.ids) {
		t.Errorf("the index that was kept is not what it would be anew:\n%+v\n%+v", was, is)
	}
	a.index = was
}
