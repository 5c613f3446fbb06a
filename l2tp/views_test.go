package l2tp

import (
	"encoding/hex"
	"strings"
	"testing"
)

func bytesOf(t testing.TB, lines ...string) []byte {
	t.Helper()
	var s strings.Builder
	for _, l := range lines {
		l, _, _ = strings.Cut(l, "//")
		s.WriteString(strings.Join(strings.Fields(l), ""))
	}
	b, err := hex.DecodeString(s.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDataOverUDPRFC3931Section4121(t *testing.T) {
	frame := Ethernet(bytesOf(t,
		"02 00 00 00 00 01 02 00 00 00 00 02", // addresses
		"88a8 6064 8100 000a 0800",            // S-tag 100 PCP 3, C-tag 10, IPv4
		"45 00 0034 1234 0000 40 11 0000",     // IPv4, total length 52, UDP
		"c0 00 02 01 c6 33 64 07",             // source, destination
		"06a5 06a6 0020 0000",                 // UDP
		"0003 0000",                           // flags
		"11223344 0102030405060708 40000007",  // session id, cookie, sublayer
		"ffffffff",
	))
	tags, n, typ := frame.Tags()
	if n != 2 || typ != TypeIPv4 || tags[0] != (Tag{TPIDS, 0x6064}) || tags[0].VID() != 100 || tags[1].VID() != 10 {
		t.Fatalf("Tags() = %v, %d, %#x", tags, n, typ)
	}
	ip := IPv4(frame[22:])
	if !ip.Valid() || ip.Protocol() != ProtoUDP || ip.Fragment() || ip.Src() != [4]byte{192, 0, 2, 1} || ip.TTL() != 64 {
		t.Fatalf("IPv4 = %x", []byte(ip))
	}
	u := UDP(ip[ip.HeaderLen():ip.TotalLen()])
	if !u.Valid() || u.SrcPort() != 1701 || u.DstPort() != 1702 || u.Len() != 32 || u.Checksum() != 0 {
		t.Fatalf("UDP = %x", []byte(u))
	}
	d := Data(u[UDPLen+FlagsLen:])
	if d.SessionID() != 0x11223344 || hex.EncodeToString(d.Cookie(8)) != "0102030405060708" || d.Sublayer(8) != SublayerS|7 {
		t.Fatalf("Data = %x", []byte(d))
	}
}

func TestIsData(t *testing.T) {
	for flags, want := range map[uint16]bool{
		0x0003: true, 0x0013: true, 0x4003: true, 0x7ff3: true, 0x0803: true, // reserved bits are ignored
		0x8003: false, 0xc803: false, 0x0002: false, 0x0000: false, 0x0004: false, 0x000f: false,
	} {
		if got := IsData(flags); got != want {
			t.Errorf("IsData(%#04x) = %t, want %t", flags, got, want)
		}
	}
}

func TestIPv4EncodeIsValid(t *testing.T) {
	p := make(IPv4, IPv4Len)
	p.Encode(&IPv4Fields{TotalLen: 20, TTL: 64, Protocol: ProtoL2TP, Src: [4]byte{1, 2, 3, 4}, Dst: [4]byte{5, 6, 7, 8}})
	if !p.Valid() || Sum(0, p) != 0xffff {
		t.Errorf("%x: checksum does not verify", []byte(p))
	}
}

func TestTagsAreNotReadPastTheEnd(t *testing.T) {
	full := bytesOf(t, "ffffffffffff 020000000001 8100 0064 8100 0065 0800")
	for n := EthernetLen; n <= len(full); n++ {
		_, got, _ := Ethernet(full[:n:n]).Tags()
		want := 0
		if n >= 18 {
			want = 1
		}
		if n >= 22 {
			want = 2
		}
		if got != want {
			t.Errorf("%d bytes: %d tags, want %d", n, got, want)
		}
	}
}

// The table of the kernel's l2tpeth MTUs over a path of 1500 bytes.
func TestEthMTUAsTheKernel(t *testing.T) {
	for _, c := range []struct {
		ip6  bool
		e    Encap
		ck   int
		s    Sublayer
		path int
		want int
	}{
		{false, EncapIP, 0, SublayerDefault, 1500, 1458},
		{false, EncapUDP, 0, SublayerDefault, 1500, 1446},
		{true, EncapIP, 0, SublayerDefault, 1500, 1438},
		{true, EncapUDP, 0, SublayerDefault, 1500, 1426},
		{false, EncapIP, 0, SublayerNone, 1500, 1462},
		{false, EncapUDP, 0, SublayerNone, 1500, 1450},
		{true, EncapIP, 0, SublayerNone, 1500, 1442},
		{true, EncapUDP, 0, SublayerNone, 1500, 1430},
		{false, EncapIP, 8, SublayerDefault, 1500, 1450},
		{false, EncapIP, 4, SublayerNone, 9000, 8958},
		{false, EncapIP, 0, SublayerDefault, 10, 1458},
		{false, EncapIP, 0, SublayerDefault, 70000, 1458},
	} {
		if got := EthMTU(c.path, c.ip6, c.e, c.ck, c.s); got != c.want {
			t.Errorf("EthMTU(%d, ip6 %t, %v, cookie %d, %v) = %d, want %d", c.path, c.ip6, c.e, c.ck, c.s, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		EncapUDP.String(): "udp", EncapIP.String(): "ip", Encap(9).String(): "encap(9)",
		SublayerNone.String(): "none", SublayerDefault.String(): "default", Sublayer(7).String(): "sublayer(7)",
		PWEth.String(): "eth", PWEthVLAN.String(): "vlan", PWPPP.String(): "ppp", PWPPPAC.String(): "pppac", PWType(99).String(): "pwtype(99)",
	} {
		if got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

func TestViewsDoNotAllocate(t *testing.T) {
	b := make([]byte, 128)
	n := testing.AllocsPerRun(100, func() {
		IPv4(b).Encode(&IPv4Fields{TotalLen: 100})
		IPv6(b).Encode(&IPv6Fields{PayloadLen: 60})
		UDP(b).Encode(1, 2, 3)
		_, _, _ = Ethernet(b).Tags()
		_ = Sum(0, b)
		_ = IPv4(b).Valid()
		_ = IPv6(b).Valid()
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
