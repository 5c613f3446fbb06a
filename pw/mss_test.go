package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"xwire/l2tp"
)

// tcpFrame is a TCP segment with these flags and options, padded, in a frame with n tags. Its checksum
// is right.
func tcpFrame(ip6 bool, tags int, flags byte, options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	tcp := make([]byte, 20, 80)
	binary.BigEndian.PutUint32(tcp, 0x12345678)
	tcp[12], tcp[13] = byte(5+len(options)/4)<<4, flags
	tcp = append(append(tcp, options...), "some data"...)
	b := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, bytes.Repeat([]byte{0x81, 0, 0, 7}, tags)...)
	if ip6 {
		ip := make([]byte, 40)
		l2tp.IPv6(ip).Encode(&l2tp.IPv6Fields{PayloadLen: uint16(len(tcp)), NextHeader: 6, Src: [16]byte{1}, Dst: [16]byte{2}})
		binary.BigEndian.PutUint16(tcp[16:], ^l2tp.Sum(l2tp.AddSum(l2tp.PseudoSum(ip[8:24], ip[24:40], 6), uint16(len(tcp))), tcp))
		return append(append(append(b, 0x86, 0xdd), ip...), tcp...)
	}
	ip := make([]byte, 20)
	l2tp.IPv4(ip).Encode(&l2tp.IPv4Fields{TotalLen: uint16(20 + len(tcp)), TTL: 9, Protocol: 6, Src: [4]byte{1}, Dst: [4]byte{2}})
	binary.BigEndian.PutUint16(tcp[16:], ^l2tp.Sum(l2tp.AddSum(l2tp.PseudoSum(ip[12:16], ip[16:20], 6), uint16(len(tcp))), tcp))
	return append(append(append(b, 8, 0), ip...), tcp...)
}

// tcpSum is 0xffff for a frame of tcpFrame whose checksum is right.
func tcpSum(frame []byte, ip6 bool, tags int) uint16 {
	ip := frame[14+4*tags:]
	if ip6 {
		return l2tp.Sum(l2tp.AddSum(l2tp.PseudoSum(ip[8:24], ip[24:40], 6), uint16(len(ip)-40)), ip[40:])
	}
	return l2tp.Sum(l2tp.AddSum(l2tp.PseudoSum(ip[12:16], ip[16:20], 6), uint16(len(ip)-20)), ip[20:])
}

// mss is what a frame announces; 0: nothing.
func mss(frame []byte) int {
	if i := bytes.Index(frame[34:], []byte{2, 4}); i >= 0 {
		return int(u16(frame[34+i+2:]))
	}
	return 0
}

// Where there are two, neither is left as it was.
func TestClampTwoOptions(t *testing.T) {
	b := tcpFrame(false, 0, tcpSyn, 2, 4, 5, 180, 1, 2, 4, 6, 0)
	clamp(b, 1446, 0)
	if got := b[54:63]; !bytes.Equal(got, []byte{2, 4, 5, 126, 1, 2, 4, 5, 126}) || tcpSum(b, false, 0) != 0xffff {
		t.Errorf("options %v, sum %#x", got, tcpSum(b, false, 0))
	}
}

func TestClamp(t *testing.T) {
	const syn, ack = 2, 16
	of1460 := []byte{2, 4, 1460 >> 8, 1460 & 255}
	for _, tt := range []struct {
		name    string
		ip6     bool
		tags    int
		flags   byte
		options []byte
		mtu, to int
		want    int
	}{
		{name: "by path", flags: syn, options: of1460, mtu: 1446, want: 1406},
		{name: "by path over IPv6", ip6: true, flags: syn, options: of1460, mtu: 1446, want: 1386},
		{name: "SYN and ACK", flags: syn | ack, options: of1460, mtu: 1446, want: 1406},
		{name: "in two tags", tags: 2, flags: syn, options: of1460, mtu: 1446, want: 1406},
		{name: "to a number", flags: syn, options: of1460, to: 1000, want: 1000},
		{name: "low enough", flags: syn, options: of1460, mtu: 1500, want: 1460},
		{name: "no SYN", flags: ack, options: of1460, mtu: 1446, want: 1460},
		{name: "at an odd place", flags: syn, options: append([]byte{1}, of1460...), mtu: 1446, want: 1406},
		{name: "behind others", flags: syn, options: append([]byte{4, 2, 3, 3, 7, 8, 10, 9, 9, 9, 9, 9, 9, 9, 9}, of1460...), mtu: 1446, want: 1406},
		{name: "behind the end", flags: syn, options: append([]byte{0, 0, 0, 0}, of1460...), mtu: 1446, want: 1460},
		{name: "behind a wrong length", flags: syn, options: append([]byte{3, 0, 0, 0}, of1460...), mtu: 1446, want: 1460},
		{name: "no option", flags: syn, mtu: 1446},
		{name: "a path of nothing", flags: syn, options: of1460, mtu: 40, want: 536},
		{name: "a path of nothing over IPv6", ip6: true, flags: syn, options: of1460, mtu: 40, want: 1220},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tcpFrame(tt.ip6, tt.tags, tt.flags, tt.options...)
			if tcpSum(b, tt.ip6, tt.tags) != 0xffff {
				t.Fatal("the test's own checksum is wrong")
			}
			clamp(b, tt.mtu, tt.to)
			if got := mss(b[4*tt.tags:]); got != tt.want {
				t.Errorf("MSS %d, want %d", got, tt.want)
			}
			if sum := tcpSum(b, tt.ip6, tt.tags); sum != 0xffff {
				t.Errorf("checksum is wrong: %#x", sum)
			}
		})
	}
}

// A customer's own PPPoE session takes eight bytes more.
func TestClampInPPPoE(t *testing.T) {
	for _, ip6 := range []bool{false, true} {
		for tags := range 3 {
			plain := tcpFrame(ip6, tags, 2, 2, 4, 1460>>8, 1460&255)
			at, protocol, headers := 12+4*tags, []byte{0, 0x21}, 40
			if ip6 {
				protocol, headers = []byte{0, 0x57}, 60
			}
			ip := plain[at+2:]
			head := join(plain[:at], []byte{0x88, 0x64, 0x11, 0, 0, 7, 0, byte(2 + len(ip))}, protocol)
			for _, tt := range []struct{ mtu, mss, want int }{{1446, 0, 1446 - 8 - headers}, {1500, 1000, 1000}, {9000, 0, 1460}} {
				b := join(head, ip)
				clamp(b, tt.mtu, tt.mss)
				inside := join(plain[:at+2], b[len(head):])
				if got := mss(inside[4*tags:]); got != tt.want || tcpSum(inside, ip6, tags) != 0xffff || !bytes.Equal(b[:len(head)], head) {
					t.Errorf("IPv6 %v, %d tags, MTU %d: MSS %d, want %d; checksum %#x", ip6, tags, tt.mtu, got, tt.want, tcpSum(inside, ip6, tags))
				}
				for n := range b { // cut anywhere: nothing but to come back
					clamp(b[:n:n], tt.mtu, tt.mss)
				}
			}
		}
	}
}

// A session clamps in both directions, by what its own path leaves, and no other does.
func TestClampOfSession(t *testing.T) {
	for _, c := range []struct {
		mss, want int
	}{{0, 1460}, {MSSByPath, 1500 - 20 - 12 - 14 - 40}, {1200, 1200}} {
		t.Run(fmt.Sprint(c.mss), func(t *testing.T) {
			near, far := sizeBox(t, ip4, 1500, OversizeFragment)
			spec, _ := near.table.Session(1)
			spec.MSS = c.mss
			if err := near.table.SetSession(1, spec); err != nil {
				t.Fatal(err)
			}
			if got, _ := near.table.Session(1); got != spec {
				t.Errorf("reads back as %+v, want %+v", got, spec)
			}
			syn := tcpFrame(false, 0, 2, 2, 4, 1460>>8, 1460&255)
			for range 3 {
				_, packet := near.one(1, syn)
				if out, got := far.one(0, packet); out != 1 || mss(got) != c.want || tcpSum(got, false, 0) != 0xffff {
					t.Fatalf("encap: MSS %d, want %d; out of %d", mss(got), c.want, out)
				}
				_, packet = far.one(1, syn)
				if out, got := near.one(0, packet); out != 1 || mss(got) != c.want || tcpSum(got, false, 0) != 0xffff {
					t.Fatalf("decap: MSS %d, want %d; out of %d", mss(got), c.want, out)
				}
			}
			assertNoAllocs(t, near, 1, 256, syn)
		})
	}
}

// What counts are the tags inside the pseudowire: not those that are taken off, as a local interface's on
// the trunk, and the one that is put in.
func TestClampCountsTagsInside(t *testing.T) {
	const fits = 1500 - 20 - 12 - 14 - 40
	for _, tt := range []struct {
		name string
		vlan VLANMatch
		pw   PWTags
		tags int // of the frame, outermost that of the circuit
		want int
	}{
		{"kept", VLANMatch{Kind: VLANSingle, Lo: 7}, PWTags{}, 1, fits - 4},
		{"taken off", VLANMatch{Kind: VLANSingle, Lo: 7}, PWTags{Kind: PWNone}, 1, fits},
		{"taken off, with the customer's", VLANMatch{Kind: VLANSingle, Lo: 7}, PWTags{Kind: PWNone}, 2, fits - 4},
		{"two taken off", VLANMatch{Kind: VLANQinQ, Lo: 7, C: 7}, PWTags{Kind: PWNone}, 2, fits},
		{"two replaced by one", VLANMatch{Kind: VLANQinQ, Lo: 7, C: 7}, PWTags{Kind: PWVID, VID: 9}, 2, fits - 4},
		{"put in", VLANMatch{Kind: VLANUntagged}, PWTags{Kind: PWVID, VID: 9}, 0, fits - 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := sizeBox(t, ip4, 1500, OversizeFragment)
			spec, _ := near.table.Session(1)
			spec.MSS, spec.AC.VLAN, spec.AC.PW = MSSByPath, tt.vlan, tt.pw
			if err := near.table.SetSession(1, spec); err != nil {
				t.Fatal(err)
			}
			_, packet := near.one(1, tcpFrame(false, tt.tags, 2, 2, 4, 1460>>8, 1460&255))
			_, inside := far.one(0, packet)
			if got := mss(inside[4*len(tagsOf(inside)):]); got != tt.want {
				t.Errorf("to the pseudowire: MSS %d, want %d", got, tt.want)
			}
			tags := len(tagsOf(inside))
			back := tcpFrame(false, tags, 2, 2, 4, 1460>>8, 1460&255)
			copy(back[12:], inside[12:12+4*tags])
			_, packet = far.one(1, back)
			if out, got := near.one(0, packet); out != 1 || mss(got[4*len(tagsOf(got)):]) != tt.want {
				t.Errorf("from it: MSS %d, want %d; %v", mss(got), tt.want, dropsAt(near.table, 0))
			}
		})
	}
}

// FuzzClamp: at most the MSS options of a header (40 bytes have room for ten) and its checksum change, and what was
// clamped needs no more clamping.
func FuzzClamp(f *testing.F) {
	f.Add(tcpFrame(false, 1, 2, 2, 4, 5, 0xb4), 1400)
	f.Add(tcpFrame(true, 0, 2, 1, 2, 4, 5, 0xb4), 1400)
	f.Add(tcpFrame(true, 0, 2, 2, 4, 5, 0xb4, 2, 4, 5, 0xb4), 1276)
	f.Add(join(make([]byte, 12), []byte{0x88, 0x64, 0x11, 0, 0, 7, 0, 60, 0, 0x21}, tcpFrame(false, 0, 2, 2, 4, 5, 0xb4)[14:]), 1400)
	f.Fuzz(func(t *testing.T, frame []byte, mtu int) {
		before := bytes.Clone(frame)
		clamp(frame, mtu, 0)
		changed := 0
		for i := range frame {
			if frame[i] != before[i] {
				changed++
			}
		}
		if changed > 10*2+2 {
			t.Errorf("%d bytes changed, at most ten MSS and a checksum may", changed)
		}
		once := bytes.Clone(frame)
		if clamp(frame, mtu, 0); !bytes.Equal(frame, once) {
			t.Errorf("clamped once:\n%x\ntwice:\n%x", once, frame)
		}
	})
}
