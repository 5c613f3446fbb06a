package start

import (
	"fmt"
	"net/netip"
	"strings"

	"xwire/bench/lab"
)

var (
	boxAddr  = netip.MustParseAddr("192.0.2.1")
	peerAddr = netip.MustParseAddr("192.0.2.2")
)

const (
	perTunnel = 1000
	perOuter  = 4000
	// mostSessions is where the outer tags end.
	mostSessions = 4094*perOuter - 1
)

// tags are the QinQ pair of session n, from 1.
func tags(n int) []lab.Tag {
	return []lab.Tag{{TPID: 0x88a8, TCI: uint16(1 + n/perOuter)}, {TPID: 0x8100, TCI: uint16(1 + n%perOuter)}}
}

// configuration has that many sessions, each a QinQ pair of the access port with cookies of its own,
// a thousand a tunnel.
func configuration(sessions int) string {
	var b strings.Builder
	b.WriteString("[port.core0]\ninterface = \"core0\"\n[port.ac0]\ninterface = \"ac0\"\n[defaults.session]\nl2spec_type = \"none\"\nattach = \"ac0\"\n")
	tunnel := -1
	for n := 1; n <= sessions; n++ {
		if n/perTunnel != tunnel {
			tunnel = n / perTunnel
			fmt.Fprintf(&b, "[tunnel.t%d]\nencap = \"ip\"\nlocal = %q\npeer = %q\ntid = %d\nptid = %d\n", tunnel, boxAddr, peerAddr, tunnel+1, tunnel+1)
		}
		pair := tags(n)
		fmt.Fprintf(&b, "[tunnel.t%d.session.c%d]\nsid = %d\npsid = %d\ntx_cookie = \"%016x\"\nrx_cookie = \"%016x\"\nvlan = \"%d.%d\"\n",
			tunnel, n, n, n, n, n+1, pair[0].TCI, pair[1].TCI)
	}
	return b.String()
}
