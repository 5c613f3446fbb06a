package scenarios

import (
	"fmt"
	"testing"

	"xwire/bench/lab"
)

// matrix is every mix of family, encapsulation, cookie and sublayer, told apart by VLAN at both
// ends, and two wires whose directions differ in their cookies.
func matrix() (wires []*wire) {
	add := func(six, udp bool, cookies [2]int, sublayer string) {
		n := len(wires)
		w := &wire{
			six: six, udp: udp, sublayer: sublayer, vlan: vlanOf(n), pwVLAN: [2]string{"none", "none"},
			name: fmt.Sprintf("ip%s-%s-%d-%d-%s", map[bool]string{false: "4", true: "6"}[six],
				map[bool]string{false: "ip", true: "udp"}[udp], cookies[0], cookies[1], sublayer),
			sid: [2]uint32{uint32(1000 + n), uint32(2000 + n)},
		}
		for i, length := range cookies {
			w.cookie[i] = fmt.Sprintf("%016x", 0x0102030405060000+uint64(i)<<63+uint64(n))[16-2*length:]
		}
		if udp {
			w.port = [2]uint16{1701, 1702} // many tunnels with one 5-tuple
		}
		wires = append(wires, w)
	}
	for _, six := range []bool{false, true} {
		for _, udp := range []bool{false, true} {
			for _, length := range []int{0, 4, 8} {
				for _, sublayer := range []string{"none", "default"} {
					add(six, udp, [2]int{length, length}, sublayer)
				}
			}
		}
	}
	add(false, true, [2]int{8, 0}, "none")
	add(true, false, [2]int{4, 8}, "default")
	return wires
}

func vlanOf(n int) [2]string { return [2]string{fmt.Sprint(100 + n), fmt.Sprint(600 + n)} }

// TestForward has every mix in one process at each end, with UDP checksums on for IPv4 too.
func TestForward(t *testing.T) {
	w := pair(t, shape{})
	wires := matrix()
	for _, x := range wires {
		if x.udp && !x.six {
			x.more = "udp_checksum = true"
		}
	}
	a, b := w.start(t, 0, config(0, wires...)), w.start(t, 1, config(1, wires...))
	for n, x := range wires {
		t.Run(x.name, func(t *testing.T) {
			w.carry(t, 0, vids(uint16(100+n)), fmt.Sprint(600+n))
			w.carry(t, 1, vids(uint16(600+n)), fmt.Sprint(100+n))
			agree(t, a, b, x, 40)
		})
	}
}

// agree wants what one end counts as sent to be what the other counts as received, and no errors.
func agree(t *testing.T, a, b *lab.Box, x *wire, frames uint64) {
	t.Helper()
	sa, sb := sessionOf(t, a, x.session()), sessionOf(t, b, x.session())
	if sa.TxPackets != frames || sb.TxPackets != frames || sa.TxPackets != sb.RxPackets || sb.TxPackets != sa.RxPackets ||
		sa.TxBytes != sb.RxBytes || sb.TxBytes != sa.RxBytes {
		t.Errorf("the ends' counters differ, want %d frames both ways:\n%+v\n%+v", frames, sa.Statistics, sb.Statistics)
	}
	if n := sa.TxErrors + sa.RxErrors + sb.TxErrors + sb.RxErrors + sa.Suspect + sb.Suspect; n != 0 {
		t.Errorf("errors:\n%+v\n%+v", sa, sb)
	}
}
