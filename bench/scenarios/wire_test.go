package scenarios

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"xwire/bench/lab"
)

// wire is one pseudowire between the boxes of a world. What is an array belongs to
// box 0 and box 1; the configuration of each follows from it.
type wire struct {
	name      string
	udp, six  bool
	port      [2]uint16 // UDP; 0: 1701
	sid       [2]uint32
	cookie    [2]string // what the box accepts, in hex
	sublayer  string    // "": none
	kind      string    // "": eth
	vlan      [2]string
	pwVLAN    [2]string // "": keep
	more      string    // further keys of the tunnel
	ofSession string    // and of the session
}

func (w *wire) addr(i int) netip.Addr {
	if w.six {
		return core6[i]
	}
	return core4[i]
}

func (w *wire) endpoint(i int) netip.AddrPort {
	port := w.port[i]
	if w.udp && port == 0 {
		port = 1701
	}
	return netip.AddrPortFrom(w.addr(i), port)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// toml is the wire as box i has it.
func (w *wire) toml(i int) string {
	var b strings.Builder
	encap, local, peer := "ip", w.addr(i).String(), w.addr(1-i).String()
	if w.udp {
		encap, local, peer = "udp", w.endpoint(i).String(), w.endpoint(1-i).String()
	}
	fmt.Fprintf(&b, "[tunnel.%s]\nencap = %q\nlocal = %q\npeer = %q\ntid = %d\nptid = %d\n%s\n",
		w.name, encap, local, peer, w.sid[i], w.sid[1-i], w.more)
	fmt.Fprintf(&b, "[tunnel.%s.session.s]\npseudowire = %q\nsid = %d\npsid = %d\nl2spec_type = %q\n",
		w.name, orElse(w.kind, "eth"), w.sid[i], w.sid[1-i], orElse(w.sublayer, "none"))
	fmt.Fprintf(&b, "attach = \"ac0\"\nvlan = %q\npw_vlan = %q\n", w.vlan[i], orElse(w.pwVLAN[i], "keep"))
	b.WriteString(w.ofSession)
	if c := w.cookie[1-i]; c != "" {
		fmt.Fprintf(&b, "tx_cookie = %q\n", c)
	}
	if c := w.cookie[i]; c != "" {
		fmt.Fprintf(&b, "rx_cookie = %q\n", c)
	}
	return b.String()
}

// session is the wire's session as `show session` names it.
func (w *wire) session() string { return w.name + "/s" }

// config is the configuration of box i with these wires.
func config(i int, wires ...*wire) string {
	text := corePort + accessPort
	for _, w := range wires {
		text += w.toml(i)
	}
	return text
}

// stations are the addresses of numbered frames: source at site 0, source at site 1.
var stations = [2]net.HardwareAddr{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}

// sizes are those of numbered frames, without tags.
var sizes = []int{60, 61, 590, 1513, 1514}

// taggedMTU is that of access links where full frames have more tags than the one that a veth
// device has room for beside its MTU.
const taggedMTU = 1500 + 3*4

// vids makes tags of the customer's: the outer of two is an S-tag.
func vids(ids ...uint16) (tags []lab.Tag) {
	for i, id := range ids {
		tpid := uint16(0x8100)
		if len(ids) == 2 && i == 0 {
			tpid = 0x88a8
		}
		tags = append(tags, lab.Tag{TPID: tpid, TCI: id})
	}
	return tags
}

// nextRun numbers streams so that none is taken for another.
func nextRun() uint64 { return uint64(time.Now().UnixNano()) }

// try sends numbered frames with these tags from one site to the other and tells what arrived.
// quiet is how long to wait for frames that do not come.
func (w *world) try(t *testing.T, from int, tags []lab.Tag, count uint64, quiet time.Duration) lab.StreamReport {
	t.Helper()
	run := nextRun()
	sink, err := w.sites[1-from].ReceiveStream("eth0", run)
	must(t, err)
	defer sink.Close()
	_, err = w.sites[from].SendStream(t.Context(), "eth0", lab.Stream{
		Run: run, Count: count, Sizes: sizes, Rate: 2000, Tags: tags, Dst: stations[1-from], Src: stations[from]})
	must(t, err)
	return sink.Wait(t.Context(), count, quiet)
}

// carry wants every numbered frame at the other site once, whole, in order, with the tags named as
// lab.StreamReport does ("untagged", "100", "100.20").
func (w *world) carry(t *testing.T, from int, tags []lab.Tag, wantTags string) {
	t.Helper()
	const count = 40
	r := w.try(t, from, tags, count, soon)
	if r.Received != count || r.Duplicates+r.Torn+r.Reordered+r.Dropped != 0 || r.Tags[wantTags] != count {
		t.Errorf("from site %d with tags %v: sent %d, %v, tags %v, want all %s", from, tags, count, r, r.Tags, wantTags)
	}
}

// refuse wants no frame at the other site.
func (w *world) refuse(t *testing.T, from int, tags []lab.Tag) {
	t.Helper()
	if r := w.try(t, from, tags, 20, 100*time.Millisecond); r.Received+r.Torn+r.Duplicates != 0 {
		t.Errorf("from site %d with tags %v: frames passed: %v, tags %v", from, tags, r, r.Tags)
	}
}
