package house

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestKernelTestsExist holds that docs/kernel-tests.md names no test that is not there.
func TestKernelTestsExist(t *testing.T) {
	const page = "docs/kernel-tests.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile("\\[`(\\w+)`\\]\\(([^)]+_test\\.go)\\)").FindAllSubmatch(text, -1)
	if len(links) < 50 {
		t.Fatalf("%s names %d tests, want 50 or more", page, len(links))
	}
	for _, l := range links {
		path := filepath.Join(filepath.Dir(page), string(l[2]))
		source, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(source, []byte("\nfunc "+string(l[1])+"(")) {
			t.Errorf("%s: there is no %s in %s (%v)", page, l[1], path, err)
		}
	}
}
