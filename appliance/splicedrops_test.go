package appliance

import (
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"xwire/appliance/trunk"
)

// sendFrom sends a frame out of an interface.
func sendFrom(t *testing.T, name string, frame []byte) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
}

// What the programs of local interfaces drop is no secret.
func TestSpliceDropsAreShown(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	a, _, _ := launch(t, localsText)
	if a.trunk.Load().Kind() != trunk.Spliced {
		t.Log("this kernel has VLAN devices: no programs that could drop")
		return
	}
	frame := make([]byte, 64)
	frame[0], frame[12], frame[13] = 2, 0x88, 0xb5
	sendFrom(t, "xw-port", frame)
	until(t, "show tells", func() bool {
		for _, p := range a.Ports() {
			if p.Name == "trunk" {
				return p.Spliced["untagged"] > 0
			}
		}
		return false
	})
	l, h, err := a.metrics("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`xwire_splice_drops_total{reason="untagged"}`, "xwire_arena_quarantine_frames 0"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}
