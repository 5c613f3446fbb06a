package gol2tp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	childEnv = "XWIRE_GOL2TP_CHILD" // name of the test that runs in its namespace
	pppdEnv  = "XWIRE_GOL2TP_PPPD"  // file that our stand-in for pppd writes to
	askEnv   = "XWIRE_GOL2TP_ASKS"  // the stand-in begins
	lnsEnv   = "XWIRE_GOL2TP_LNS"   // xl2tpd's program: a namespace cannot download it
)

// TestMain lets this program stand in for pppd, which needs a kernel with PPP.
func TestMain(m *testing.M) {
	if log := os.Getenv(pppdEnv); log != "" {
		if err := standIn(log, os.Getenv(askEnv) != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// inNamespace tells whether the test runs in a network namespace of its own. Elsewhere it starts
// itself there, and the caller returns.
func inNamespace(t *testing.T, env ...string) bool {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		command(t, "ip link set lo up")
		return true
	}
	if os.Geteuid() != 0 {
		t.Fatal("root is needed: this test makes a network namespace")
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=4m")
	child.Env = append(append(os.Environ(), env...), childEnv+"="+t.Name())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
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

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// xl2tpd is Debian's, as an LNS in the test's namespace, with a stand-in for pppd.
type xl2tpd struct {
	*exec.Cmd
	dir string
}

// frames are those that its pppd received so far, in hex, one a line.
func (x *xl2tpd) frames() string {
	b, _ := os.ReadFile(filepath.Join(x.dir, "frames"))
	return string(b)
}

// withXl2tpd is inNamespace for tests that start an xl2tpd.
func withXl2tpd(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		return inNamespace(t)
	}
	return inNamespace(t, lnsEnv+"="+findXl2tpd(t))
}

func findXl2tpd(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("xl2tpd"); err == nil {
		return path
	}
	dir := t.TempDir()
	get := exec.Command("apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "download", "xl2tpd")
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		t.Fatalf("xl2tpd is needed, and apt-get download xl2tpd does not bring it: %v: %s", err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(dir, "*.deb"))
	if len(debs) != 1 {
		t.Fatalf("apt-get download xl2tpd brought %v", debs)
	}
	command(t, "dpkg-deb -x "+debs[0]+" "+dir)
	return filepath.Join(dir, "usr/sbin/xl2tpd")
}

// startXl2tpd starts an LNS that listens on an address. In a mount namespace of its own /usr/sbin
// holds nothing but the stand-in.
func startXl2tpd(t *testing.T, address string) *xl2tpd {
	t.Helper()
	return startXl2tpdIn(t, space{t, os.Getpid()}, address)
}

// startXl2tpdIn starts it in another network namespace.
func startXl2tpdIn(t *testing.T, in space, address string) *xl2tpd {
	t.Helper()
	return startXl2tpdAs(t, in, fmt.Sprintf("[global]\nlisten-addr = %s\nport = 1701\n[lns default]\nip range = 10.9.0.2-10.9.0.9\nlocal ip = 10.9.0.1\nrequire authentication = no\nlength bit = no\npppoptfile = /dev/null\n", address), "")
}

// startXl2tpdAs starts it with a configuration, and its stand-in for pppd with an environment.
func startXl2tpdAs(t *testing.T, in space, config, env string) *xl2tpd {
	t.Helper()
	path := os.Getenv(lnsEnv)
	x := &xl2tpd{dir: t.TempDir()}
	files := map[string]string{
		"xl2tpd.conf":   config,
		"sbin/pppd":     fmt.Sprintf("#!/bin/sh\n%s %s=%s exec %s\n", env, pppdEnv, filepath.Join(x.dir, "frames"), os.Args[0]),
		"xl2tpd":        "",
		"l2tp-secrets":  "",
		"run/.keep":     "",
		"sbin/xl2tpd.d": "",
	}
	for name, text := range files {
		name = filepath.Join(x.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(x.dir, "xl2tpd"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("mount --bind %[1]s/sbin /usr/sbin && exec %[1]s/xl2tpd -D -c %[1]s/xl2tpd.conf -s %[1]s/l2tp-secrets -p %[1]s/run/pid -C %[1]s/run/control", x.dir)
	x.Cmd = exec.Command("nsenter", "-t", strconv.Itoa(in.pid), "-n", "unshare", "-m", "sh", "-c", script)
	x.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := &bytes.Buffer{}
	x.Stdout, x.Stderr = out, out
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = x.Process.Signal(unix.SIGCONT)
		_ = x.Process.Kill()
		_ = x.Wait()
		if t.Failed() {
			t.Logf("xl2tpd said:\n%s", out)
		}
	})
	// The shell before it is in the same namespace: the port is the daemon's.
	until(t, "xl2tpd listens", func() bool {
		sockets, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", x.Process.Pid))
		return err == nil && strings.Contains(string(sockets), ":06A5 ") // 1701
	})
	return x
}
