package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// stateDir holds one directory a lab: its owner, the files of its processes.
const stateDir = "/run/xwire-lab"

// Config says how a lab is made. The zero value makes one that dies with its
// owner.
type Config struct {
	// Keep leaves namespaces and processes running when the owner ends without
	// a Close. Such a lab is removed by Remove.
	Keep bool
}

// Lab owns namespaces, links and processes until Close.
type Lab struct {
	id   string
	dir  string
	keep bool

	mu         sync.Mutex
	namespaces []*Namespace
	processes  []*Process
	closed     bool
}

// New makes an empty lab, and removes labs whose owner died without a Close.
// The caller must Close it, also on the signals that end the program.
func New(c Config) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make a lab: root is needed for network namespaces")
	}
	if err := Sweep(); err != nil {
		return nil, err
	}
	var b [3]byte
	rand.Read(b[:])
	id := "xw" + hex.EncodeToString(b[:])
	l := &Lab{id: id, dir: filepath.Join(stateDir, id), keep: c.Keep}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a lab: %w", err)
	}
	if err := writeOwner(l.dir, c.Keep); err != nil {
		os.RemoveAll(l.dir)
		return nil, fmt.Errorf("make a lab: %w", err)
	}
	return l, nil
}

// ID is the prefix of every namespace of the lab.
func (l *Lab) ID() string { return l.id }

// Dir is a directory of the lab, removed with it.
func (l *Lab) Dir() string { return l.dir }

// Close ends the lab's processes, removes its namespaces (and with them their
// links) and its directory. It goes on after an error and returns all of them.
// A second call does nothing.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var wg sync.WaitGroup
	for _, p := range slices.Backward(l.processes) {
		wg.Go(func() { p.Stop(stopGrace) })
	}
	wg.Wait()
	var errs []error
	for _, n := range slices.Backward(l.namespaces) {
		errs = append(errs, removeNamespace(n.name))
	}
	errs = append(errs, os.RemoveAll(l.dir))
	return errors.Join(errs...)
}

// adopt records a process for Close; false when the lab is closed already.
func (l *Lab) adopt(p *Process) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.processes = append(l.processes, p)
	return true
}
