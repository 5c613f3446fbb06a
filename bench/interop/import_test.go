package interop

import (
	"strings"
	"testing"

	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestImportFromKernel gives the kernel tunnels and sessions by `ip l2tp`, and has xwire make its
// configuration of what the kernel has, and of the same commands as text: both are the same.
func TestImportFromKernel(t *testing.T) {
	var c vm.Config
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		must(t, err)
		c.Env = []string{lab.BinaryEnv + "=" + binary}
	}
	if !vm.Inside(t, c) {
		return
	}
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	n, err := l.Namespace("box")
	must(t, err)
	other, err := l.Namespace("other")
	must(t, err)
	must(t, l.Connect(
		lab.End{Namespace: n, Name: "core", Addrs: prefixes("192.0.2.1/24", "2001:db8::1/64")},
		lab.End{Namespace: other, Name: "core", Addrs: prefixes("192.0.2.2/24", "2001:db8::2/64")}))
	script := `
ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local 192.0.2.1 remote 192.0.2.2 udp_sport 5000 udp_dport 6000 udp_csum on
ip l2tp add session tunnel_id 1 session_id 10 peer_session_id 11 cookie 01020304 peer_cookie 1112131415161718
ip l2tp add session name bare tunnel_id 1 session_id 12 peer_session_id 13 l2spec_type none
ip l2tp add tunnel tunnel_id 3 peer_tunnel_id 4 encap udp local 2001:db8::1 remote 2001:db8::2 udp_sport 5001 udp_dport 6001 udp6_csum_tx off
ip l2tp add session name seq tunnel_id 3 session_id 30 peer_session_id 31 seq both
ip l2tp add tunnel tunnel_id 5 peer_tunnel_id 6 encap ip local 2001:db8::1 remote 2001:db8::2
ip l2tp add session name six tunnel_id 5 session_id 50 peer_session_id 51
`
	_, err = n.Command("sh", "-e", "-c", script)
	must(t, err)
	binary, err := lab.Build(t.Context(), "", false)
	must(t, err)
	seen, err := n.Command(binary, "import", "--from", "kernel")
	must(t, err)
	read, err := n.Command("sh", "-c", `printf '%s' "$0" | "$1" import -`, script, binary)
	must(t, err)
	if a, b := plain(seen), plain(read); a != b {
		t.Errorf("made of what the kernel has:\n%s\nmade of the commands:\n%s", seen, read)
	}
	if !strings.Contains(seen, "an MTU of 1450 is what it gives with none") {
		t.Errorf("nothing tells how l2spec_type was found:\n%s", seen)
	}
}

// plain is a configuration without comments.
func plain(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}
