// Package pktgen has scripts that load an attachment circuit with the kernel's packet generator,
// and the test that runs each of them through xwire.
package pktgen

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestScripts runs every script in a guest whose kernel has pktgen, through an xwire whose peer is
// that kernel's own L2TP:
//
//	customer c0 ── a0 xwire k0 ── k0 kernel, pw0
func TestScripts(t *testing.T) {
	var c vm.Config
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		if err != nil {
			t.Fatal(err)
		}
		here, err := os.Getwd()
		must(t, err)
		c.Env = []string{lab.BinaryEnv + "=" + binary, dirEnv + "=" + here}
	}
	if !vm.Inside(t, c) {
		return
	}
	w := newWorld(t)
	scripts, err := filepath.Glob(filepath.Join(os.Getenv(dirEnv), "*-*.sh"))
	if err != nil || len(scripts) != 14 {
		t.Fatalf("%d scripts: %v", len(scripts), err)
	}
	for _, path := range scripts {
		t.Run(filepath.Base(path), func(t *testing.T) { w.load(t, path) })
	}
	t.Run("refusals", w.refusals)
}

const (
	count   = 300
	rate    = 3000 // frames a second: the guest is emulated
	vlan    = 100
	peerMAC = "02:00:00:00:00:99"
	dirEnv  = "XWIRE_PKTGEN_SCRIPTS" // where the scripts are: a guest's test begins elsewhere
)

type world struct {
	customer, kernel *lab.Namespace
	control          *api.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	var ns [3]*lab.Namespace
	for i, role := range []string{"customer", "xwire", "kernel"} {
		ns[i], err = l.Namespace(role)
		must(t, err)
	}
	w := &world{customer: ns[0], kernel: ns[2]}
	// More queues than one, for the scripts to choose from.
	must(t, l.Connect(lab.End{Namespace: ns[0], Name: "c0", Plain: true, Queues: 2}, lab.End{Namespace: ns[1], Name: "a0", Queues: 2}))
	addrs := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	must(t, l.Connect(lab.End{Namespace: ns[1], Name: "k0", MTU: 1600, Addrs: addrs("192.0.2.1/24")},
		lab.End{Namespace: ns[2], Name: "k0", MTU: 1600, Plain: true, Addrs: addrs("192.0.2.2/24")}))
	for _, quiet := range []struct {
		ns   *lab.Namespace
		name string
	}{{ns[0], "c0"}} {
		must(t, quiet.ns.SetSysctl("net/ipv6/conf/"+quiet.name+"/disable_ipv6", "1"))
	}
	wire := lab.Pseudowire{
		Name: "p", Sublayer: "none", Local: netip.MustParseAddrPort("192.0.2.1:0"), Peer: netip.MustParseAddrPort("192.0.2.2:0"),
		TID: 1, PTID: 2, SID: 11, PSID: 12, Attach: "access", VLAN: fmt.Sprint(vlan), PWVLAN: "none",
	}
	must(t, w.kernel.AddKernelPeer(wire, "pw0", 1500))
	must(t, w.kernel.SetSysctl("net/ipv6/conf/pw0/disable_ipv6", "1"))
	binary, err := lab.Build(t.Context(), "", false)
	must(t, err)
	box, err := ns[1].Box(binary)
	must(t, err)
	must(t, box.Start(t.Context(), "[port.core]\ninterface = \"k0\"\n[port.access]\ninterface = \"a0\"\n"+wire.TOML()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("xwire printed:\n%s", box.Process().Output())
		}
	})
	w.control = api.NewClient(box.Control)
	w.settle(t, func(s api.Session) bool { return s.State == "up" })
	return w
}

// settle waits until the session is as it should be, and returns it as it was last.
func (w *world) settle(t *testing.T, ok func(api.Session) bool) (s api.Session) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		s, err = w.control.Session(t.Context(), "p/p", false)
		must(t, err)
		if ok(s) {
			break
		}
	}
	return s
}

func (w *world) load(t *testing.T, path string) {
	before := w.settle(t, func(api.Session) bool { return true })
	from, args := w.customer, []string{"--interface", "c0", "--vlan", fmt.Sprint(vlan), "--cpus", "0-1", "--flows", "4"}
	cpus := uint64(2)
	name := filepath.Base(path)
	if strings.HasPrefix(name, "decap") {
		from, args, cpus = w.kernel, []string{"--interface", "pw0"}, 1
	}
	out, err := from.Command("sh", append([]string{path, "--dst", peerMAC, "--count", fmt.Sprint(count), "--rate", fmt.Sprint(rate)}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	frames := func(s api.Session) (packets, bytes uint64) {
		if from == w.customer {
			return s.TxPackets - before.TxPackets, s.TxBytes - before.TxBytes
		}
		return s.RxPackets - before.RxPackets, s.RxBytes - before.RxBytes
	}
	var size uint64
	if _, err := fmt.Sscanf(name[len("encap-"):], "%d.sh", &size); err != nil {
		t.Fatal(err)
	}
	each := size // without FCS, with the session id
	if from == w.customer {
		each = max(each, 66) - 4 // pktgen's least with a tag; pw_vlan = "none" takes that off
	}
	want := count * cpus
	after := w.settle(t, func(s api.Session) bool { n, b := frames(s); return n >= want && b >= want*each })
	packets, bytes := frames(after)
	if packets != want || bytes != want*each || after.TxErrors+after.RxErrors != before.TxErrors+before.RxErrors {
		t.Errorf("%d frames and %d bytes, want %d and %d; %+v\n%s", packets, bytes, want, want*each, after.Statistics, out)
	}
	if !strings.Contains(out, fmt.Sprintf("pkts-sofar: %d", count)) {
		t.Errorf("it told\n%s", out)
	}
}

// TestWrongCalls needs no pktgen: wrong calls are told before it is looked for.
func TestWrongCalls(t *testing.T) {
	for says, args := range map[string][]string{
		"--size big: must be a number":   {"--size", "big"},
		"--count -1: must be a number":   {"--count", "-1"},
		"--rate : must be a number":      {"--rate", ""},
		"--cpus one: must be a CPU":      {"--cpus", "one"},
		"--cpus 1-: must be a CPU":       {"--cpus", "1-"},
		"--cpus 1-2-3: must be a CPU":    {"--cpus", "1-2-3"},
		"must be up to 4094":             {"--vlan", "5000"},
		"--svlan 7: needs --vlan":        {"--svlan", "7"},
		"--size 63: must be 64 to 9022":  {"--size", "63"},
		"there is no interface nowhere0": {"--cpus", "0-1", "--vlan", "100", "--svlan", "7"},
	} {
		args = append([]string{"pktgen.sh", "--interface", "nowhere0", "--dst", peerMAC}, args...)
		out, err := exec.Command("sh", args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), says) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%v: %v, it told %q, want %q", args, err, out, says)
		}
	}
}

func (w *world) refusals(t *testing.T) {
	script := filepath.Join(os.Getenv(dirEnv), "pktgen.sh")
	for says, args := range map[string][]string{
		"--interface is missing":     {},
		"--dst is missing":           {"--interface", "c0"},
		"there is no interface eth9": {"--interface", "eth9", "--dst", peerMAC},
		"must be 64 to 9022":         {"--interface", "c0", "--dst", peerMAC, "--size", "63"},
		"CPU 99 has no thread":       {"--interface", "c0", "--dst", peerMAC, "--cpus", "99"},
		"what is --colour?":          {"--colour"},
		"dst_mac nonsense":           {"--interface", "c0", "--dst", "nonsense"},
	} {
		out, err := w.customer.Command("sh", append([]string{script}, args...)...)
		if err == nil || !strings.Contains(out+err.Error(), says) {
			t.Errorf("%v: %v, it told %q, want %q", args, err, out, says)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
