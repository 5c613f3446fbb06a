package trunk_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"xwire/appliance/trunk"
)

// enter puts the test's thread into a network namespace of its own. The thread is not given back,
// and the namespace goes with it.
func enter(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("root is needed: this test makes a network namespace")
	}
	runtime.LockOSThread()
	h, err := netns.New()
	if err != nil {
		t.Fatalf("make network namespace: %v", err)
	}
	t.Cleanup(func() { h.Close() })
	ip(t, "link set lo up")
}

// run runs a command in the test's namespace.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func ip(t *testing.T, args string) string {
	t.Helper()
	return run(t, append([]string{"ip"}, strings.Fields(args)...)...)
}

// device is what `ip -j -d link` tells.
type device struct {
	Ifindex  int      `json:"ifindex"`
	Ifname   string   `json:"ifname"`
	Flags    []string `json:"flags"`
	MTU      int      `json:"mtu"`
	Address  string   `json:"address"`
	Ifalias  string   `json:"ifalias"`
	Master   string   `json:"master"`
	Link     string   `json:"link"`
	GenMode  string   `json:"inet6_addr_gen_mode"`
	NumTX    int      `json:"num_tx_queues"`
	Linkinfo struct {
		Kind string `json:"info_kind"`
		Data struct {
			Protocol string `json:"protocol"`
			ID       int    `json:"id"`
		} `json:"info_data"`
	} `json:"linkinfo"`
}

func show(t *testing.T, name string) device {
	t.Helper()
	var d []device
	if err := json.Unmarshal([]byte(ip(t, "-j -d link show dev "+name)), &d); err != nil || len(d) != 1 {
		t.Fatalf("ip link show %s: %v (%d devices)", name, err, len(d))
	}
	return d[0]
}

func exists(name string) bool { return exec.Command("ip", "link", "show", "dev", name).Run() == nil }

func (d device) has(flag string) bool {
	for _, f := range d.Flags {
		if f == flag {
			return true
		}
	}
	return false
}

// each runs a test with each kind of interfaces that the kernel can make, in a namespace of its
// own. Where there are no VLAN devices, Ensure must say so.
func each(t *testing.T, test func(t *testing.T, kind trunk.Kind)) {
	t.Helper()
	for _, kind := range []trunk.Kind{trunk.VLANs, trunk.Spliced} {
		t.Run(kind.String(), func(t *testing.T) {
			enter(t)
			if kind == trunk.VLANs && !hasVLANs(t) {
				t.Log("this kernel has no VLAN devices (CONFIG_VLAN_8021Q): only their refusal was tested")
				return
			}
			test(t, kind)
		})
	}
}

func hasVLANs(t *testing.T) bool {
	t.Helper()
	tr, err := trunk.Open(trunk.Config{Dir: t.TempDir(), Stack: "pr-stack", Inner: "pr-port", Kind: trunk.VLANs})
	if err != nil {
		t.Fatal(err)
	}
	defer ip(t, "link del pr-stack")
	defer tr.Close()
	_, err = tr.Ensure([]trunk.Interface{{Name: "probe", Session: "a/b", MTU: 1458}})
	if err != nil && !strings.Contains(err.Error(), "8021q") {
		t.Fatalf("Ensure: %v", err)
	}
	return err == nil
}

func open(t *testing.T, c trunk.Config) *trunk.Trunk {
	t.Helper()
	tr, err := trunk.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

func ensure(t *testing.T, tr *trunk.Trunk, want ...trunk.Interface) []trunk.Binding {
	t.Helper()
	b, err := tr.Ensure(want)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != len(want) {
		t.Fatalf("Ensure gave %d bindings for %d interfaces", len(b), len(want))
	}
	return b
}
