package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A capture that is refused leaves the file of an earlier one as it was.
func TestCaptureRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.pcapng")
	if err := os.WriteFile(file, []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := call(t, "capture", "--control", filepath.Join(t.TempDir(), "none.sock"), "-w", file)
	if status != 1 || !strings.Contains(errs, "none.sock") {
		t.Errorf("status %d: %s", status, errs)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "earlier" {
		t.Errorf("the file has %q, %v", text, err)
	}
}
