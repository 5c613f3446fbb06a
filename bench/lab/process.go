package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopGrace is what a process gets between SIGTERM and SIGKILL.
const stopGrace = 3 * time.Second

// outputGrace is how long a program's output is read on after its end. Only one that left a child behind with
// its output makes use of it.
const outputGrace = 20 * time.Second

// Program is what Start runs.
type Program struct {
	Path string
	Args []string // without the program's own name
	Env  []string // added to our own environment
	Dir  string
	// Binds are directories that the program alone sees in place of others:
	// where -> what.
	Binds map[string]string
	Files []*os.File // as its descriptors 3 and on
	// Output takes standard output and error; nil: a file of the lab, which
	// Process.Output reads.
	Output io.Writer
}

// Process is a running program of a lab. It leads a session, as a service does: a
// Ctrl-C at the terminal does not reach it before its lab's Close.
type Process struct {
	name string
	pid  int
	log  string
	done chan struct{}
	err  error // of Wait; set before done is closed
	once sync.Once
}

// Start runs a program inside the namespace, with a /sys that shows it. The
// program dies with our own process unless the lab is kept, and ends at the
// lab's Close.
func (n *Namespace) Start(p Program) (*Process, error) {
	path, err := exec.LookPath(p.Path)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	cmd := exec.Command(path, p.Args...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.ExtraFiles = p.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !n.lab.keep {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	proc := &Process{name: filepath.Base(path), done: make(chan struct{})}
	if p.Output != nil {
		cmd.Stdout, cmd.Stderr = p.Output, p.Output
		cmd.WaitDelay = outputGrace
	} else {
		f, err := os.CreateTemp(n.lab.dir, proc.name+"-*.log")
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", p.Path, err)
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr, proc.log = f, f, f.Name()
	}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig fires when the thread that forked ends, so this one
		// lives as long as the process.
		runtime.LockOSThread()
		defer close(proc.done)
		err := n.enterMounts(p.Binds)
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			started <- err
			return
		}
		proc.pid = cmd.Process.Pid
		started <- nil
		proc.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s in %s: %w", p.Path, n.name, err)
	}
	if !n.lab.adopt(proc) {
		proc.Stop(0)
		return nil, fmt.Errorf("start %s: the lab is closed", p.Path)
	}
	return proc, nil
}

// enterMounts does what `ip netns exec` does: the namespace, and a mount table
// of its own in which /sys is the namespace's.
func (n *Namespace) enterMounts(binds map[string]string) error {
	if err := n.enter(); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "none", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount /sys: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	// Absent in kernels without them; nothing depends on these two.
	unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "")
	unix.Mount("debugfs", "/sys/kernel/debug", "debugfs", 0, "")
	for where, what := range binds {
		if err := os.MkdirAll(where, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(what, where, "none", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", what, where, err)
		}
	}
	return nil
}

// Command runs a program to its end inside the namespace and returns what it
// printed; the error of a failed one repeats that.
func (n *Namespace) Command(name string, args ...string) (string, error) {
	var out bytes.Buffer
	p, err := n.Start(Program{Path: name, Args: args, Output: &out})
	if err != nil {
		return "", err
	}
	if err := p.Wait(); err != nil {
		return out.String(), fmt.Errorf("run %s %q in %s: %w: %s", name, args, n.name, err, bytes.TrimSpace(out.Bytes()))
	}
	return out.String(), nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait blocks until the process ends and returns an *exec.ExitError for a
// status other than 0.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Output reads what the process printed so far. Empty when Program.Output was
// given.
func (p *Process) Output() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
		return unix.Kill(p.pid, s)
	}
}

// Stop ends the process group: SIGTERM, and SIGKILL to what is left after the
// grace. It returns the process's own error, nil for status 0.
func (p *Process) Stop(grace time.Duration) error {
	p.once.Do(func() {
		if grace > 0 {
			p.signalGroup(unix.SIGTERM)
			select {
			case <-p.done:
			case <-time.After(grace):
			}
		}
		p.signalGroup(unix.SIGKILL)
	})
	return p.Wait()
}

// Kill ends the process group with SIGKILL, as a crash would.
func (p *Process) Kill() {
	p.signalGroup(unix.SIGKILL)
	<-p.done
}

// signalGroup signals a group only while its leader is not reaped, for after
// that its number may be another's.
func (p *Process) signalGroup(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		unix.Kill(-p.pid, s)
	}
}
