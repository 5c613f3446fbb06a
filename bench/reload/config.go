package reload

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"xwire/bench/traffic"
	"xwire/l2tp"
)

var (
	boxAddr  = netip.MustParseAddr("192.0.2.1")
	peerAddr = netip.MustParseAddr("192.0.2.2")
	boxMAC   = l2tp.MAC{2, 0, 0, 0, 0, 1}
	siteMAC  = l2tp.MAC{2, 0, 0, 0, 0, 2}
	peerMAC  = l2tp.MAC{2, 0, 0, 0, 0, 3}
)

const (
	perTunnel = 1000
	perOuter  = 4000
	// most is how many sessions have QinQ pairs below the outer tag of those that come and go.
	most = perOuter * (comingTag - 1)
	// comingTag is the outer tag of sessions that reloads add.
	comingTag = 4000
	// watched is how many sessions carry frames: as many as the generator has kinds of frames.
	watched = 16
	// perReload is how many sessions come, how many go and how many change with each reload.
	perReload = 20
)

// tags are the QinQ pair of session n, from 1.
func tags(n int) []l2tp.Tag {
	return []l2tp.Tag{{TPID: 0x88a8, TCI: uint16(1 + n/perOuter)}, {TPID: 0x8100, TCI: uint16(1 + n%perOuter)}}
}

// watchedSessions are the sessions that carry frames, the first and the last among them.
func watchedSessions(sessions int) []int {
	list := make([]int, 0, watched)
	for i := range watched {
		list = append(list, 1+i*(sessions-1)/(watched-1))
	}
	return list
}

// files are the configurations of a box, one for each reload.
type files struct {
	sessions, cpu int
	tunnels       []string // texts of the sessions that are there all the time, a thousand each
}

func newFiles(sessions, cpu int) *files {
	f := &files{sessions: sessions, cpu: cpu}
	for n := 0; n <= sessions; n += perTunnel {
		f.tunnels = append(f.tunnels, f.tunnel(n/perTunnel, nil))
	}
	return f
}

// tunnel is the text of a tunnel. Sessions that are changed have another cookie.
func (f *files) tunnel(t int, changed map[int]bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[tunnel.t%d]\nencap = \"ip\"\nlocal = %q\npeer = %q\ntid = %d\nptid = %d\n", t, boxAddr, peerAddr, t+1, t+1)
	for n := max(t*perTunnel, 1); n < (t+1)*perTunnel && n <= f.sessions; n++ {
		pair, tx := tags(n), uint64(n)
		if changed[n] {
			tx |= 1 << 63
		}
		fmt.Fprintf(&b, "[tunnel.t%d.session.c%d]\nsid = %d\npsid = %d\ntx_cookie = \"%016x\"\nrx_cookie = \"%016x\"\nvlan = \"%d.%d\"\n",
			t, n, n, n, tx, n+1, pair[0].TCI, pair[1].TCI)
	}
	return b.String()
}

// text is the file of a reload: 20 sessions have other cookies than the time before and 20 have their old
// ones again, 20 are new and those that were new are gone, every other time with a port of their own. The
// first, round 0, has none of this.
func (f *files) text(round int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[appliance]\ncpus = [%d]\n[port.core0]\ninterface = \"core0\"\n[port.ac0]\ninterface = \"ac0\"\n", f.cpu)
	attach := "ac0"
	if round%2 == 1 {
		attach = "ac1"
		b.WriteString("[port.ac1]\ninterface = \"ac1\"\n")
	}
	b.WriteString("[defaults.session]\nl2spec_type = \"none\"\nattach = \"ac0\"\n")
	other := -1
	if round > 0 {
		other = round * 7 % len(f.tunnels)
	}
	for t, text := range f.tunnels {
		if t == other {
			text = f.tunnel(t, f.changed(t))
		}
		b.WriteString(text)
	}
	if round > 0 {
		for k := range perReload {
			n := round*perReload + k
			fmt.Fprintf(&b, "[tunnel.t0.session.new%d]\nsid = %d\npsid = 1\nattach = %q\nvlan = \"%d.%d\"\n", n, 1<<24+n, attach, comingTag, 1+n%perOuter)
		}
	}
	return b.String()
}

// changed are sessions of a tunnel that no frame is sent for.
func (f *files) changed(t int) map[int]bool {
	list := map[int]bool{}
	for n := max(t*perTunnel, 1); n <= f.sessions && len(list) < perReload; n++ {
		if !slices.Contains(watchedSessions(f.sessions), n) {
			list[n] = true
		}
	}
	return list
}

// tagged puts tags into a frame.
func tagged(frame []byte, list []l2tp.Tag) []byte {
	var dst, src l2tp.MAC
	copy(dst[:], frame)
	copy(src[:], frame[6:])
	return append(traffic.AppendEthernet(nil, dst, src, list), frame[12:]...)
}

// overhead is what a watched session's packets have before its frames.
func overhead() int {
	return l2tp.EthernetLen + l2tp.Overhead(false, l2tp.EncapIP, 8, l2tp.SublayerNone)
}
