package splice

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerated compiles splice.c again and compares with what is committed.
func TestGenerated(t *testing.T) {
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Fatalf("run clang: %v; the programs are checked with clang 14: apt-get install clang llvm libbpf-dev", err)
	}
	first, _, _ := strings.Cut(string(version), "\n")

	dir := t.TempDir()
	args := generateArgs(t)
	args = append(args[:2:2], append([]string{"-go-package", "splice", "-output-dir", dir}, args[2:]...)...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for _, name := range []string{"splice_bpfel.o", "splice_bpfel.go", "splice_bpfeb.o", "splice_bpfeb.go"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what splice.c gives: run 'go generate ./appliance/trunk/splice' with clang 14 and commit it (this is %s)", name, first)
		}
	}
}

// generateArgs is the go:generate line of bpf.go after "go".
func generateArgs(t *testing.T) []string {
	t.Helper()
	src, err := os.ReadFile("bpf.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(src)) {
		if rest, ok := strings.CutPrefix(line, "//go:generate go "); ok {
			return strings.Fields(rest)
		}
	}
	t.Fatal("bpf.go has no go:generate line")
	return nil
}
