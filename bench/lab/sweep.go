package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A lab's owner is a process id with its start time, because process ids come
// round again. A kept lab has no owner.
const (
	ownerFile = "owner"
	keptOwner = "kept"
)

// Sweep removes labs whose owner is dead. Labs of living owners and kept labs
// stay.
func Sweep() error {
	var errs []error
	entries, err := os.ReadDir(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for stale labs: %w", err)
	}
	for _, e := range entries {
		if stale(filepath.Join(stateDir, e.Name())) {
			// Another process may sweep at the same time.
			if err := Remove(e.Name()); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Remove ends and removes the lab with this id, whoever made it.
func Remove(id string) error {
	if id == "" || id != filepath.Base(id) || strings.HasPrefix(id, ".") {
		return fmt.Errorf("remove lab %q: not a lab's id", id)
	}
	dir := filepath.Join(stateDir, id)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("remove lab %s: %w", id, err)
	}
	var errs []error
	names, err := filepath.Glob(filepath.Join(netnsDir, id+"-*"))
	errs = append(errs, err)
	for _, n := range names {
		errs = append(errs, removeNamespace(filepath.Base(n)))
	}
	errs = append(errs, os.RemoveAll(dir))
	return errors.Join(errs...)
}

func writeOwner(dir string, keep bool) error {
	owner := keptOwner
	if !keep {
		start, err := startTime(os.Getpid())
		if err != nil {
			return err
		}
		owner = fmt.Sprintf("%d %d", os.Getpid(), start)
	}
	return os.WriteFile(filepath.Join(dir, ownerFile), []byte(owner), 0o644)
}

func stale(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, ownerFile))
	if err != nil {
		// Between its maker's mkdir and its owner file, or half removed.
		info, err := os.Stat(dir)
		return err == nil && time.Since(info.ModTime()) > time.Minute
	}
	if string(b) == keptOwner {
		return false
	}
	var pid int
	var start uint64
	if _, err := fmt.Sscanf(string(b), "%d %d", &pid, &start); err != nil {
		return true
	}
	now, err := startTime(pid)
	return err != nil || now != start
}

// startTime is a process's start in clock ticks since boot, field 22 of
// /proc/PID/stat.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command name may hold spaces and parentheses: count from its end.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("read start time of process %d: %d fields", pid, len(fields))
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
