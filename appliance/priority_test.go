package appliance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// No thread waits behind other programs, of other sessions either, and Go has places for workers beside those for all CPUs.
func TestPriority(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	rig(t, requestText)
	// A thread begins with the priority of the one that made it.
	var others []int
	workers := 0
	until(t, "one thread has a worker's priority, the others another", func() bool {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		others, workers = others[:0], 0
		for _, d := range threads {
			id, _ := strconv.Atoi(d.Name())
			v, err := unix.Getpriority(unix.PRIO_PROCESS, id)
			if err != nil {
				continue // it has ended
			}
			switch nice := 20 - v; { // as the system call tells it
			case nice == -20:
				workers++
			case nice != ordinaryNice:
				others = append(others, nice)
			}
		}
		return workers == 1 && len(others) == 0
	})
	group, err := os.ReadFile("/proc/self/autogroup")
	if errors.Is(err, os.ErrNotExist) {
		t.Log("this kernel does not share CPUs between sessions")
	} else if want := fmt.Sprintf("nice %d\n", sessionNice); err != nil || !strings.HasSuffix(string(group), want) {
		t.Errorf("the session is %q, %v, want %q", group, err, want)
	}
}

// A session that other programs are in as well is left as it is.
func TestSharedSession(t *testing.T) {
	enabled, err := os.ReadFile("/proc/sys/kernel/sched_autogroup_enabled")
	if err != nil || string(enabled) != "1\n" {
		t.Logf("this kernel does not share CPUs between sessions: %q, %v", enabled, err)
		return
	}
	const env = "XWIRE_SHARED_SESSION"
	if os.Getenv(env) != "" {
		before, err := os.ReadFile("/proc/self/autogroup")
		if err != nil {
			t.Fatal(err)
		}
		if err := preferSession(); err == nil || !strings.Contains(err.Error(), "setsid") {
			t.Errorf("a process that does not lead its session: %v, want what to do", err)
		}
		if after, err := os.ReadFile("/proc/self/autogroup"); err != nil || string(after) != string(before) {
			t.Errorf("the session is %q, %v, was %q", after, err, before)
		}
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), env+"=1")
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as a child: %v\n%s", err, out)
	}
}
