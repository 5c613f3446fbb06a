package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImport(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "l2tp.sh")
	const script = `ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2
ip l2tp add session tunnel_id 1 session_id 10 peer_session_id 20 cookie 01020304
`
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(dir, "made.toml")
	if status, _, errs := call(t, "import", file, "-w", made, "--port", "core0=ens1f0"); status != statusSuccess {
		t.Fatalf("status %d: %s", status, errs)
	}
	if st, err := os.Stat(made); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of what was written: %v, %v, want 0600: it holds cookies", st.Mode(), err)
	}
	if status, out, errs := call(t, "check", made); status != statusSuccess || !strings.Contains(out, "tunnel l2tp-1: ip 192.0.2.1 to 192.0.2.2") {
		t.Errorf("check of what was written: status %d\n%s%s", status, out, errs)
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{file}, statusSuccess, `[tunnel."l2tp-1".session."l2tpeth0"]`},
		{[]string{file, "--from", "ip-l2tp", "--other-end"}, statusSuccess, `local = "192.0.2.2"`},
		{[]string{file, "--from", "vyos"}, statusFailure, "no static L2TPv3 tunnel"},
		{[]string{file, "--from", "junos"}, statusUsage, "use auto, ip-l2tp, vyos, cisco or kernel"},
		{[]string{file, "--from", "kernel"}, statusUsage, "reads no FILE"},
		{[]string{file, "--port", "core0"}, statusUsage, "NAME=INTERFACE"},
		{[]string{file, "--local", "here"}, statusUsage, "must be an IP address"},
		{[]string{made}, statusFailure, "name its kind with --from"},
		{[]string{filepath.Join(dir, "none")}, statusFailure, "no such file"},
		{nil, statusUsage, "name a FILE"},
	} {
		status, out, errs := call(t, append([]string{"import"}, c.args...)...)
		if status != c.status || !strings.Contains(out+errs, c.says) {
			t.Errorf("import %q: status %d, want %d and %q in:\n%s%s", c.args, status, c.status, c.says, out, errs)
		}
	}
}
