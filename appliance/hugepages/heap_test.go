package hugepages

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hugeKiB is how much of this process's memory is on huge pages.
func hugeKiB(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "AnonHugePages: %d kB", &n); err == nil {
			return n
		}
	}
	t.Fatalf("no AnonHugePages in %s", text)
	return 0
}

func TestCollapseHeap(t *testing.T) {
	table := make([][]byte, 64)
	for i := range table {
		table[i] = make([]byte, 512<<10)
		for j := 0; j < len(table[i]); j += 4096 {
			table[i][j] = byte(i)
		}
	}
	before := hugeKiB(t)
	n, after := 0, before
	for end := time.Now().Add(20 * time.Second); (n < 16<<20 || after < 16<<10) && time.Now().Before(end); {
		var err error // where others want memory too the kernel may have to be asked again
		if n, err = CollapseHeap(); err != nil {
			t.Fatal(err)
		}
		after = hugeKiB(t)
	}
	if n < 16<<20 || after < 16<<10 { // a heap that was collapsed before has them already
		t.Errorf("%d bytes were collapsed, huge pages went from %d to %d KiB: the kernel must be 6.1 or newer, with /sys/kernel/mm/transparent_hugepage/enabled not never", n, before, after)
	}
	for i := range table {
		for j := 0; j < len(table[i]); j += 4096 {
			if table[i][j] != byte(i) {
				t.Fatalf("slice %d has %d at %d", i, table[i][j], j)
			}
		}
	}
	runtime.KeepAlive(table)
}
