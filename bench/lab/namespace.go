package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// netnsDir is where `ip netns` looks.
const netnsDir = "/run/netns"

// Namespace is a network namespace of a lab. `ip netns exec` enters it by Name.
type Namespace struct {
	lab  *Lab
	name string
}

// Namespace makes a network namespace named after the lab's id and role, with
// its loopback up and IPv6 addresses usable at once (no duplicate detection).
func (l *Lab) Namespace(role string) (*Namespace, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &Namespace{lab: l, name: l.id + "-" + role}
	if l.closed {
		return nil, fmt.Errorf("make namespace %s: the lab is closed", n.name)
	}
	if err := makeNamespace(n.name); err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", n.name, err)
	}
	l.namespaces = append(l.namespaces, n)
	if err := n.Run(setUpNamespace); err != nil {
		return nil, fmt.Errorf("set up namespace %s: %w", n.name, err)
	}
	return n, nil
}

// Quiet makes a namespace in which the stack says nothing by itself: devices made there have no IPv6.
func (l *Lab) Quiet(role string) (*Namespace, error) {
	n, err := l.Namespace(role)
	if err != nil {
		return nil, err
	}
	return n, n.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1")
}

// Name is the namespace's name for `ip netns`.
func (n *Namespace) Name() string { return n.name }

// Path is the namespace's file, as setns(2) wants it.
func (n *Namespace) Path() string { return filepath.Join(netnsDir, n.name) }

func (n *Namespace) open() (*os.File, error) { return os.Open(n.Path()) }

// Run calls f on a thread of its own inside the namespace. Sockets that f opens
// stay in the namespace wherever they are used later; goroutines that f starts
// are outside. /sys stays the host's.
func (n *Namespace) Run(f func() error) error {
	return onThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		return f()
	})
}

// enter moves the calling thread, which must end with its goroutine.
func (n *Namespace) enter() error {
	fd, err := unix.Open(n.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", n.name, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %s: %w", n.name, err)
	}
	return nil
}

// onThread runs f on a thread that is thrown away after it: a goroutine that
// ends while locked takes its thread with it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := errors.New("the function did not return (t.Fatal inside a namespace?)")
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic inside a namespace: %v\n%s", r, debug.Stack())
			}
			done <- err
		}()
		err = f()
	}()
	return <-done
}

// shareNetnsDir makes the folder of namespaces a shared mount, as `ip netns add` does when it is not one
// yet. Done by that while we have namespaces there, it would leave each mounted below as well, where
// nobody can unmount it: its file could not be removed.
func shareNetnsDir() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(netnsDir)
	if err != nil {
		return err
	}
	defer dir.Close() // and with it the lock that ip takes too
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", netnsDir, err)
	}
	share := func() error { return unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "") }
	err = share()
	if errors.Is(err, unix.EINVAL) { // no mount yet
		if err = unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = share()
		}
	}
	if err != nil {
		return fmt.Errorf("make %s a shared mount: %w", netnsDir, err)
	}
	return nil
}

func makeNamespace(name string) error {
	if err := shareNetnsDir(); err != nil {
		return err
	}
	path := filepath.Join(netnsDir, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		own := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if err := unix.Mount(own, path, "none", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		os.Remove(path)
	}
	return err
}

// SetSysctl writes a file under /proc/sys, net/... of the namespace.
func (n *Namespace) SetSysctl(name, value string) error {
	return n.Run(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
}

func setUpNamespace() error {
	for _, s := range [...]struct{ path, value string }{
		{"ipv6/conf/default/accept_dad", "0"},
		{"ipv6/conf/all/accept_dad", "0"},
		{"ipv6/conf/default/router_solicitations", "0"},
	} {
		err := os.WriteFile("/proc/sys/net/"+s.path, []byte(s.value), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// removeNamespace kills what still runs in a namespace and unmounts it. Its
// links go when the last process and socket is gone.
func removeNamespace(name string) error {
	path := filepath.Join(netnsDir, name)
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		pids := pidsIn(path)
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	return nil
}

// pidsIn lists the processes of a namespace, ourselves left out; none for the
// namespace that we are in.
func pidsIn(path string) []int {
	var want, own unix.Stat_t
	if unix.Stat(path, &want) != nil || unix.Stat("/proc/self/ns/net", &own) != nil || want.Ino == own.Ino {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st) == nil && st.Ino == want.Ino && st.Dev == want.Dev {
			pids = append(pids, pid)
		}
	}
	return pids
}
