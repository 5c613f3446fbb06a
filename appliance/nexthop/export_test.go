package nexthop

import "golang.org/x/sys/unix"

// Stall keeps the notifications in the kernel, in a buffer of the smallest size, until it is released.
func (w *Watcher) Stall() (release func()) {
	sc, err := w.monitor.file.SyscallConn()
	if err == nil {
		_ = sc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
	}
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	return w.mu.Unlock
}

// Syncs counts how often the tables were read whole.
func (w *Watcher) Syncs() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.syncs
}

// OldKernel makes the Watcher do as on a kernel that knows no managed neighbours.
func (w *Watcher) OldKernel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noManaged = true
}
