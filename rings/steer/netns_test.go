package steer

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
)

// newNetns moves the test into a network namespace of its own, which goes with it. The goroutine
// stays locked to its thread, so the thread ends with the test too.
func newNetns(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make a network namespace: %v (the tests of this package need root)", err)
	}
	t.Cleanup(func() { ns.Close() })
}

// run calls a command in the test's namespace.
func run(t *testing.T, command string) string {
	t.Helper()
	f := strings.Fields(command)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}
