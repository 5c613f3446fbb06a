package vm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"xwire/bench/lab"
)

// Config is one boot of a guest and the command it runs.
type Config struct {
	Command []string // program and arguments; paths are the host's
	Env     []string // "NAME=value", added to a plain environment
	Memory  int      // MiB; 0: 1024
	CPUs    int      // 0: 2
	Wires   []Wire
	Devices []string // more QEMU arguments
	// Limit ends a guest whose command takes longer; 0: 20 minutes. Waiting for
	// other guests and booting do not count.
	Limit time.Duration
	// Output gets what the command prints as it comes; may be nil.
	Output io.Writer
}

// Result is what the command left.
type Result struct {
	Output  []byte // standard output and error
	Status  int    // exit status
	Console string // the kernel's and init's words
	Boot    time.Duration
	Total   time.Duration
}

// Run boots a guest, runs the command as root and returns once the guest is off.
// A command that fails is a Status, not an error. One guest runs at a time on a
// machine. The error of a guest that did not get to the end holds its console.
func Run(ctx context.Context, c Config) (Result, error) {
	if len(c.Command) == 0 {
		return Result{}, errors.New("run a guest: no command")
	}
	k, err := prepare(ctx)
	if err != nil {
		return Result{}, err
	}
	unlock, err := lockFile(ctx, filepath.Join(k.dir, "run.lock"))
	if err != nil {
		return Result{}, fmt.Errorf("wait for another guest to end: %w", err)
	}
	defer unlock()
	for try := 1; ; try++ {
		r, err := run(ctx, k, c)
		if err == nil {
			return r, nil
		}
		err = fmt.Errorf("run a guest: %w\nconsole:\n%s\noutput:\n%s", err, r.Console, r.Output)
		if try == bootTries || !errors.Is(err, errBoot) {
			return r, err
		}
	}
}

// An emulated machine on a busy host now and then hangs or panics before its
// first process; nothing has run then, and it may boot again. A slow one goes on
// printing: a hang is silence, or warnings without end.
const (
	bootSilence = 2 * time.Minute
	bootLimit   = 6 * time.Minute
	bootTries   = 3
)

var errBoot = errors.New("it did not boot")

// defaultLimit is Config.Limit where none is set: it ends what hangs, and is
// far more than any test takes where the host's CPUs have other things to do.
const defaultLimit = 20 * time.Minute

// bootMark is init's last word before the command.
const bootMark = "xwire: modules loaded"

func run(ctx context.Context, k *kit, c Config) (r Result, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l, err := lab.New(lab.Config{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	ns, err := l.Namespace("qemu")
	if err != nil {
		return r, err
	}
	devices, err := wireDevices(ns, c.Wires)
	if err != nil {
		return r, err
	}
	// Not in the lab's directory: the guest has a /run of its own. One guest
	// runs at a time, so one name will do.
	script := filepath.Join(k.dir, "run.sh")
	if err := os.WriteFile(script, []byte(c.script()), 0o755); err != nil {
		return r, err
	}
	start := time.Now()
	output := &stream{tee: c.Output}
	status := &stream{}
	outputDone, err := output.listen(ctx, filepath.Join(l.Dir(), "output.sock"))
	if err != nil {
		return r, err
	}
	statusDone, err := status.listen(ctx, filepath.Join(l.Dir(), "status.sock"))
	if err != nil {
		return r, err
	}
	console := &stream{}
	p, err := ns.Start(lab.Program{
		Path:   filepath.Join(k.qemu, "usr/bin/qemu-system-x86_64"),
		Args:   append(k.arguments(c, l.Dir(), script), append(devices, c.Devices...)...),
		Env:    k.environment(),
		Output: console,
	})
	if err != nil {
		return r, err
	}
	err = watch(ctx, p, console, cmp.Or(c.Limit, defaultLimit))
	if err != nil {
		p.Kill()
		cancel(err)
	}
	if err == nil {
		err = p.Wait()
		if err == nil {
			<-outputDone
			<-statusDone
		}
	}
	text, _ := output.read()
	words, _ := console.read()
	r = Result{Output: text, Console: string(words), Status: -1, Total: time.Since(start)}
	if first := output.firstWrite(); !first.IsZero() {
		r.Boot = first.Sub(start)
	}
	if err != nil {
		return r, err
	}
	text, _ = status.read()
	r.Status, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return r, errors.New("it ended without the command's status")
	}
	return r, nil
}

// watch returns when the emulator has ended, or the error for which it is to be ended.
func watch(ctx context.Context, p *lab.Process, console *stream, limit time.Duration) error {
	start := time.Now()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	var tooLong <-chan time.Time // from the end of the boot on
	for {
		select {
		case <-p.Done():
			if text, _ := console.read(); p.Wait() == nil && !bytes.Contains(text, []byte(bootMark)) {
				return fmt.Errorf("%w: it ended before its first process", errBoot)
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tooLong:
			return fmt.Errorf("the guest took longer than %v", limit)
		case <-look.C:
		}
		if tooLong != nil {
			continue
		}
		text, last := console.read()
		switch {
		case bytes.Contains(text, []byte(bootMark)):
			tooLong = time.After(limit)
		case time.Since(last) > bootSilence && time.Since(start) > bootSilence:
			return fmt.Errorf("%w: %v without a word", errBoot, bootSilence)
		case time.Since(start) > bootLimit:
			return fmt.Errorf("%w in %v", errBoot, bootLimit)
		}
	}
}

// environment lets the emulator find its unpacked modules and libraries.
func (k *kit) environment() []string {
	libs := filepath.Join(k.qemu, "usr/lib/x86_64-linux-gnu")
	return []string{
		"QEMU_MODULE_DIR=" + filepath.Join(libs, "qemu"),
		"LD_LIBRARY_PATH=" + libs + ":" + filepath.Join(k.qemu, "lib/x86_64-linux-gnu"),
	}
}

func (k *kit) arguments(c Config, dir, script string) []string {
	return []string{
		"-L", filepath.Join(k.qemu, "usr/share/qemu"), "-L", filepath.Join(k.qemu, "usr/share/seabios"),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio", "-monitor", "none",
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
		"-smp", strconv.Itoa(cmp.Or(c.CPUs, 2)), "-m", strconv.Itoa(cmp.Or(c.Memory, 1024)),
		"-kernel", k.kernel, "-initrd", k.initrd,
		"-append", "console=ttyS0 loglevel=7 panic=-1 mitigations=off no_timer_check xwire.run=" + script, // an emulated timer may be late when it is checked
		"-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=output,path=" + filepath.Join(dir, "output.sock"),
		"-device", "virtserialport,chardev=output,name=xwire.output",
		"-chardev", "socket,id=status,path=" + filepath.Join(dir, "status.sock"),
		"-device", "virtserialport,chardev=status,name=xwire.status",
	}
}

// script is what the guest's init runs. The go command's directory is on the
// path for commands that want it.
func (c Config) script() string {
	var b strings.Builder
	b.WriteString("export PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt TMPDIR=/mnt/tmp\n")
	b.WriteString("export " + InsideEnv + "=1\n")
	for _, e := range c.Env {
		b.WriteString("export " + quote(e) + "\n")
	}
	b.WriteString("cd /mnt && exec")
	for _, a := range c.Command {
		b.WriteString(" " + quote(a))
	}
	b.WriteString("\n")
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// stream keeps what is written to it.
type stream struct {
	mu          sync.Mutex
	buf         bytes.Buffer
	first, last time.Time // writes
	tee         io.Writer
}

func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if s.first.IsZero() {
		s.first = s.last
	}
	if s.tee != nil {
		s.tee.Write(b)
	}
	return s.buf.Write(b)
}

// read gives all that was written, and when the last of it was.
func (s *stream) read() (text []byte, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.buf.Bytes()), s.last
}

func (s *stream) firstWrite() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// listen takes one connection of the emulator; the channel is closed after its
// last byte.
func (s *stream) listen(ctx context.Context, path string) (<-chan struct{}, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer stop()
		conn, err := l.Accept()
		l.Close()
		if err != nil {
			return
		}
		defer conn.Close()
		io.Copy(s, conn)
	}()
	return done, nil
}
