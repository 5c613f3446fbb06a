package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestIrregularFiles: what nobody writes into must not be waited for, whichever key names it.
func TestIrregularFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"includes.toml": "include = [\"pipe\"]\n",
		"cookies.toml":  tunnelText + sessionText + "cookie_file = \"pipe\"\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ file, want string }{
		{"pipe", "pipe: cannot be read: it is not a regular file"},
		{"/dev/zero", "/dev/zero: cannot be read: it is not a regular file"},
		{dir, dir + ": cannot be read: is a directory"},
		{"includes.toml", "includes.toml:1: include: pipe cannot be read: it is not a regular file"},
		{"cookies.toml", "cookies.toml:10: tunnel.a.session.s.cookie_file: pipe cannot be read: it is not a regular file"},
	} {
		done := make(chan error, 1)
		go func() {
			_, err := Load(tt.file)
			done <- err
		}()
		select {
		case err := <-done:
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("Load(%s) = %q, want %q", tt.file, got, tt.want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("Load(%s) still waits after a minute", tt.file)
		}
	}
}

// TestShellPipes: what a shell passes for <(command) is a pipe, and read to its end.
func TestShellPipes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		for _, s := range []string{tunnelText, sessionText} {
			time.Sleep(20 * time.Millisecond) // the reader is there first
			w.WriteString(s)
		}
	}()
	c, err := Load(fmt.Sprintf("/dev/fd/%d", r.Fd()))
	if err != nil || c.Sessions() != 1 {
		t.Fatalf("Load of a pipe = %+v, %v, want one session", c, err)
	}
	if !strings.HasPrefix(c.Files[0], "/dev/fd/") {
		t.Errorf("Files = %v", c.Files)
	}
}
