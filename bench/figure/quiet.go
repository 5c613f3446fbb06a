package figure

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Attention is what threads got of their CPUs, and what the CPUs got of the machine, since the
// beginning.
type Attention struct {
	at      time.Time
	threads map[string]thread
	stolen  time.Duration // from all CPUs, by the hypervisor
}

type thread struct{ ran, waited time.Duration }

// tick is the unit of /proc/stat.
const tick = 10 * time.Millisecond

// ReadAttention reads the scheduler's counters of all threads of processes, and the time stolen.
func ReadAttention(pids ...int) Attention {
	a := Attention{at: time.Now(), threads: map[string]thread{}}
	for _, pid := range pids {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // it ended
			}
			var t thread
			if _, err := fmt.Sscan(string(text), &t.ran, &t.waited); err == nil {
				a.threads[file] = t
			}
		}
	}
	if text, err := os.ReadFile("/proc/stat"); err == nil {
		first, _, _ := strings.Cut(string(text), "\n")
		if fields := strings.Fields(first); len(fields) > 8 {
			var ticks int64
			fmt.Sscan(fields[8], &ticks)
			a.stolen = time.Duration(ticks) * tick
		}
	}
	return a
}

// Stolen is what the hypervisor has kept from all CPUs since an earlier reading.
func (a Attention) Stolen(since Attention) time.Duration { return a.stolen - since.stolen }

// Busiest is the CPU time, since an earlier reading, of the thread that had most, those left out.
func (a Attention) Busiest(since Attention, without ...int) time.Duration {
	most := time.Duration(0)
	for file, now := range a.threads {
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if !slices.Contains(without, id) {
			most = max(most, now.ran-since.threads[file].ran)
		}
	}
	return most
}

// DisturbedPercent is how much of the time since an earlier reading the busy threads, those that ran
// a quarter of it or more, had to wait for others, and what the hypervisor took, in percent of the
// time of one CPU. 0 is a machine that did nothing else.
func (a Attention) DisturbedPercent(since Attention) float64 {
	window := a.at.Sub(since.at)
	lost := a.Stolen(since)
	for file, now := range a.threads {
		before := since.threads[file] // none: it began since
		if ran, waited := now.ran-before.ran, now.waited-before.waited; ran+waited >= window/4 {
			lost += waited
		}
	}
	return 100 * float64(lost) / float64(max(window, 1))
}
