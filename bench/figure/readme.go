package figure

import (
	"fmt"
	"strings"
)

// Forwarding is the table and the picture of the README, made of a recording of `xwire bench veth` and
// one of `xwire bench core`.
func Forwarding(veth, core *Results) (table, picture string, err error) {
	const size = 64
	var b strings.Builder
	fmt.Fprintf(&b, "| frames of %d bytes over veth, %s mode | Mpps | to our forward | range of the ratio |\n|---|---|---|---|\n", size, veth.Header["mode"])
	name := func(c string) string { return fmt.Sprintf("Veth/case=%s/size=%d", c, size) }
	forward := veth.Rounds(name("forward"), "Mpps")
	if len(forward) == 0 {
		return "", "", fmt.Errorf("make the README's figures: no %s in the recording", name("forward"))
	}
	var bars []Bar
	for _, c := range []struct {
		key, label string
		ours       bool
	}{
		{"forward", "xwire, forward only", true}, {"encap", "xwire, L2TPv3 encap", true}, {"decap", "xwire, L2TPv3 decap", true},
		{"asavie-copy", "asavie/xdp, copying", false}, {"testpmd", "DPDK testpmd, af_xdp", false},
		{"bridge", "kernel bridge", false}, {"vxlan", "kernel VXLAN encap", false},
	} {
		v := veth.Rounds(name(c.key), "Mpps")
		if len(v) == 0 {
			continue
		}
		ratios := Ratios(v, forward)
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.0f %% |\n", c.label, Median(v), Median(ratios), SpreadPercent(ratios))
		bars = append(bars, Bar{c.label, v, c.ours})
	}
	fmt.Fprintf(&b, "\n| in process, frames of %d bytes, 4096 in turn | ns a packet, net | range |\n|---|---|---|\n", size)
	for _, c := range []struct{ name, label string }{
		{"Pair/encap=ip4/size=64/sessions=1/frames=4096/cookie=8", "encap and decap together, IPv4, one session"},
		{"Pair/encap=ip4/size=64/sessions=1/frames=128/cookie=8", "the same, 128 frames in turn"},
		{"Pair/encap=udp6/size=64/sessions=1/frames=4096/cookie=8", "the same as the first, UDP over IPv6, no checksums"},
		{"Pair/encap=udp6/size=64/sessions=1/frames=4096/cookie=8/checksum=on", "the same, with checksums"},
		{"Encap/encap=ip4/size=64/sessions=100000/frames=4096/cookie=8", "encap, 100,000 sessions at random"},
		{"Decap/encap=ip4/size=64/sessions=100000/frames=4096/cookie=8", "decap, 100,000 sessions at random"},
	} {
		v := core.Rounds(c.name, "ns/packet")
		if len(v) == 0 {
			return "", "", fmt.Errorf("make the README's figures: no %s in the recording", c.name)
		}
		fmt.Fprintf(&b, "| %s | %.1f | %.0f %% |\n", c.label, Median(v), SpreadPercent(v))
	}
	fmt.Fprintf(&b, "\n%s, Linux %s, %s; medians and whole ranges of %d rounds.\n",
		veth.Header["cpu"], veth.Header["kernel"], strings.SplitN(veth.Header["date"], ",", 2)[0], len(forward))
	title := fmt.Sprintf("Frames of %d bytes from veth to veth, %s mode, one CPU", size, veth.Header["mode"])
	return b.String(), Bars(title, "Mpps", bars), nil
}
