package veth

import (
	"context"
	"net/netip"

	"xwire/bench/lab"
	"xwire/bench/traffic"
	"xwire/l2tp"
)

// place is where one case stands: a box with an interface to the generator and one to the sink.
type place struct {
	config         Config
	dir            string // of the lab
	box            *lab.Namespace
	in, out        int // ifindexes of d0 and d1 in the box
	generate, sink int // of the other ends
	sinkName       string
	sinkNamespace  *lab.Namespace
}

// The ends of all links have the same addresses in every place.
const (
	inName  = "d0"
	outName = "d1"
)

var (
	generatorMAC = l2tp.MAC{2, 0, 0, 0, 0, 0x0a}
	inMAC        = l2tp.MAC{2, 0, 0, 0, 0, 0xd0}
	outMAC       = l2tp.MAC{2, 0, 0, 0, 0, 0xd1}
	sinkMAC      = l2tp.MAC{2, 0, 0, 0, 0, 0x0b}
	// Inside: the two customers.
	innerSrc = l2tp.MAC{2, 0, 0, 0, 1, 1}
	innerDst = l2tp.MAC{2, 0, 0, 0, 1, 2}
)

// path is a case: a way for frames from d0 to d1.
type path struct {
	name  string
	named bool // measured only when it is asked for by name
	ours  bool // a failure to start ends the measurement
	cpus  int  // that it has, the generator's included
	about string
	// frame is what the generator sends that carries inner, and extra how many bytes more than inner
	// arrive. What arrives ends with inner.
	frame func(c Config, inner []byte) []byte
	extra func(c Config) int
	start func(ctx context.Context, p *place) (running, error)
}

// running is a path that carries frames.
type running interface {
	// pause has it take no CPU time while others are measured; resume ends that.
	pause()
	resume()
	mode() string
	pids() []int // of its processes, when it is not this one
	close() error
}

// always is for what takes no time when there is nothing to do.
type always struct{}

func (always) pause()  {}
func (always) resume() {}

func (always) pids() []int { return nil }

// paths is every case, in the order of a round.
var paths = []path{
	{name: "forward", ours: true, cpus: 2, about: "xwire's rings, ports swapped, no L2TP", frame: plain, extra: none, start: startForward},
	{name: "encap", ours: true, cpus: 2, about: "xwire, L2TPv3 encap", frame: plain, extra: pushed, start: startEncap},
	{name: "decap", ours: true, cpus: 2, about: "xwire, L2TPv3 decap", frame: packet, extra: none, start: startDecap},
	{name: "asavie-copy", cpus: 2, about: "asavie/xdp, two private UMEMs, a copy between", frame: plain, extra: none, start: startAsavie},
	{name: "asavie-budget", cpus: 2, named: true, about: "the same, with a larger send budget set on its socket", frame: plain, extra: none, start: startAsavieBudget},
	{name: "testpmd", cpus: 2, about: "DPDK testpmd, net_af_xdp, io mode", frame: plain, extra: none, start: startTestpmd},
	{name: "bridge", cpus: 1, about: "kernel bridge, static fdb", frame: plain, extra: none, start: startBridge},
	{name: "vxlan", cpus: 1, about: "kernel bridge and VXLAN encap, IPv4, no checksum", frame: plain, extra: vxlanPushed, start: startVXLAN},
	{name: "l2tpeth-encap", cpus: 1, about: "kernel bridge and the kernel's own L2TPv3, encap", frame: plain, extra: pushed, start: startKernelEncap},
	{name: "l2tpeth-decap", cpus: 1, about: "the same, decap", frame: packet, extra: none, start: startKernelDecap},
	{name: "xdp-redirect", cpus: 1, about: "XDP redirect in the driver", frame: plain, extra: none, start: startRedirect},
}

// CaseNames lists the cases.
func CaseNames() []string {
	var names []string
	for _, p := range paths {
		names = append(names, p.name)
	}
	return names
}

func plain(_ Config, inner []byte) []byte  { return inner }
func packet(c Config, inner []byte) []byte { return c.outer().Append(nil, inner) }
func none(Config) int                      { return 0 }
func pushed(c Config) int                  { return c.outer().Overhead() }

const (
	sessionID = 4711
	udpPort   = 1701
)

func cookie() l2tp.Cookie {
	c, err := l2tp.NewCookie([]byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88})
	if err != nil {
		panic(err) // eight bytes are right
	}
	return c
}

// ends are the two ends of the tunnel: the box and its peer.
func (c Config) ends() (box, peer netip.AddrPort, encap l2tp.Encap) {
	local, remote := "192.0.2.1", "192.0.2.2"
	if c.Encap == "ip6" || c.Encap == "udp6" {
		local, remote = "2001:db8::1", "2001:db8::2"
	}
	port := uint16(0)
	encap = l2tp.EncapIP
	if c.Encap == "udp4" || c.Encap == "udp6" {
		port, encap = udpPort, l2tp.EncapUDP
	}
	return netip.AddrPortFrom(netip.MustParseAddr(local), port), netip.AddrPortFrom(netip.MustParseAddr(remote), port), encap
}

// outer is what the peer sends to the box.
func (c Config) outer() *traffic.Outer {
	box, peer, _ := c.ends()
	return &traffic.Outer{Src: generatorMAC, Dst: inMAC, Local: peer, Peer: box, SessionID: sessionID, Cookie: cookie()}
}
