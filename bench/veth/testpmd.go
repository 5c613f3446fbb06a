package veth

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"xwire/bench/lab"
)

// errAbsent is why a case is left out that the machine has not.
var errAbsent = errors.New("not installed")

// testpmd is DPDK's program. It spins, so it is stopped (SIGSTOP) while others are measured.
type testpmd struct{ process *lab.Process }

func (t *testpmd) pids() []int  { return []int{t.process.PID()} }
func (t *testpmd) mode() string { return "copy" }
func (t *testpmd) pause()       { t.signal(unix.SIGSTOP) }
func (t *testpmd) resume()      { t.signal(unix.SIGCONT) }

func (t *testpmd) close() error {
	t.resume()
	t.process.Kill()
	return nil
}

func (t *testpmd) signal(s unix.Signal) {
	select {
	case <-t.process.Done():
	default:
		_ = unix.Kill(-t.process.PID(), s)
	}
}

func startTestpmd(_ context.Context, p *place) (running, error) {
	program, err := exec.LookPath("dpdk-testpmd")
	if err != nil {
		return nil, fmt.Errorf("dpdk-testpmd is %w (Debian packages dpdk-dev and librte-net-af-xdp23 or later)", errAbsent)
	}
	args := []string{program,
		"--no-huge", "-m", "256", "--no-pci", "--no-shconf", "--no-telemetry",
		"-l", fmt.Sprintf("%d,%d", p.config.Generator, p.config.Worker), "--main-lcore", fmt.Sprint(p.config.Generator),
		"--vdev", "net_af_xdp0,iface=" + inName, "--vdev", "net_af_xdp1,iface=" + outName,
		"--", "--nb-cores=1", "--forward-mode=io", "--auto-start", "--no-flush-rx", "--total-num-mbufs=16384",
	}
	if p.config.Generator == p.config.Worker {
		return nil, errors.New("testpmd needs two CPUs")
	}
	// It ends when its standard input does; this one never says anything.
	silence := filepath.Join(p.dir, "silence")
	if err := unix.Mkfifo(silence, 0o600); err != nil {
		return nil, fmt.Errorf("make %s: %w", silence, err)
	}
	t := &testpmd{}
	t.process, err = p.box.Start(lab.Program{Path: "sh", Args: []string{"-c", "exec " + strings.Join(args, " ") + " <>" + silence}})
	if err != nil {
		return nil, err
	}
	return t, nil
}
