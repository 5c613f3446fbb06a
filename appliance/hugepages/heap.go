// Package hugepages puts what a process holds for long on huge pages.
package hugepages

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// From is how many sessions make tables that do not fit what a CPU remembers of small pages: below,
// huge ones buy nothing.
const From = 10_000

// CollapseHeap has the kernel put this process's private memory together in pages of 2 MiB, and
// returns how many bytes it did that for. The tables of 100,000 sessions lie on ten thousand pages
// of 4 KiB, and then finding a page costs a worker as much as reading what is on it. What is not
// full stays as it is: a huge page has all of its memory. Kernels before 6.1, and those whose
// transparent_hugepage/enabled is never, do nothing.
func CollapseHeap() (int, error) {
	const huge = 2 << 20
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	pages, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0, err
	}
	defer pages.Close()
	size := os.Getpagesize()
	entries := make([]byte, 8*huge/size) // of one range, 8 bytes each; the highest bit: the page is there
	full := func(at uintptr) bool {
		n := 0
		if _, err := pages.ReadAt(entries, int64(at)/int64(size)*8); err != nil {
			return false
		}
		for i := 0; i < len(entries); i += 8 {
			n += int(binary.NativeEndian.Uint64(entries[i:]) >> 63)
		}
		return n == len(entries)/8
	}
	done := 0
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x rw-p 00000000 00:00 0", &from, &to); n != 2 {
			continue
		}
		for at := (from + huge - 1) &^ (huge - 1); at+huge <= to; at += huge {
			if !full(at) {
				continue
			}
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, at, huge, unix.MADV_COLLAPSE); errno == 0 {
				done += huge
			}
		}
	}
	return done, nil
}
