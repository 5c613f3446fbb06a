package appliance

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"xwire/rings"
)

// A port that cannot open and has its link taken down by each try is tried less and less often, and
// told of once.
func TestTriesThatDisturbPause(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	command(t, "ip link add late0 type veth peer name latefar0")
	command(t, "ip link set late0 up")
	a, log, _ := launch(t, localsText+"[port.late]\ninterface = \"late0\"\nqueues = [0]\nmode = \"zerocopy\"\n")
	var p *port
	for _, q := range a.ports {
		if q.Name == "late" {
			p = q
		}
	}
	look := func() (pause time.Duration, reason string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		return p.pause, p.reason
	}
	until(t, "the third try", func() bool { pause, _ := look(); return pause >= 4*retryPort })
	if _, reason := look(); !strings.Contains(reason, "zero-copy") {
		t.Errorf("the port waits because %s", reason)
	}
	if n := log.count("port waits"); n != 1 {
		t.Errorf("%d lines tell that the port waits, want 1", n)
	}
	// Without the interface, tries disturb nobody.
	command(t, "ip link del late0")
	a.mu.Lock()
	p.retry = time.Time{}
	a.mu.Unlock()
	until(t, "a try each second", func() bool {
		pause, reason := look()
		return pause == retryPort && strings.Contains(reason, "not there")
	})
}

// A port that is back at once takes what comes to its VLAN device's own MAC, as before.
func TestReopenedPortKeepsSources(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	command(t, "ip link set far0 up")
	command(t, "ip link add link core0 name mac0 address 02:00:00:00:00:07 type macvlan mode bridge")
	command(t, "ip link set mac0 up")
	command(t, "ip addr del 192.0.2.1/24 dev core0")
	command(t, "ip addr add 192.0.2.1/24 dev mac0")
	command(t, "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev mac0 nud permanent")
	a, _, _ := launch(t, localsText)
	until(t, "the tunnel is up", func() bool { return a.Status().TunnelsUp == 1 })
	a.mu.Lock() // next hops tell nothing for as long
	defer a.mu.Unlock()
	redirected := func() uint64 {
		s, err := a.ports[0].opened.program.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return s.DecapRedirected
	}
	data := []byte{2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 38, 0, 0, 0, 0, 64, 115, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1,
		0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5, 0, 0}
	sendFrom(t, "far0", data)
	until(t, "a packet to the second MAC is taken", func() bool { return redirected() == 1 })
	a.closePort(a.ports[0])
	a.openPorts(time.Now().Add(retryPort))
	sendFrom(t, "far0", data)
	until(t, "a packet to the second MAC is taken after the port was opened again", func() bool { return redirected() == 1 })
}

// What was left to the kernel stays counted when a port is closed and opened again.
func TestToKernelGoesOn(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	a, _, _ := launch(t, localsText)
	foreign := func() uint64 { return a.Ports()[0].ToKernel["foreign_mac"] }
	data := []byte{2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 38, 0, 0, 0, 0, 64, 115, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1,
		0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5, 0, 0}
	sendFrom(t, "far0", data)
	until(t, "a frame to another MAC is counted", func() bool { return foreign() == 1 })
	a.mu.Lock()
	a.closePort(a.ports[0])
	a.mu.Unlock()
	if n := foreign(); n != 1 {
		t.Errorf("%d frames counted while the port is closed, want 1", n)
	}
	until(t, "the port is open", func() bool { return a.Ports()[0].State == "up" })
	sendFrom(t, "far0", data)
	until(t, "both are counted", func() bool { return foreign() == 2 })
}

// What a worker reports is in the log and in the port's state, also if it concerns no port.
func TestBugsAreTold(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	a, log, _ := launch(t, localsText)
	a.portEvent(rings.Event{Kind: rings.Bug, Err: errors.New("nobody's bug")})
	if log.count("nobody's bug") != 1 {
		t.Error("a bug that concerns no port is not logged")
	}
	a.mu.Lock()
	r := a.ports[0].opened.rings
	a.mu.Unlock()
	a.portEvent(rings.Event{Port: r, Kind: rings.Bug, Err: errors.New("one frame too many")})
	if s := a.Status(); s.PortsUp != s.Ports {
		t.Errorf("%d of %d ports are up: a complaint took one down", s.PortsUp, s.Ports)
	}
}

// One who is stopped before he has begun takes nothing.
func TestStoppedBeforeReady(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	a, log := prepare(t, localsText)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.Canceled)
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	if log.count("port open") != 0 || log.count("stopped") != 1 {
		t.Error("a port was opened, or the stop is not logged")
	}
}

// What a strict start fails for is the reason of its stop.
func TestStrictStartTellsWhy(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	a, log := prepare(t, "start = \"strict\"\n"+localsText+"[port.none]\ninterface = \"none0\"\n")
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "none0") {
		t.Errorf("Run = %v, want an error that names none0", err)
	}
	if log.count("msg=stopping reason=\"start strictly") != 1 {
		t.Error("the log does not tell the reason of the stop")
	}
}

// Next hops that leave by no port are told of once the ports are open, and not before.
func TestStraysAreTold(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	command(t, "ip link add stray0 type veth peer name strayfar0")
	command(t, "ip link set stray0 up")
	command(t, "ip link set strayfar0 up")
	command(t, "ip route add 192.0.2.2/32 dev stray0")
	_, log, _ := launch(t, localsText)
	until(t, "it is told", func() bool { return log.count("state=not_a_port") == 1 })
	text, err := os.ReadFile(log.Name())
	if told, open := strings.Index(string(text), "state=not_a_port"), strings.LastIndex(string(text), "port open"); err != nil || open < 0 || told < open {
		t.Errorf("told before the ports were open (%v):\n%s", err, text)
	}
}
