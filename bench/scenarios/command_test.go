package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// call runs the program and returns its exit status and what it printed.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("xwire %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestExitStatus: 0 is success, 1 a failure, 2 a wrong call. A failure says why on standard error
// and nothing on standard output.
func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good := file("good.toml", pairConfig(0))
	broken := file("broken.toml", pairConfig(0)+"vlam = 3\n")
	portless := file("portless.toml", strings.ReplaceAll(strings.TrimPrefix(pairConfig(0), corePort+accessPort), "attach = \"ac0\"\nvlan   = \"all\"\n", ""))
	six := file("six.toml", strings.NewReplacer(core4[0].String(), core6[0].String(), core4[1].String(), core6[1].String()).Replace(pairConfig(0)))
	pipe := filepath.Join(dir, "pipe.toml")
	must(t, syscall.Mkfifo(pipe, 0o600))
	nowhere := filepath.Join(dir, "no.sock")
	for _, c := range []struct {
		status int
		says   string // on standard error, or on standard output of a success
		args   []string
	}{
		{0, "xwire", []string{"version"}},
		{0, "check", []string{"--help"}},
		{0, "--control", []string{"show", "sessions", "--help"}},
		{0, "No privilege", []string{"check", "--help"}},
		{0, "core0", []string{"check", good}},
		{0, `"ports"`, []string{"check", "--json", good}},
		{0, "ip l2tp add", []string{"check", "--peer", "linux", good}},
		{0, "udp_checksum", []string{"check", "--defaults"}},
		{1, "vlam", []string{"check", broken}},
		{1, "not a regular file", []string{"check", pipe}},
		{1, "not a regular file", []string{"check", "/dev/zero"}},
		{2, "68", []string{"check", "--core-mtu", "67", good}},
		{2, "65535", []string{"check", "--core-mtu", "65536", good}},
		{2, "1280 (the least of an IPv6 path, as tunnel \"t\" has)", []string{"check", "--core-mtu", "1279", six}},
		{0, "core0", []string{"check", "--core-mtu", "1280", six}},
		{1, "missing.toml", []string{"check", filepath.Join(dir, "missing.toml")}},
		{1, "vlam", []string{"run", "--config", broken, "--state", dir}},
		{1, "missing.toml", []string{"run", "--config", filepath.Join(dir, "missing.toml"), "--state", dir}},
		{1, "--auto-ports", []string{"run", "--config", portless, "--state", dir}},
		{1, nowhere, []string{"show", "sessions", "--control", nowhere}},
		{1, nowhere, []string{"show", "--control", nowhere}},
		{2, "command", nil},
		{2, "nonsense", []string{"nonsense"}},
		{2, "nonsense", []string{"show", "nonsense"}},
		{2, "nonsense", []string{"show", "sessions", "--nonsense"}},
		{2, "arg", []string{"show", "session"}},
		{2, "arg", []string{"check"}},
		{2, "arg", []string{"check", good, good}},
		{2, "cisko", []string{"check", "--peer", "cisko", good}},
		{2, "loud", []string{"run", "--config", good, "--log-level", "loud"}},
		{2, "extra", []string{"run", "extra"}},
		{2, "extra", []string{"version", "extra"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			status, stdout, stderr := call(t, c.args...)
			said := stdout
			if c.status != 0 {
				said = stderr
				if stdout != "" {
					t.Errorf("on standard output: %s", stdout)
				}
			}
			if status != c.status || !strings.Contains(said, c.says) {
				t.Errorf("status %d, want %d and something of %q; it said\n%s%s", status, c.status, c.says, stdout, stderr)
			}
		})
	}
}

// TestQuestions: a running box that is asked for what it has not.
func TestQuestions(t *testing.T) {
	w := pair(t, shape{})
	box := w.start(t, 0, pairConfig(0))
	for _, c := range []struct {
		status int
		args   []string
	}{
		{0, []string{"session", "t/s"}},
		{0, []string{"session", "s"}},
		{1, []string{"session", "t/nobody"}},
		{1, []string{"session", "nobody"}},
		{1, []string{"sessions", "--tunnel", "nobody"}},
	} {
		status, _, stderr := call(t, append([]string{"show", "--control", box.Control}, c.args...)...)
		if status != c.status || status == 1 && !strings.Contains(stderr, "nobody") {
			t.Errorf("show %v: status %d, want %d: %s", c.args, status, c.status, stderr)
		}
	}
	// A second xwire does not take the first one's socket.
	status, _, stderr := call(t, "run", "--config", box.ConfigFile, "--state", box.Dir())
	if status != 1 || !strings.Contains(stderr, "another xwire") {
		t.Errorf("a second run on the same socket: status %d: %s", status, stderr)
	}
	if s := sessionOf(t, box, "t/s"); s.State != "up" {
		t.Errorf("the first is disturbed: %+v", s)
	}
	must(t, box.Stop()) // status 0
}

// TestCompletion: every shell's script is printed, and bash takes its own.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		status, stdout, stderr := call(t, "completion", shell)
		if status != 0 || !strings.Contains(stdout, "xwire") {
			t.Errorf("completion %s: status %d: %s", shell, status, stderr)
		}
		if shell == "bash" {
			cmd := exec.Command("bash", "-n")
			cmd.Stdin = strings.NewReader(stdout)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("bash: %v: %s", err, out)
			}
		}
	}
	_, stdout, _ := call(t, "__complete", "show", "")
	for _, noun := range []string{"tunnels", "sessions", "session", "ports", "drops", "workers"} {
		if !strings.Contains(stdout, noun) {
			t.Errorf("completion of `show` does not offer %q:\n%s", noun, stdout)
		}
	}
}

// TestErrorsAsJSON: a program that reads check --json gets the errors of a file too.
func TestErrorsAsJSON(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.toml")
	must(t, os.WriteFile(broken, []byte(strings.Replace(pairConfig(0), "psid = 101", "psid = 0\nvlam = 3", 1)), 0o600))
	status, stdout, stderr := call(t, "check", "--json", broken)
	var got struct {
		Errors []struct {
			File, Key, Message string
			Line               int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %q", err, stdout)
	}
	if status != 1 || len(got.Errors) != 2 || !strings.Contains(stderr, "vlam") {
		t.Fatalf("status %d, %+v, standard error %q", status, got, stderr)
	}
	for i, key := range []string{"psid", "vlam"} {
		e := got.Errors[i]
		if e.File != broken || e.Line == 0 || e.Key != "tunnel.t.session.s."+key || e.Message == "" {
			t.Errorf("%+v", e)
		}
	}
}
