package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCapabilities runs a box with what the systemd unit leaves it: a port of each end, and a local
// interface.
func TestCapabilities(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/xwire.service")
	must(t, err)
	found := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(unit)
	if found == nil {
		t.Fatal("packaging/xwire.service has no CapabilityBoundingSet")
	}
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	set := "-all"
	for _, c := range strings.Fields(string(found[1])) {
		set += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
		if !strings.Contains(string(readme), c) {
			t.Errorf("README.md does not say that %s is needed", c)
		}
	}
	w := pair(t, shape{})
	wrapper := filepath.Join(t.TempDir(), "xwire")
	must(t, os.WriteFile(wrapper, fmt.Appendf(nil, "#!/bin/sh\nexec setpriv --bounding-set=%s --inh-caps=%s %q \"$@\"\n", set, set, program), 0o700))
	box, err := w.hosts[0].Box(wrapper)
	must(t, err)
	box.Args = []string{"--state", box.Dir()}
	w.boxes[0] = box
	local := strings.NewReplacer("tunnel.t", "tunnel.l", "sid  = 100", "sid  = 110", "psid = 101", "psid = 111",
		"tid   = 1\n", "tid   = 11\n", "attach = \"ac0\"\nvlan   = \"all\"\n", "").Replace(strings.TrimPrefix(pairConfig(0), corePort+accessPort))
	w.start(t, 0, pairConfig(0)+local)
	w.start(t, 1, pairConfig(1))
	w.carries(t, "traffic of a box without other capabilities")
}
