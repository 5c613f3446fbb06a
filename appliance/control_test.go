package appliance

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/api"
)

// dialAs dials the socket as a user and group that are nobody's.
func dialAs(t *testing.T, path string, uid, gid uintptr) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and with it who it is
		for _, call := range []struct{ trap, id uintptr }{{unix.SYS_SETRESGID, gid}, {unix.SYS_SETRESUID, uid}} {
			if _, _, errno := unix.RawSyscall(call.trap, call.id, call.id, call.id); errno != 0 {
				done <- fmt.Errorf("become %d:%d: %v", uid, gid, errno)
				return
			}
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
			unix.Close(fd)
		}
		done <- err
	}()
	return <-done
}

// TestControlGroup: the socket is its owner's, and a group's while the configuration names one.
func TestControlGroup(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	const gid, stranger = 61234, 61235
	a, _, _ := launch(t, fmt.Sprintf("control_group = \"%d\"\n[port.core0]\ninterface = \"core0\"\n", gid))
	path, c := a.settings.Control, api.NewClient(a.settings.Control)
	for dir := filepath.Dir(path); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, mode fs.FileMode, group uint32, members, others error) {
		t.Helper()
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Sys().(*syscall.Stat_t).Gid; st.Mode().Perm() != mode || got != group {
			t.Errorf("%s: mode %v, group %d, want %v and %d", when, st.Mode().Perm(), got, mode, group)
		}
		if err := dialAs(t, path, stranger, gid); err != members {
			t.Errorf("%s: a member of the group dials: %v, want %v", when, err, members)
		}
		if err := dialAs(t, path, stranger, stranger); err != others {
			t.Errorf("%s: a stranger dials: %v, want %v", when, err, others)
		}
	}
	check("with a group", 0o660, gid, nil, unix.EACCES)

	rewrite(t, a, fmt.Sprint(gid), "no-such-group")
	if _, err := c.Reload(t.Context(), api.ReloadRequest{}); code(err) != api.CodeInvalidConfig || !strings.Contains(err.Error(), "no-such-group") {
		t.Errorf("a group that is none: %v", err)
	}
	check("after a reload that was refused", 0o660, gid, nil, unix.EACCES)

	rewrite(t, a, "control_group = \"no-such-group\"\n", "")
	r, err := c.Reload(t.Context(), api.ReloadRequest{})
	if got := changesText(r); err != nil || len(got) != 1 || got[0] != "appliance  changed [control_group] hitless" {
		t.Errorf("without a group: %q, %v", got, err)
	}
	check("without a group", 0o600, uint32(os.Getegid()), unix.EACCES, unix.EACCES)
}

// TestControlSocketOfAnother: a socket that answers is left alone, one that nobody listens on is replaced.
func TestControlSocketOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	first, err := listenControl(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenControl(path); err == nil || !strings.Contains(err.Error(), "another xwire") {
		t.Errorf("listen where another does: %v", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close()
	again, err := listenControl(path)
	if err != nil {
		t.Fatalf("listen where nobody does any more: %v", err)
	}
	// One that ends a little later, as a killed process does, is waited for.
	again.(*net.UnixListener).SetUnlinkOnClose(false)
	ending := time.AfterFunc(mostEnding/10, func() { again.Close() })
	defer ending.Stop()
	last, err := listenControl(path)
	if err != nil {
		t.Fatalf("listen where somebody is about to end: %v", err)
	}
	last.Close()
}
