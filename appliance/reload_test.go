package appliance

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/config"
)

// rewrite changes the configuration file of an appliance.
func rewrite(t *testing.T, a *Appliance, pairs ...string) {
	t.Helper()
	text, err := os.ReadFile(a.o.ConfigFile)
	if err == nil {
		err = os.WriteFile(a.o.ConfigFile, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func changesText(r api.Reload) []string {
	var list []string
	for _, c := range r.Changes {
		list = append(list, fmt.Sprintf("%s %s %s %v %s", c.Kind, c.Name, c.Action, c.Keys, c.Effect))
	}
	return list
}

func TestReload(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	command(t, "ip link add ac1 type veth peer name far-ac1")
	command(t, "ip link set ac1 up")
	a, c := rig(t, requestText+`
[tunnel.file.session.two]
sid = 2
psid = 2
l2spec_type = "none"
attach = "ac0"
vlan = 200
[tunnel.file.session.loc]
sid = 3
psid = 3
l2spec_type = "none"
interface_name = "loc0"
`)
	ctx := t.Context()
	if _, err := c.CreateSession(ctx, "file", "asked", api.Keys{"sid": 50, "psid": 50, "attach": "ac0", "vlan": 50}); err != nil {
		t.Fatal(err)
	}
	one, ac0 := a.sessionAt("file/one"), a.portNamed("ac0").opened

	// A file with errors changes nothing.
	rewrite(t, a, "vlan = 200", "vlan = 100")
	_, err := c.Reload(ctx, api.ReloadRequest{})
	if e, ok := err.(*api.Error); !ok || e.Code != api.CodeInvalidConfig || len(e.Errors) != 1 || e.Errors[0].Line == 0 {
		t.Errorf("a file with errors: %v", err)
	}
	rewrite(t, a, "sid = 3", "sid = 50") // with what a request created
	if _, err = c.Reload(ctx, api.ReloadRequest{}); err == nil || !strings.Contains(err.Error(), "asked") {
		t.Errorf("a clash with a requested session: %v", err)
	}

	// Two sessions change places, one goes, one comes with a port of its own, an interface moves.
	rewrite(t, a, "sid = 50", "sid = 3", "psid = 1\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = 100", "psid = 1\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = 200",
		"[tunnel.file]", "[port.ac1]\ninterface = \"ac1\"\n[tunnel.file]", "session.loc", "session.moved")
	text, _ := os.ReadFile(a.o.ConfigFile)
	if err := os.WriteFile(a.o.ConfigFile, append(text, "[tunnel.file.session.new]\nsid = 9\npsid = 9\nl2spec_type = \"none\"\nattach = \"ac1\"\nvlan = \"all\"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	rewrite(t, a, "psid = 2\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = 100", "psid = 2\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = 100")
	want := []string{
		"port ac1 added [] hitless", "session file/loc removed [] hitless", "session file/one changed [vlan] session blip",
		"session file/two changed [vlan] session blip", "session file/moved added [] hitless", "session file/new added [] hitless",
	}
	dry, err := c.Reload(ctx, api.ReloadRequest{DryRun: true})
	if err != nil || !slices.Equal(changesText(dry), want) {
		t.Fatalf("dry run: %q, %v", changesText(dry), err)
	}
	if a.sessionAt("file/new") != nil {
		t.Error("a dry run adds a session")
	}
	done, err := c.Reload(ctx, api.ReloadRequest{})
	if err != nil || !slices.Equal(changesText(done), want) {
		t.Fatalf("reload: %q, %v", changesText(done), err)
	}
	if a.sessionAt("file/one") != one || a.portNamed("ac0").opened != ac0 {
		t.Error("a session or port that stays is another one")
	}
	for path, vlan := range map[string]uint16{"file/one": 200, "file/two": 100} {
		if spec, ok := a.table.Session(a.sessionAt(path).id); !ok || spec.AC.VLAN.Lo != vlan {
			t.Errorf("%s: %+v, want VLAN %d", path, spec, vlan)
		}
	}
	until(t, "the new port is open", func() bool {
		s, err := c.TunnelSession(ctx, "file", "new", false)
		return err == nil && s.State == "up"
	})
	for name, state := range map[string]string{"one": "up", "two": "up", "moved": "up", "asked": "up"} {
		if s, err := c.TunnelSession(ctx, "file", name, false); err != nil || s.State != state {
			t.Errorf("session %s: %s %s, %v", name, s.State, s.Reason, err)
		}
	}
	command(t, "ip link show loc0")

	// What the host does not let come up is told; the rest stands.
	whole, _ := os.ReadFile(a.o.ConfigFile)
	if err := os.WriteFile(a.o.ConfigFile, append(slices.Clone(whole), "[tunnel.file.session.bad]\nsid = 90\npsid = 9\nl2spec_type = \"none\"\ninterface_name = \"far-ac0\"\n[tunnel.file.session.good]\nsid = 91\npsid = 9\nl2spec_type = \"none\"\ninterface_name = \"loc9\"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := c.Reload(ctx, api.ReloadRequest{})
	if err != nil || len(r.Waiting) != 1 || !strings.Contains(r.Waiting[0], "session file/bad: ") || !strings.Contains(r.Waiting[0], "far-ac0") || !a.sessionAt("file/good").standing {
		t.Errorf("an interface that is not ours: %+v, %v", r, err)
	}
	if err := os.WriteFile(a.o.ConfigFile, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Reload(ctx, api.ReloadRequest{}); err != nil || len(r.Waiting) > 0 || len(r.Changes) != 2 {
		t.Errorf("without it: %+v, %v", r, err)
	}

	// What the file lists now is what runs.
	if again, err := c.Reload(ctx, api.ReloadRequest{}); err != nil || len(again.Changes) > 0 {
		t.Errorf("the same again: %q, %v", changesText(again), err)
	}

	// The tunnel moves, is switched off and on again, a port goes.
	rewrite(t, a, `peer = "192.0.2.2"`, `peer = "192.0.2.3"`, `[port.ac0]`+"\n", "[port.ac0]\nl2cp = \"drop\"\n")
	if r, err := c.Reload(ctx, api.ReloadRequest{}); err != nil || !slices.Equal(changesText(r), []string{"port ac0 changed [l2cp] hitless", "tunnel file changed [peer] session blip"}) {
		t.Errorf("peer: %q, %v", changesText(r), err)
	}
	if tun, err := c.Tunnel(ctx, "file"); err != nil || tun.Peer != "192.0.2.3" || len(a.targets) != 1 {
		t.Errorf("peer: %+v, %v", tun, err)
	}
	rewrite(t, a, `encap = "ip"`, "encap = \"ip\"\nenabled = false")
	if _, err := c.Reload(ctx, api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
	if s, err := c.TunnelSession(ctx, "file", "one", false); err != nil || s.State != "disabled" || len(a.portNamed("ac0").vlans) != 0 {
		t.Errorf("not enabled: %+v, %v, %v", s, a.portNamed("ac0").vlans, err)
	}
	rewrite(t, a, "enabled = false\n", "", `peer = "192.0.2.3"`, `peer = "192.0.2.2"`)
	if _, err := c.Reload(ctx, api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
	until(t, "sessions up again", func() bool {
		s, err := c.TunnelSession(ctx, "file", "one", false)
		return err == nil && s.State == "up"
	})
	command(t, "ip link show loc0")
	rewrite(t, a, "[port.ac1]\ninterface = \"ac1\"\n", "", "[tunnel.file.session.new]\nsid = 9\npsid = 9\nl2spec_type = \"none\"\nattach = \"ac1\"\nvlan = \"all\"\n", "")
	if r, err := c.Reload(ctx, api.ReloadRequest{}); err != nil || len(r.Changes) != 2 {
		t.Errorf("port removed: %q, %v", changesText(r), err)
	}
	if st := a.Status(); st.Ports != 3 || st.Sessions != 4 {
		t.Errorf("%d ports, %d sessions", st.Ports, st.Sessions)
	}
}

func TestConfirm(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, requestText)
	ctx := t.Context()
	description := func() string {
		s, err := c.TunnelSession(ctx, "file", "one", false)
		if err != nil {
			t.Fatal(err)
		}
		return s.Description
	}
	started := func() string {
		o := a.o
		o.Kept, o.Instead = "", ""
		cfg, err := LoadConfig(&o)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Tunnel("file").Session("one").Description
	}
	rewrite(t, a, "[tunnel.file.session.one]\n", "[tunnel.file.session.one]\ndescription = \"new\"\n")
	if _, err := c.Reload(ctx, api.ReloadRequest{ConfirmWithin: 5}); err != nil {
		t.Fatal(err)
	}
	if st := a.Status(); st.Instead != "" || st.Confirm == nil || time.Until(*st.Confirm) > 6*time.Second {
		t.Errorf("before the confirmation: %+v", st)
	}
	if description() != "new" || started() != "" {
		t.Errorf("before the confirmation %q runs, and a start would run %q", description(), started())
	}
	if _, err := c.CreateSession(ctx, "file", "asked", api.Keys{"sid": 50, "psid": 50, "attach": "ac0", "vlan": 50}); err != nil {
		t.Fatal(err)
	}
	until(t, "rolled back", func() bool { return description() == "" && a.Status().Instead != "" })
	if started() != "" || a.sessionAt("file/asked") == nil {
		t.Errorf("after the roll-back a start would run %q", started())
	}
	if st := a.Status(); st.Instead != api.InsteadUnconfirmed || st.Kept != mustKept(t, a) || st.Confirm != nil || !strings.Contains(a.statusLine(), "instead of") {
		t.Errorf("after the roll-back: %+v, %s", st, a.statusLine())
	}
	if err := c.Confirm(ctx); code(err) != api.CodeNothingWaits {
		t.Errorf("confirmed too late: %v", err)
	}
	if _, err := c.Reload(ctx, api.ReloadRequest{ConfirmWithin: 120}); err != nil {
		t.Fatal(err)
	}
	if err := c.Confirm(ctx); err != nil || description() != "new" || started() != "new" {
		t.Errorf("confirmed: %v, %q runs, and a start would run %q", err, description(), started())
	}
	if st := a.Status(); st.Instead != "" || st.Kept != "" || st.Confirm != nil {
		t.Errorf("confirmed: %+v", st)
	}
	// Another file than the one rolled back is used at a start.
	rewrite(t, a, "\"new\"", "\"newer\"")
	if _, err := c.Reload(ctx, api.ReloadRequest{ConfirmWithin: 120}); err != nil || started() != "new" {
		t.Errorf("%v, a start would run %q", err, started())
	}
	rewrite(t, a, "\"newer\"", "\"newest\"")
	if started() != "newest" {
		t.Errorf("a start would run %q", started())
	}
	if kept, err := config.LoadSaved(mustKept(t, a)); err != nil || kept.Tunnel("file").Session("asked") != nil {
		t.Errorf("kept: %v, with what a request created", err)
	}
}

func mustKept(t *testing.T, a *Appliance) string {
	t.Helper()
	file, err := keptFile(&a.o)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
