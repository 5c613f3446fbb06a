package appliance

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
)

// TestReloadTellsSystemd: a reload begins with RELOADING and the time, and ends with READY; one that
// changes nothing, because of errors or for a trial, tells nothing. The unit asks for it by the command,
// whose status is the reload's.
func TestReloadTellsSystemd(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "notify.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	said := make(chan string, 1000)
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			if text := string(b[:n]); !strings.HasPrefix(text, "STATUS=") {
				said <- text
			}
		}
	}()
	next := func() string {
		select {
		case text := <-said:
			return text
		case <-time.After(soon):
			return ""
		}
	}
	a, c := rig(t, requestText)
	if text := next(); !strings.HasPrefix(text, "READY=1") {
		t.Errorf("at start: %q", text)
	}
	ctx := t.Context()
	if _, err := c.Reload(ctx, api.ReloadRequest{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	rewrite(t, a, "vlan = 100", "vlan = 4100")
	if _, err := c.Reload(ctx, api.ReloadRequest{}); code(err) != api.CodeInvalidConfig {
		t.Errorf("a file with errors: %v", err)
	}
	rewrite(t, a, "vlan = 4100", "vlan = 101")
	if _, err := c.Reload(ctx, api.ReloadRequest{ConfirmWithin: 0.2}); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"the reload", "the roll-back"} {
		if text := next(); !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`).MatchString(text) {
			t.Errorf("%s begins with %q", when, text)
		}
		if text := next(); !strings.HasPrefix(text, "READY=1") {
			t.Errorf("%s ends with %q", when, text)
		}
	}
	unit, err := os.ReadFile("../packaging/xwire.service")
	if err != nil || !strings.Contains(string(unit), "\nExecReload=/usr/sbin/xwire reload\n") {
		t.Errorf("packaging/xwire.service has no ExecReload: %v", err)
	}
}
