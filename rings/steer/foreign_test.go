package steer

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// withoutAdmin calls f without CAP_SYS_ADMIN. The goroutine must be locked to its thread, which has
// the capability again afterwards.
func withoutAdmin(t *testing.T, f func()) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had, has [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		t.Fatal(err)
	}
	has = had
	has[unix.CAP_SYS_ADMIN/32].Effective &^= 1 << (unix.CAP_SYS_ADMIN % 32)
	if err := unix.Capset(&header, &has[0]); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Capset(&header, &had[0]); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// A process that may attach programs may still not look at those of others: then it must not claim
// that no link holds the stranger.
func TestForeignProgramHidden(t *testing.T) {
	cfg := veth(t)
	program := stranger(t)
	defer byLink(t, program, cfg.Ifindex, link.XDPGenericMode)()
	withoutAdmin(t, func() {
		var foreign *ForeignError
		err := findForeign(cfg)
		if !errors.As(err, &foreign) || !errors.Is(foreign.Hidden, unix.EPERM) || foreign.ID == 0 {
			t.Fatalf("found %+v (%v), want a program that is hidden", foreign, err)
		}
		for _, want := range []string{"sa has XDP program", "CAP_SYS_ADMIN", "bpftool link detach id", "ip link set dev sa xdpgeneric off"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		if strings.Contains(err.Error(), "no BPF link") {
			t.Errorf("%q claims what nobody could see", err)
		}
	})
}
