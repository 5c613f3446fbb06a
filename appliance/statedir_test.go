package appliance

import (
	"os"
	"path/filepath"
	"testing"
)

// Two processes whose sockets are in one folder must not write one journal.
func TestStateDir(t *testing.T) {
	for _, c := range []struct{ control, want string }{
		{"/run/xwire/control.sock", "/run/xwire"},
		{"/run/lab/control.sock", "/run/lab"},
		{"/run/xwire/a.sock", "/run/xwire/a.sock.d"},
		{"/run/xwire/b.sock", "/run/xwire/b.sock.d"},
		{"a.sock", "a.sock.d"},
	} {
		if got := stateDir(c.control); got != c.want {
			t.Errorf("state of %s is in %s, want %s", c.control, got, c.want)
		}
	}

	dir := t.TempDir()
	own, shared := filepath.Join(dir, "a.sock"), filepath.Join(dir, "control.sock")
	for _, control := range []string{own, shared} {
		if err := os.MkdirAll(stateDir(control), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	kept := filepath.Join(stateDir(own), "host.json")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	leaveStateDir(own)
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what the next start needs is gone: %v", err)
	}
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	leaveStateDir(own)
	leaveStateDir(shared)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
