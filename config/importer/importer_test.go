package importer

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xwire/config"
	"xwire/config/ipl2tp"
	"xwire/l2tp"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// golden compares with a file of testdata, after it has asked config whether the text is right.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if _, err := config.Parse(name, got); err != nil {
		t.Errorf("%s is no configuration: %v\n%s", name, err, got)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", path, got)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		file, golden string
		kind         Kind
		o            Options
	}{
		{"bridge.sh", "bridge.toml", IPL2TP, Options{}},
		{"bridge.sh", "bridge-other-end.toml", IPL2TP, Options{OtherEnd: true}},
		{"batch.txt", "batch.toml", IPL2TP, Options{Ports: []Port{{"core0", "ens1f0"}}}},
		{"set.vyos", "set.toml", VyOS, Options{}},
		{"config.boot", "boot.toml", VyOS, Options{}},
		{"router.ios", "router.toml", Cisco, Options{}},
		{"router.ios", "router-ports.toml", Cisco, Options{Ports: []Port{
			{"core0", "ens1f0"}, {"GigabitEthernet0/1", "ens1f1"}, {"GigabitEthernet0/2", "ens1f2"}}}},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		if kind, err := Detect(text); kind != c.kind {
			t.Errorf("Detect(%s) = %q, %v, want %q", c.file, kind, err, c.kind)
		}
		got, err := Text(c.kind, c.file, text, c.o)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		golden(t, c.golden, got)
	}
}

// TestPeerCommands: what config prints for a peer is imported as that peer's configuration.
func TestPeerCommands(t *testing.T) {
	c, err := config.Parse("t.toml", []byte(`
[tunnel.a]
encap = "udp"
local = "[2001:db8::1]:5000"
peer = "[2001:db8::2]:6000"
tid = 1
ptid = 2
udp6_checksum_tx = false
[tunnel.a.session.x]
sid = 10
psid = 20
tx_cookie = "0102030405060708"
rx_cookie = "11121314"
l2spec_type = "default"
`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.PeerCommands(config.PeerLinux, 1500, true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Text(IPL2TP, "peer.sh", []byte(text), Options{OtherEnd: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	back, err := config.Parse("back.toml", got)
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Tunnels[0], back.Tunnels[0]
	if a.Local != b.Local || a.Peer != b.Peer || a.TID != b.TID || a.PTID != b.PTID || a.Encap != b.Encap || a.UDP6ChecksumTx != b.UDP6ChecksumTx {
		t.Errorf("tunnel %+v, want %+v", b, a)
	}
	x, y := a.Sessions[0], b.Sessions[0]
	if x.SID != y.SID || x.PSID != y.PSID || x.TxCookie != y.TxCookie || x.RxCookies != y.RxCookies || x.L2Spec != y.L2Spec {
		t.Errorf("session %+v, want %+v", y, x)
	}
}

func TestKernelObjects(t *testing.T) {
	tx, _ := l2tp.ParseCookie("01020304")
	v4 := netip.MustParseAddr
	tunnels := []KernelTunnel{
		{ipl2tp.Tunnel{ID: 1, PeerID: 2, Encap: l2tp.EncapIP, Local: v4("192.0.2.1"), Remote: v4("192.0.2.2")}, 3},
		{ipl2tp.Tunnel{ID: 3, PeerID: 4, Local: v4("2001:db8::1"), Remote: v4("2001:db8::2"), LocalPort: 5000, RemotePort: 6000, ChecksumTx: true}, 3},
		{ipl2tp.Tunnel{ID: 5, PeerID: 6, Local: v4("192.0.2.1"), Remote: v4("192.0.2.3"), LocalPort: 1701, RemotePort: 1701}, 2},
	}
	session := func(id, tunnel uint32, name string) ipl2tp.Session {
		return ipl2tp.Session{ID: id, PeerID: id + 1, TunnelID: tunnel, PeerTunnelID: tunnel + 1, Interface: name}
	}
	s := session(12, 1, "l2tpeth2")
	s.Cookie, s.SendSeq, s.RecvSeq, s.ReorderTimeout = tx, true, true, 52
	got, err := Kernel(tunnels, []KernelSession{
		{session(10, 1, "l2tpeth0"), l2tp.PWEth, 1458, []string{"bridge br0", "address 10.0.0.1/30"}},
		{session(11, 1, "l2tpeth1"), l2tp.PWEth, 1462, nil},
		{s, l2tp.PWEth, 1454, nil},
		{session(20, 3, "odd"), l2tp.PWEth, 1300, nil},
		{session(21, 3, ""), l2tp.PWPPP, 0, nil},
		{session(30, 5, "ppp0"), l2tp.PWPPP, 0, nil},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "kernel.toml", got)
	if _, err := Kernel(nil, nil, Options{}); err == nil || !strings.Contains(err.Error(), "no static L2TPv3 tunnel") {
		t.Errorf("nothing in the kernel: %v", err)
	}
}

func TestErrors(t *testing.T) {
	const tunnel = "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2\n"
	const connect = "interface Gi0/1\n xconnect 10.0.0.2 1 encapsulation l2tpv3 manual pw-class P\n  l2tp id 1 2\n"
	for _, c := range []struct {
		name string
		kind Kind
		text string
		want string
	}{
		{"WrongID", IPL2TP, "\n" + tunnel + "ip l2tp add session tunnel_id 1 session_id x1 peer_session_id 2\n", `f:3: "x1": Error: argument "x1" is wrong: invalid ID`},
		{"Missing", IPL2TP, "ip l2tp add tunnel tunnel_id 1\n", `f:1: Error: argument "peer_tunnel_id" is required`},
		{"Misspelt", IPL2TP, "ip l2tp add tunnel tunel_id 1\n", `f:1: "tunel_id": Unknown command: tunel_id`},
		{"SecondLine", IPL2TP, "ip l2tp add tunnel \\\n tunnel_id 1 \\\n encap gre\n", `f:1: "gre": Unknown tunnel encapsulation "gre"`},
		{"CookieIsSecret", IPL2TP, tunnel + "ip l2tp add session tunnel_id 1 sid 1 psid 2 cookie 0102030g\n", `f:2: "cookie": Error: argument "(8 characters)" is wrong: cookie must be a hex string`},
		{"Variable", IPL2TP, "ip l2tp add tunnel tunnel_id $TID peer_tunnel_id 2\n", `f:1: "$TID": is a shell variable that the file does not set; write its value`},
		{"NoTunnel", IPL2TP, "ip l2tp add session tunnel_id 1 session_id 1 peer_session_id 2\n", `f:1: "1": no line above adds a tunnel of this id`},
		{"Twice", IPL2TP, tunnel + tunnel, `f:2: "1": there is a tunnel of this id in line 1 already`},
		{"SameSession", IPL2TP, tunnel + strings.Repeat("ip l2tp add session tunnel_id 1 session_id 5 peer_session_id 6\n", 2), `f:3: "sid": 5 is the sid of session "l2tp-1/l2tpeth0" already; it must differ between the same addresses`},
		{"Namespaces", IPL2TP, "ip -n a " + tunnel[3:] + "ip netns exec b " + strings.Replace(tunnel, "_id 1 ", "_id 3 ", 1), `f: "-netns": the file is about 2 network namespaces; an xwire is in one: import each by itself`},
		{"BadAddress", IPL2TP, "ip l2tp add tunnel tid 1 ptid 2 encap ip local 0.0.0.0 remote 192.0.2.2\n", `f:1: "local": 0.0.0.0 names no host; write the address itself`},
		{"VyOSKey", VyOS, "set interfaces l2tpv3 l2tpeth0 source-adress 192.0.2.1\n", `f:1: "source-adress": is no key of an l2tpv3 interface that is known here`},
		{"VyOSValue", VyOS, "\nset interfaces l2tpv3 l2tpeth0 remote 'peer.example'\n", `f:2: "peer.example": is not an IP address`},
		{"VyOSMissing", VyOS, "set interfaces l2tpv3 l2tpeth0 mtu 1400\n", `f:1: "l2tpeth0": has no source-address`},
		{"VyOSNothing", VyOS, "set system host-name x\n", `f: there is no static L2TPv3 tunnel in it`},
		{"CiscoLocal", Cisco, connect + "pseudowire-class P\n encapsulation l2tpv3\n ip local interface Loopback0\n", `f:6: "Loopback0": has no ip address in the file; add its lines, or give the local address with --local`},
		{"CiscoClass", Cisco, connect, `f:2: "P": there is no pseudowire-class of this name in the file; add it, or give the local address with --local`},
		{"CiscoCookie", Cisco, connect + "  l2tp cookie local 8 17\n", `f:4: "8": a cookie is 4 LOW or 8 LOW HIGH`},
		{"CiscoID", Cisco, connect[:strings.Index(connect, "  l2tp id")], `f:2: "xconnect": has no l2tp id below it`},
		{"CiscoStray", Cisco, " l2tp id 1 2\n", `f:1: "l2tp id 1 2": stands below no xconnect ... encapsulation l2tpv3 manual`},
		{"CiscoDynamic", Cisco, "interface Gi0/1\n xconnect 10.0.0.2 1 encapsulation l2tpv3 pw-class P\n", `f: there is no static L2TPv3 tunnel in it: Line 2: the session to 10.0.0.2 is negotiated by the control protocol; it is not imported.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Text(c.kind, "f", []byte(c.text), Options{})
			var list Errors
			if !errors.As(err, &list) || !strings.Contains("\n"+err.Error()+"\n", "\n"+c.want+"\n") {
				t.Errorf("error\n%v\nwant the line\n%s", err, c.want)
			}
		})
	}
}

func TestLocalAddress(t *testing.T) {
	const text = "interface Gi0/1\n xconnect 10.0.0.2 1 encapsulation l2tpv3 manual pw-class P\n  l2tp id 1 2\n"
	got, err := Text(Cisco, "f", []byte(text), Options{Local: netip.MustParseAddr("10.0.0.1")})
	if err != nil || !strings.Contains(string(got), `local = "10.0.0.1"`) {
		t.Errorf("with a local address: %v\n%s", err, got)
	}
}

func TestDetectNothing(t *testing.T) {
	for _, text := range []string{"", "ip link set eth0 up\n", "[tunnel.a]\n", "set system host-name l2tpv3\n"} {
		if kind, err := Detect([]byte(text)); err == nil {
			t.Errorf("Detect(%q) = %q, want an error", text, kind)
		}
	}
}

func TestShell(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a b\nc", "1 a|b,2 c"},
		{"a \\\n b # c\nd", "1 a|b,3 d"},
		{"A=1; B='x y'\necho $A ${B} \"$A-$C\" '$A'", "2 echo|1|x y|1-$C|$A"},
		{"a && b || c; d | e & f", "1 a,1 b,1 c,1 d,1 e,1 f"},
		{"a 2>/dev/null > /tmp/x b 2>&1 c", "1 a|b|c"},
		{"a \"b\nc\" d\ne", "1 a|b\nc|d,3 e"},
		{"a '' b\\ c", "1 a||b c"},
		{"a\r\nb\r\n", "1 a,2 b"},
		{"$", "1 $"}, {"${", "1 ${"}, {"'", "1 "}, {"\\", "1 "},
	} {
		var got []string
		for _, x := range shell(c.text) {
			got = append(got, string(rune('0'+x.line))+" "+strings.Join(x.words, "|"))
		}
		if g := strings.Join(got, ","); g != c.want {
			t.Errorf("shell(%q) = %q, want %q", c.text, g, c.want)
		}
	}
}
