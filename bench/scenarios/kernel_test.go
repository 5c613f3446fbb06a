package scenarios

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/bench/lab"
)

// listen opens a raw or datagram socket in a namespace.
func listen(t *testing.T, n *lab.Namespace, family, kind, proto int, addr unix.Sockaddr) *os.File {
	t.Helper()
	var file *os.File
	must(t, n.Run(func() error {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
		if err != nil {
			return err
		}
		file = os.NewFile(uintptr(fd), "socket")
		if addr != nil {
			return unix.Bind(fd, addr)
		}
		return nil
	}))
	t.Cleanup(func() { file.Close() })
	return file
}

// reads tells whether a socket gets something in time, whatever it is, and how much.
func reads(f *os.File, patience time.Duration) (bytes int, ok bool) {
	f.SetReadDeadline(time.Now().Add(patience))
	n, err := f.Read(make([]byte, 4096))
	return n, !errors.Is(err, os.ErrDeadlineExceeded) && err == nil
}

// TestKernelsShare: on the core port, what is no L2TP data message of ours reaches a socket of the
// box's own network stack, while the box forwards.
func TestKernelsShare(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	ip4 := &wire{name: "ip4", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none}
	ip6 := &wire{name: "ip6", six: true, sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: none}
	udp4 := &wire{name: "udp4", udp: true, sid: [2]uint32{12, 22}, vlan: vlanOf(2), pwVLAN: none}
	udp6 := &wire{name: "udp6", udp: true, six: true, sid: [2]uint32{13, 23}, vlan: vlanOf(3), pwVLAN: none}
	box := w.start(t, 0, config(0, ip4, ip6, udp4, udp6))
	host := w.hosts[0]

	raw4 := listen(t, host, unix.AF_INET, unix.SOCK_RAW, 115, nil)
	raw6 := listen(t, host, unix.AF_INET6, unix.SOCK_RAW, 115, nil)
	ours4 := listen(t, host, unix.AF_INET, unix.SOCK_DGRAM, 0, &unix.SockaddrInet4{Port: 1701})
	ours6 := listen(t, host, unix.AF_INET6, unix.SOCK_DGRAM, 0, &unix.SockaddrInet6{Port: 1701, Addr: core6[0].As16()})
	other4 := listen(t, host, unix.AF_INET, unix.SOCK_DGRAM, 0, &unix.SockaddrInet4{Port: 1999})
	other6 := listen(t, host, unix.AF_INET6, unix.SOCK_DGRAM, 0, &unix.SockaddrInet6{Port: 1999, Addr: core6[0].As16()})

	const another = 4711      // tunnel id, of none of ours: what comes to those is answered
	nop := []byte{1, 1, 1, 1} // IPv4 options that do nothing
	pad := []byte{60, 0, 1, 4, 0, 0, 0, 0}
	for _, c := range []struct {
		name   string
		wire   *wire
		change func(*packet)
		socket *os.File
	}{
		{"control message, IP", ip4, func(p *packet) { p.sid = 0 }, raw4},
		{"control message, IP, IPv6", ip6, func(p *packet) { p.sid = 0 }, raw6},
		{"control message, UDP", udp4, func(p *packet) { p.flags, p.sid = 0xc803, another }, ours4},
		{"control message, UDP, IPv6", udp6, func(p *packet) { p.flags, p.sid = 0xc803, another }, ours6},
		{"IPv4 options, IP", ip4, func(p *packet) { p.options = nop }, raw4},
		{"IPv4 options, UDP", udp4, func(p *packet) { p.options = nop }, ours4},
		{"destination options, IPv6", ip6, func(p *packet) { p.options = pad }, raw6},
		{"destination options, UDP, IPv6", udp6, func(p *packet) { p.options = pad }, ours6},
		{"UDP to another port", udp4, func(p *packet) { p.dstPort = 1999 }, other4},
		{"UDP to another port, IPv6", udp6, func(p *packet) { p.dstPort = 1999 }, other6},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := portOf(t, box, "core0").Received
			p := c.wire.to(bare())
			p.passes = true
			c.change(&p)
			w.inject(t, p)
			if _, ok := reads(c.socket, soon); !ok {
				t.Error("the socket got nothing")
			}
			if after := portOf(t, box, "core0").Received; after != before {
				t.Errorf("xwire took %d of it", after-before)
			}
		})
	}

	t.Run("control message to a tunnel of ours", func(t *testing.T) {
		for wire, socket := range map[*wire]*os.File{udp4: ours4, udp6: ours6} {
			p := wire.to(bare())
			p.flags, p.passes = 0xc803, true // heard, and not counted as received
			w.inject(t, p)
			if n, ok := reads(socket, 300*time.Millisecond); ok {
				t.Errorf("%s: a socket got it, %d bytes", wire.name, n)
			}
		}
	})

	t.Run("fragments", func(t *testing.T) {
		for _, c := range []struct {
			wire   *wire
			change func(*packet)
			socket *os.File
		}{{ip4, func(p *packet) { p.sid = 0 }, raw4}, {udp4, func(p *packet) { p.flags, p.sid = 0xc803, another }, ours4}} {
			before := portOf(t, box, "core0").Received
			// Two halves that the kernel puts together again.
			p := c.wire.to(bare())
			p.sum = sumZero
			c.change(&p)
			dst, err := host.MAC("core0")
			must(t, err)
			src, err := w.hosts[1].MAC("core0")
			must(t, err)
			whole := p.frame(dst, src)
			split := 14 + 20 + 48
			first, second := append([]byte{}, whole[:split]...), append(append([]byte{}, whole[:14+20]...), whole[split:]...)
			refragment(first, 0x2000)
			refragment(second, 48/8)
			must(t, w.hosts[1].SendFrames("core0", first, second))
			if n, ok := reads(c.socket, soon); !ok || n < 48 {
				t.Errorf("%s: the socket got %d bytes", c.wire.name, n)
			}
			if after := portOf(t, box, "core0").Received; after != before {
				t.Errorf("%s: xwire took %d fragments", c.wire.name, after-before)
			}
		}
	})

	t.Run("ping and ARP", func(t *testing.T) {
		if _, err := w.hosts[1].Command("ip", "neigh", "flush", "all"); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			for _, to := range []netip.Addr{core4[1-i], core6[1-i]} {
				if r, err := w.hosts[i].Ping(t.Context(), to, lab.PingConfig{Count: 3, Size: 1400, Timeout: soon}); err != nil || r.Lost() != 0 {
					t.Errorf("host %d pings %v: %+v, %v", i, to, r, err)
				}
			}
		}
	})

	t.Run("TCP", func(t *testing.T) {
		r, err := lab.Transfer(t.Context(), w.hosts[1], w.hosts[0], core4[0], lab.TransferConfig{Bytes: 4 << 20})
		if err != nil || !r.Whole() {
			t.Errorf("transfer to the box itself: %+v, %v", r, err)
		}
	})

	// All the while, data messages are ours and no socket sees them.
	for _, x := range []*wire{ip4, ip6, udp4, udp6} {
		if delivered, drops, _, _ := w.verdict(t, x, x.to(bare()), 2); delivered != 2 || len(drops) != 0 {
			t.Errorf("%s: delivered %d of 2, drops %v", x.name, delivered, drops)
		}
	}
	for _, s := range []*os.File{raw4, raw6, ours4, ours6} {
		if n, ok := reads(s, 300*time.Millisecond); ok {
			t.Errorf("a socket got a data message, %d bytes", n)
		}
	}
}

// refragment makes an IPv4 frame the fragment with these flags and offset.
func refragment(frame []byte, flagsOffset uint16) {
	ip := frame[14:34]
	n := len(frame) - 14
	ip[2], ip[3] = byte(n>>8), byte(n)
	ip[6], ip[7] = byte(flagsOffset>>8), byte(flagsOffset)
	ip[10], ip[11] = 0, 0
	s := onesSum(ip)
	ip[10], ip[11] = byte(s>>8), byte(s)
}

// TestL2CP has every setting of a port's l2cp.
func TestL2CP(t *testing.T) {
	for _, c := range []struct {
		setting            string
		far, kernel, drops int
	}{{"tunnel", 1, 0, 0}, {"drop", 0, 0, 1}, {"host", 0, 1, 0}} {
		t.Run(c.setting, func(t *testing.T) {
			w := pair(t, shape{})
			x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
			box := w.start(t, 0, corePort+accessPort+"l2cp = \""+c.setting+"\"\n"+x.toml(0))
			w.start(t, 1, config(1, x))
			far, err := w.sites[1].Capture("eth0")
			must(t, err)
			defer far.Close()
			kernel, err := w.hosts[0].Capture("ac0")
			must(t, err)
			defer kernel.Close()
			var frames [][]byte
			last := []byte{0x00, 0x02, 0x03, 0x0e} // STP, slow protocols (LACP), 802.1X, LLDP
			for _, b := range last {
				f := tagged(0)
				copy(f, []byte{0x01, 0x80, 0xc2, 0, 0, b})
				frames = append(frames, f)
			}
			must(t, w.sites[0].SendFrames("eth0", frames...))
			n := len(last)
			if got := len(received(kernel, c.kernel*n)); got != c.kernel*n {
				t.Errorf("the kernel got %d, want %d", got, c.kernel*n)
			}
			if got := len(received(far, c.far*n)); got != c.far*n {
				t.Errorf("the far site got %d, want %d", got, c.far*n)
			}
			until(t, "all are counted", func() (bool, string) {
				p := portOf(t, box, "ac0")
				return p.Drops["l2cp"] == uint64(c.drops*n) && p.Received == uint64((c.drops+c.far)*n),
					fmt.Sprintf("received %d, l2cp drops %d, want %d", p.Received, p.Drops["l2cp"], c.drops*n)
			})
			// 01-80-C2-00-00-10 and others are not of them.
			f := tagged(0)
			copy(f, []byte{0x01, 0x80, 0xc2, 0, 0, 0x10})
			must(t, w.sites[0].SendFrames("eth0", f))
			if got := len(received(far, c.far*n+1)); got != c.far*n+1 {
				t.Errorf("an ordinary multicast did not pass: %d", got)
			}
		})
	}
}
