package appliance

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"xwire/config"
)

// inNamespace tells whether the test runs in a network namespace of its own, which is that of its
// whole process, and in a session of its own, as a service does. Elsewhere it starts itself there, and the caller returns.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const env = "XWIRE_APPLIANCE_CHILD"
	if os.Getenv(env) == t.Name() {
		command(t, "ip link set lo up")
		return true
	}
	if os.Geteuid() != 0 {
		t.Fatal("root is needed: this test makes a network namespace")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=280s")
	child.Env = append(os.Environ(), env+"="+t.Name())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setsid: true, Pdeathsig: syscall.SIGKILL}
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in its namespace: %v\n%s", err, out)
	}
	return false
}

func command(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// logged is what an appliance logged so far.
type logged struct{ *os.File }

func (l logged) count(text string) int {
	b, _ := os.ReadFile(l.Name())
	return strings.Count(string(b), text)
}

// prepare makes an appliance of a configuration. The text may begin with keys of [appliance].
func prepare(t *testing.T, text string) (*Appliance, logged) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "xwire.toml")
	text = "[appliance]\ncontrol = \"" + dir + "/control.sock\"\n" + text
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	a, err := New(cfg, Options{ConfigFile: file, StateDir: filepath.Join(dir, "state"), Log: slog.New(slog.NewTextHandler(io.MultiWriter(f, os.Stderr), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return a, logged{f}
}

// launch runs an appliance of a configuration until the test ends, and waits until it is ready. stop
// ends it before that.
func launch(t *testing.T, text string) (a *Appliance, log logged, stop func() error) {
	t.Helper()
	a, log = prepare(t, text)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	until(t, "ready", a.ready.Load)
	return a, log, stop
}

// soon is how long a busy machine may take for what takes a second on an idle one.
const soon = time.Minute

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, soon)
		}
	}
}
