package scenarios

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"xwire/bench/lab"
)

// announced is the MSS of each TCP SYN over IPv4 that was captured.
func announced(c *lab.Capture) (list []int) {
	for _, f := range c.Frames() {
		b := f.Frame
		if len(b) < 14+20+20 || binary.BigEndian.Uint16(b[12:]) != 0x0800 || b[14+9] != 6 {
			continue
		}
		tcp := b[14+int(b[14]&15)*4:]
		if tcp[13]&2 == 0 {
			continue
		}
		for o := tcp[20 : int(tcp[12]>>4)*4]; len(o) >= 4; {
			switch {
			case o[0] == 1:
				o = o[1:]
				continue
			case o[0] == 2:
				list = append(list, int(binary.BigEndian.Uint16(o[2:])))
			}
			o = o[max(int(o[1]), 2):]
		}
	}
	return list
}

// TestMSSClamp has customers with 1500 bytes open TCP connections through a core of 1500, which drops what
// does not fit: one end that clamps is enough for both directions.
func TestMSSClamp(t *testing.T) {
	const drop = "oversize = \"drop\"\n"
	whole := [2]string{"all", "all"}
	for _, c := range []struct {
		name, clamp string
		x           *wire // nil: a local interface on host 0
		want        int
	}{
		{"ip4", "true", &wire{name: "x", vlan: whole}, 1500 - 20 - 4 - 14 - 40},
		{"udp6", "true", &wire{name: "x", udp: true, six: true, vlan: whole, sublayer: "default", cookie: [2]string{"0102030405060708", "0102030405060708"}}, 1500 - 40 - 8 - 4 - 4 - 8 - 4 - 14 - 40},
		{"a number", "1000", &wire{name: "x", vlan: whole}, 1000},
		{"a local interface", "true", nil, 1500 - 20 - 4 - 14 - 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pair(t, shape{CoreMTU: 1500})
			ends, names := w.sites, [2]string{"eth0", "eth0"}
			x := c.x
			if x == nil {
				x = &wire{name: "x", vlan: whole}
			}
			x.sid, x.ofSession = [2]uint32{1, 2}, drop
			w.start(t, 1, config(1, x))
			x.ofSession += "mss_clamp = " + c.clamp + "\n"
			near := config(0, x)
			if c.x == nil {
				near = corePort + strings.Replace(x.toml(0), "attach = \"ac0\"\nvlan = \"all\"\npw_vlan = \"keep\"\n", "interface_name = \"cust\"\nmtu = 1500\n", 1)
			}
			w.start(t, 0, near)
			if c.x == nil {
				ends[0], names[0] = w.hosts[0], "cust"
				must(t, ends[0].AddAddr("cust", netip.PrefixFrom(siteAddr[0], 24)))
				must(t, ends[0].SetLink("cust", true))
			}
			for from := range 2 {
				var seen [2]*lab.Capture
				for i := range seen {
					var err error
					seen[i], err = ends[i].Capture(names[i])
					must(t, err)
					defer seen[i].Close()
				}
				r, err := lab.Transfer(t.Context(), ends[from], ends[1-from], siteAddr[1-from], lab.TransferConfig{Bytes: 1 << 20})
				if err != nil || !r.Whole() {
					t.Errorf("from end %d: %+v, %v", from, r, err)
				}
				for i := range seen {
					var got []int
					until(t, "the SYN is captured", func() (bool, string) { got = announced(seen[i]); return len(got) > 0, "" })
					// Where nothing answers for a second the SYN is sent again.
					if slices.ContainsFunc(got, func(mss int) bool { return mss != c.want }) {
						t.Errorf("from end %d: end %d was told MSS %v, want %d", from, i, got, c.want)
					}
				}
			}
			for i := range w.boxes {
				for _, p := range balanced(t, w.boxes[i]) {
					if p.Drops["oversize"] != 0 {
						t.Errorf("box %d: port %s dropped %v", i, p.Name, p.Drops)
					}
				}
			}
		})
	}
}
