package host

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
)

// newNetns moves the test into a network namespace of its own, which goes with it.
func newNetns(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make a network namespace: %v (the tests of this package need root)", err)
	}
	t.Cleanup(func() { ns.Close() })
}

// run calls a command in the test's namespace.
func run(t *testing.T, command string) string {
	t.Helper()
	f := strings.Fields(command)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// veth makes the pair ha-hb with four queues at each end.
func veth(t *testing.T) {
	t.Helper()
	newNetns(t)
	run(t, "ip link add ha numrxqueues 4 numtxqueues 4 type veth peer name hb numrxqueues 4 numtxqueues 4")
}

func open(t *testing.T, dir string) *Host {
	t.Helper()
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func plan(t *testing.T, h *Host, name string) Plan {
	t.Helper()
	p, err := h.Plan(Request{Interface: name, Role: Core | Access})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func apply(t *testing.T, h *Host, p Plan) {
	t.Helper()
	if err := h.Apply(p); err != nil {
		t.Fatal(err)
	}
}

func restore(t *testing.T, h *Host, name string) {
	t.Helper()
	if err := h.Restore(name); err != nil {
		t.Fatal(err)
	}
}

// settings is what ethtool says.
func settings(t *testing.T, name string) string {
	t.Helper()
	return run(t, "ethtool -k "+name)
}

// mustBeOff are the settings of a veth's other end, by ethtool's names.
var mustBeOff = []string{
	"tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload", "tx-vlan-offload", "tx-vlan-stag-hw-insert",
}

func wantOff(t *testing.T, name string) {
	t.Helper()
	now := settings(t, name)
	for _, s := range mustBeOff {
		if !strings.Contains(now, s+": off") {
			t.Errorf("%s of %s is not off", s, name)
		}
	}
}

func journalled(t *testing.T, dir string) []entry {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, journalFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var b book
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	return b.Changes
}

func TestApplyAndRestore(t *testing.T) {
	veth(t)
	dir := filepath.Join(t.TempDir(), "made", "by", "apply")
	h := open(t, dir)
	before := settings(t, "hb")
	own := settings(t, "ha")

	p := plan(t, h, "ha")
	if len(p.Changes) == 0 || len(p.Warnings) != 0 {
		t.Fatalf("plan = %+v, want changes and no warnings", p)
	}
	for _, c := range p.Changes {
		if c.Interface != "hb" || c.From != "on" || c.To != "off" || c.Why == "" {
			t.Errorf("change %+v, want one of hb from on to off", c)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a plan made the state directory")
	}
	if settings(t, "hb") != before {
		t.Error("a plan changed settings")
	}

	apply(t, h, p)
	wantOff(t, "hb")
	if settings(t, "ha") != own {
		t.Error("settings of our own end changed")
	}
	if got := len(journalled(t, dir)); got != len(p.Changes) {
		t.Errorf("journal has %d entries, want %d", got, len(p.Changes))
	}
	if again := plan(t, h, "ha"); len(again.Changes) != 0 || len(again.Kept) != len(p.Changes) {
		t.Errorf("plan after apply: %d changes and %d kept, want 0 and %d", len(again.Changes), len(again.Kept), len(p.Changes))
	}

	restore(t, h, "ha")
	if now := settings(t, "hb"); now != before {
		t.Errorf("restored settings differ:\n%s\nwant:\n%s", now, before)
	}
	if left := journalled(t, dir); left != nil {
		t.Errorf("journal after restore: %+v", left)
	}
}

func TestCommandsMeanWhatTheySay(t *testing.T) {
	veth(t)
	for _, c := range plan(t, open(t, t.TempDir()), "ha").Changes {
		run(t, c.Command())
	}
	wantOff(t, "hb")
}

func TestSettingsOfTheOperatorStay(t *testing.T) {
	veth(t)
	run(t, "ethtool -K hb tso off txvlan off")
	before := settings(t, "hb")
	h := open(t, t.TempDir())
	apply(t, h, plan(t, h, "ha"))
	wantOff(t, "hb")
	run(t, "ethtool -K hb gso on") // the operator insists while we run
	restore(t, h, "ha")
	if now := settings(t, "hb"); now != before {
		t.Errorf("restored settings differ:\n%s\nwant:\n%s", now, before)
	}
}

func TestNextStart(t *testing.T) {
	veth(t)
	dir := t.TempDir()
	before := settings(t, "hb")
	killed := open(t, dir)
	apply(t, killed, plan(t, killed, "ha"))

	// The next start wants the port: nothing flaps, and the journal keeps what was there first.
	next := open(t, dir)
	if err := next.Recover(func(name string) bool { return name == "ha" }); err != nil {
		t.Fatal(err)
	}
	wantOff(t, "hb")
	p := plan(t, next, "ha")
	if len(p.Changes) != 0 || len(p.Kept) == 0 {
		t.Fatalf("plan of the next start = %+v, want only what is kept", p)
	}
	apply(t, next, p)
	wantOff(t, "hb")

	// The one after that does not.
	last := open(t, dir)
	if err := last.Recover(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if now := settings(t, "hb"); now != before {
		t.Errorf("recovered settings differ:\n%s\nwant:\n%s", now, before)
	}
	if left := journalled(t, dir); left != nil {
		t.Errorf("journal after recovery: %+v", left)
	}
}

// TestKilledBetween is a process that died after it wrote and before it set.
func TestKilledBetween(t *testing.T) {
	veth(t)
	dir := t.TempDir()
	before := settings(t, "hb")
	killed := open(t, dir)
	p := plan(t, killed, "ha")
	done := p.Changes[0]
	if err := killed.set([]Change{done}); err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Changes {
		i, err := killed.Info(c.Interface)
		if err != nil {
			t.Fatal(err)
		}
		killed.journal.note(c, "ha", i.Ifindex)
	}
	if err := killed.journal.save(); err != nil {
		t.Fatal(err)
	}
	next := open(t, dir)
	again := plan(t, next, "ha")
	if len(again.Changes) != len(p.Changes)-1 || len(again.Kept) != 1 {
		t.Errorf("plan: %d changes, %d kept, want %d and 1", len(again.Changes), len(again.Kept), len(p.Changes)-1)
	}
	apply(t, next, again)
	wantOff(t, "hb")
	if err := open(t, dir).RestoreAll(); err != nil {
		t.Fatal(err)
	}
	if now := settings(t, "hb"); now != before {
		t.Errorf("recovered settings differ:\n%s\nwant:\n%s", now, before)
	}
}

func TestRestoreWhatIsGone(t *testing.T) {
	veth(t)
	dir := t.TempDir()
	h := open(t, dir)
	apply(t, h, plan(t, h, "ha"))
	run(t, "ip link set hb name renamed")
	restore(t, h, "ha")
	if now := settings(t, "renamed"); !strings.Contains(now, "tx-checksumming: on") {
		t.Error("the settings of the renamed interface were not put back")
	}

	apply(t, h, plan(t, h, "ha"))
	run(t, "ip link del ha")
	run(t, "ip link add ha type veth peer name renamed")
	run(t, "ethtool -K renamed tso off")
	restore(t, h, "ha")
	if now := settings(t, "renamed"); !strings.Contains(now, "tcp-segmentation-offload: off") {
		t.Error("another interface of the same name was changed")
	}
	if left := journalled(t, dir); left != nil {
		t.Errorf("journal: %+v", left)
	}
}

// TestSharedPeer has both ends of a veth as ports, and an end that two ports change.
func TestSharedPeer(t *testing.T) {
	veth(t)
	h := open(t, t.TempDir())
	before := settings(t, "hb")
	p := plan(t, h, "ha")
	apply(t, h, p)
	other := p
	other.Interface = "hx"
	apply(t, h, other)
	restore(t, h, "ha")
	wantOff(t, "hb")
	restore(t, h, "hx")
	if settings(t, "hb") != before {
		t.Error("the last port did not put the settings back")
	}
}

func TestUnwantedIsPutBack(t *testing.T) {
	veth(t)
	dir := t.TempDir()
	h := open(t, dir)
	p := plan(t, h, "ha")
	apply(t, h, p)
	less := Plan{Interface: "ha", Kept: p.Changes[:1]}
	apply(t, h, less)
	left := journalled(t, dir)
	if len(left) != 1 || left[0].Setting != p.Changes[0].Setting {
		t.Errorf("journal = %+v, want only %s", left, p.Changes[0].Setting)
	}
	if now := settings(t, "hb"); !strings.Contains(now, "tx-vlan-offload: on") {
		t.Error("a setting no longer wanted was not put back")
	}
}

func TestBrokenJournal(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("open a broken journal: %v, want an error that names the file", err)
	}
}

func TestPromiscuous(t *testing.T) {
	veth(t)
	h := open(t, t.TempDir())
	isOn := func() bool { return strings.Contains(run(t, "ip -d link show dev ha"), "promiscuity 1") }
	m, err := h.Promiscuous("ha")
	if err != nil {
		t.Fatal(err)
	}
	if !isOn() {
		t.Error("ip does not show promiscuity")
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if isOn() {
		t.Error("promiscuity outlives its closer")
	}
	if _, err := h.Promiscuous("nothere"); err == nil {
		t.Error("an interface that is not there: no error")
	}
}

// A link that is set down comes up again: by SetLink, or at the next start after a kill.
func TestSetLink(t *testing.T) {
	veth(t)
	dir := t.TempDir()
	h := open(t, dir)
	is := func(what, word string) {
		t.Helper()
		if out := run(t, "ip -br link show dev ha"); strings.Contains(out, ",UP") != (word == up) {
			t.Errorf("%s: %s, want it %s", what, strings.TrimSpace(out), word)
		}
	}
	set := func(h *Host, to bool) {
		t.Helper()
		if err := h.SetLink("ha", to); err != nil {
			t.Fatal(err)
		}
	}
	set(h, false)
	if n := len(journalled(t, dir)); n != 0 {
		t.Errorf("%d entries for a link that was down already", n)
	}
	set(h, true)
	is("down by its operator", down)
	run(t, "ip link set ha up")
	set(h, false)
	is("set down", down)
	set(h, true)
	is("set up", up)
	set(h, false)
	// A port on it comes and goes meanwhile.
	apply(t, h, plan(t, h, "ha"))
	restore(t, h, "ha")
	is("after its port was closed", down)
	next := open(t, dir)
	if err := next.Recover(func(port string) bool { return port == "ha" }); err != nil {
		t.Fatal(err)
	}
	is("after the next start", up)
	if n := len(journalled(t, dir)); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}
