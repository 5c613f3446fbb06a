package scenarios

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// labs lists the labs and namespaces on this machine.
func labs(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"/run/xwire-lab/*", "/run/netns/xw*"} {
		found, err := filepath.Glob(pattern)
		must(t, err)
		all = append(all, found...)
	}
	return all
}

// leavesNothing demands that no lab is there that was not before, but for those of others: ids are
// what tells.
func leavesNothing(t *testing.T, what string, id string) {
	t.Helper()
	for _, path := range labs(t) {
		if strings.HasPrefix(filepath.Base(path), id) {
			t.Errorf("%s leaves %s", what, path)
		}
	}
	if pids := processesOf(t, id); len(pids) > 0 {
		t.Errorf("%s leaves processes %v", what, pids)
	}
}

// processesOf lists processes with a lab's id in their command line.
func processesOf(t *testing.T, id string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	var pids []string
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && bytes.Contains(text, []byte("/"+id+"/")) {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}

// startDemo starts `xwire demo` and returns its lab's id, once that has the boxes' processes.
func startDemo(t *testing.T, out *bytes.Buffer, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"demo"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	id := ""
	until(t, "the demo's boxes run", func() (bool, string) {
		owners, err := filepath.Glob("/run/xwire-lab/*/owner")
		must(t, err)
		i := slices.IndexFunc(owners, func(f string) bool {
			text, _ := os.ReadFile(f)
			return strings.HasPrefix(string(text), strconv.Itoa(cmd.Process.Pid)+" ")
		})
		if i < 0 {
			return false, "no lab"
		}
		id = filepath.Base(filepath.Dir(owners[i]))
		return len(processesOf(t, id)) == 2, "no processes"
	})
	return cmd, id
}

func TestLifeDemo(t *testing.T) {
	t.Parallel()
	t.Run("json", func(t *testing.T) {
		out, err := exec.Command(program, "demo", "--json", "--bytes", "33554432").Output()
		must(t, err)
		var got struct {
			Ping struct{ Sent, Received *int }
			Bulk struct {
				Bytes         *int64
				Seconds       *float64
				Rate          *float64 `json:"gbit_per_second"`
				Sent          string   `json:"sent_sha256"`
				ReceivedBytes string   `json:"received_sha256"`
			}
			Sessions []map[string]any
			Ports    []struct {
				Name                 string
				Received, Sent, Held uint64
				Drops                map[string]uint64
			}
			Drops map[string]uint64
			Mode  string
		}
		d := json.NewDecoder(bytes.NewReader(out))
		must(t, d.Decode(&got))
		if d.More() {
			t.Errorf("there is more than one object in\n%s", out)
		}
		switch {
		case got.Ping.Sent == nil || got.Ping.Received == nil || *got.Ping.Sent == 0 || *got.Ping.Sent != *got.Ping.Received:
			t.Errorf("ping: %s", out)
		case got.Bulk.Bytes == nil || *got.Bulk.Bytes != 32<<20 || got.Bulk.Seconds == nil || got.Bulk.Rate == nil || *got.Bulk.Rate <= 0:
			t.Errorf("bulk: %s", out)
		case got.Bulk.Sent == "" || got.Bulk.Sent != got.Bulk.ReceivedBytes:
			t.Errorf("the bulk's sums: %s", out)
		case len(got.Sessions) != 2 || got.Drops == nil || got.Mode == "" || len(got.Ports) != 4:
			t.Errorf("sessions, drops, mode, ports: %s", out)
		}
		for _, p := range got.Ports {
			sum := p.Sent + p.Held
			for _, n := range p.Drops {
				sum += n
			}
			if sum != p.Received || p.Received == 0 {
				t.Errorf("port %s: received %d, accounted for %d", p.Name, p.Received, sum)
			}
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		for _, wait := range []time.Duration{0, 1500 * time.Millisecond} {
			var out bytes.Buffer
			cmd, id := startDemo(t, &out, "--bytes", "1099511627776")
			time.Sleep(wait)
			must(t, cmd.Process.Signal(os.Interrupt))
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case err := <-ended:
				if err == nil || err.Error() != "exit status 1" {
					t.Errorf("it ended with %v, want status 1:\n%s", err, out.String())
				}
				says(t, out.String(), "interrupted")
			case <-time.After(soon):
				cmd.Process.Kill()
				t.Fatal("it goes on after Ctrl-C")
			}
			leavesNothing(t, "Ctrl-C", id)
		}
	})
	t.Run("keep and down", func(t *testing.T) {
		cmd := exec.Command(program, "demo", "--keep", "--bytes", "1048576")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		must(t, cmd.Run())
		found := regexp.MustCompile(`xwire demo --down (\S+)`).FindStringSubmatch(stderr.String())
		if found == nil {
			t.Fatalf("--keep does not tell how to remove the lab:\n%s", stderr.String())
		}
		id := found[1]
		defer exec.Command(program, "demo", "--down", id).Run()
		// Every command that it tells works.
		commands := regexp.MustCompile(`(?m)^  (ip netns exec \S+ ping \S+|xwire show sessions --control \S+)`).FindAllStringSubmatch(stderr.String(), -1)
		if len(commands) != 4 {
			t.Errorf("--keep tells %d commands:\n%s", len(commands), stderr.String())
		}
		for _, c := range commands {
			args := strings.Fields(strings.Replace(c[1], "xwire ", program+" ", 1))
			if args[0] == "ip" {
				args = slices.Insert(args, len(args)-1, "-c", "1", "-W", "20")
				if _, err := exec.LookPath("ping"); err != nil {
					args = append(args[:4], "true")
				}
			}
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", c[1], err, out)
			}
		}
		if out, err := exec.Command(program, "demo", "--down", id).CombinedOutput(); err != nil {
			t.Errorf("--down: %v: %s", err, out)
		}
		leavesNothing(t, "--down", id)
		if err := exec.Command(program, "demo", "--down", id).Run(); err == nil {
			t.Error("--down of a lab that is gone succeeds")
		}
	})
}
