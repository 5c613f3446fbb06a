package host

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/bench/vm"
	"xwire/rings/steer"
)

// TestNIC is a card that strips tags, spreads over queues and resets for a program: QEMU's igb,
// in a virtual machine.
func TestNIC(t *testing.T) {
	wire := vm.NewWire(0, vm.IGB, 0)
	if !vm.Inside(t, vm.Config{Wires: []vm.Wire{wire}}) {
		return
	}
	near, far := byMAC(t, wire.Ends[0]), byMAC(t, wire.Ends[1])
	run(t, "ip link set "+near+" up")
	run(t, "ip link set "+far+" up")
	h := open(t, t.TempDir())
	waitCarrier(t, near)

	t.Run("info", func(t *testing.T) {
		i, err := h.Info(near)
		if err != nil {
			t.Fatal(err)
		}
		if i.Driver != "igb" || i.Kind != "" || i.RxQueues < 2 || i.Speed != 1000 || !bytes.Equal(i.MAC[:], wire.Ends[0]) {
			t.Errorf("Info = %+v, want an igb of 1000 Mbit/s with two queues or more", i)
		}
	})
	t.Run("queues", func(t *testing.T) {
		one := Request{Interface: near, Role: Core | Access, Queues: []uint32{0}}
		_, err := h.Plan(one)
		command := "ethtool -X " + near + " equal 1"
		if refused := new(QueueError); !errors.As(err, &refused) || refused.Command != command {
			t.Fatalf("plan for one of the queues: %v, want a QueueError with %q", err, command)
		}
		run(t, command)
		if _, err := h.Plan(one); err != nil {
			t.Errorf("plan after %s: %v", command, err)
		}
		run(t, "ethtool -X "+near+" default")
	})
	t.Run("tags", func(t *testing.T) { tagsOf(t, h, near, far) })
}

// tagsOf attaches the steering program, which counts VLAN 100 only if it sees the tag.
func tagsOf(t *testing.T, h *Host, near, far string) {
	before := settings(t, near)
	i, err := h.Info(near)
	if err != nil {
		t.Fatal(err)
	}
	s, err := steer.Load(steer.LoadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Attach(steer.AttachConfig{Ifindex: i.Ifindex, Name: near, Native: true, Queues: uint32(i.RxQueues)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.AddVLAN(100, steer.AnyVLAN); err != nil {
		t.Fatal(err)
	}
	m, err := h.Promiscuous(near)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	waitCarrier(t, near)
	if tagSeen(t, p, far) {
		t.Error("the program sees the tag although the card is to strip it: this test proves nothing")
	}

	todo := plan(t, h, near)
	if len(todo.Changes) == 0 || todo.Changes[0].Setting != "rx-vlan-hw-parse" || len(todo.Flaps) != 1 {
		t.Fatalf("plan = %+v, want rx-vlan-hw-parse off and one flap", todo)
	}
	apply(t, h, todo)
	waitCarrier(t, near)
	if !tagSeen(t, p, far) {
		t.Error("the program does not see the tag after the plan was applied")
	}
	restore(t, h, near)
	if now := settings(t, near); now != before {
		t.Errorf("restored settings differ:\n%s\nwant:\n%s", now, before)
	}
}

// tagSeen sends frames of VLAN 100 for a while: a card that reset loses the first.
func tagSeen(t *testing.T, p *steer.Program, from string) bool {
	t.Helper()
	frame := append([]byte{
		0x02, 0, 0, 0, 0, 0x77, // destination, nobody's
		0x02, 0, 0, 0, 0, 0x78, // source
		0x81, 0x00, 0x00, 100, // tag
		0x88, 0xb5, // local experimental EtherType
	}, make([]byte, 60)...)
	before, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		sendFrame(t, from, frame)
		time.Sleep(100 * time.Millisecond)
		now, err := p.Stats()
		if err != nil {
			t.Fatal(err)
		}
		// No queue has a socket here.
		if now.NoSocket > before.NoSocket {
			return true
		}
		if now.Other >= before.Other+5 {
			return false
		}
	}
	t.Fatal("no frame arrived in half a minute")
	return false
}

func sendFrame(t *testing.T, name string, frame []byte) {
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
	err = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index})
	if err != nil && !errors.Is(err, unix.ENETDOWN) && !errors.Is(err, unix.ENOBUFS) {
		t.Fatalf("send on %s: %v", name, err)
	}
}

func byMAC(t *testing.T, mac net.HardwareAddr) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if bytes.Equal(i.HardwareAddr, mac) {
			return i.Name
		}
	}
	t.Fatalf("no interface has the MAC %v", mac)
	return ""
}

func waitCarrier(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		raw, err := os.ReadFile("/sys/class/net/" + name + "/carrier")
		if err == nil && strings.TrimSpace(string(raw)) == "1" {
			return
		}
	}
	t.Fatalf("%s has no carrier after a minute", name)
}
