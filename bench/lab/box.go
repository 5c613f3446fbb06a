package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Box is an `xwire run` in a namespace. Its files, its /run/xwire and its state
// directory are its own and stay between starts, so that a start after a Kill finds what was left.
type Box struct {
	ns      *Namespace
	binary  string
	dir     string
	process *Process
	notify  *notifySocket

	// Control is the path of the control socket.
	Control string
	// ConfigFile is the path of the TOML file; Configure writes it.
	ConfigFile string
	// Args are added to `xwire run`.
	Args []string
	// Env is added to the environment.
	Env []string
}

// readyTimeout and endTimeout end what hangs. They are generous: in a virtual machine whose CPU is
// emulated, with other programs on the host's, a box with network cards takes a minute for either.
const (
	readyTimeout = 5 * time.Minute
	endTimeout   = time.Minute
)

// Box prepares a box; binary is the xwire program.
func (n *Namespace) Box(binary string) (*Box, error) {
	dir, err := os.MkdirTemp(n.lab.dir, "box-")
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "run"), 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare a box in %s: %w", n.name, err)
	}
	return &Box{
		ns: n, binary: binary, dir: dir,
		Control:    filepath.Join(dir, "control.sock"),
		ConfigFile: filepath.Join(dir, "xwire.toml"),
	}, nil
}

// Namespace is where the box runs.
func (b *Box) Namespace() *Namespace { return b.ns }

// Dir is the box's own directory.
func (b *Box) Dir() string { return b.dir }

// Process is the running or last `xwire run`; nil before the first Start.
func (b *Box) Process() *Process { return b.process }

// Configure writes the configuration, with the box's control socket added to
// [appliance].
func (b *Box) Configure(text string) error {
	control := fmt.Sprintf("[appliance]\ncontrol = %q\n", b.Control)
	if strings.Contains(text, "[appliance]\n") {
		text = strings.Replace(text, "[appliance]\n", control, 1)
	} else {
		text += "\n" + control
	}
	return os.WriteFile(b.ConfigFile, []byte(text), 0o600)
}

// Start configures the box and starts it, and returns when it is ready. An
// error repeats what the program printed.
func (b *Box) Start(ctx context.Context, config string) error {
	if err := b.Configure(config); err != nil {
		return fmt.Errorf("start a box in %s: %w", b.ns.name, err)
	}
	return b.Restart(ctx)
}

// Restart starts a box that ended, with the configuration it has.
func (b *Box) Restart(ctx context.Context) error {
	n, err := listenNotify(filepath.Join(b.dir, "notify.sock"))
	if err != nil {
		return fmt.Errorf("start a box in %s: %w", b.ns.name, err)
	}
	b.notify = n
	b.process, err = b.ns.Start(Program{
		Path:  b.binary,
		Args:  append([]string{"run", "--config", b.ConfigFile, "--state", filepath.Join(b.dir, "state")}, b.Args...),
		Env:   append([]string{"NOTIFY_SOCKET=" + n.path}, b.Env...),
		Binds: map[string]string{"/run/xwire": filepath.Join(b.dir, "run")},
	})
	if err != nil {
		n.Close()
		return err
	}
	go func(p *Process) {
		<-p.Done()
		n.Close()
	}(b.process)
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := n.wait(ctx, b.process.Done()); err != nil {
		b.process.Stop(stopGrace)
		return fmt.Errorf("wait for the box in %s: %w (%v); it printed:\n%s", b.ns.name, err, b.process.err, b.process.Output())
	}
	return nil
}

// Status is the last STATUS= that the box told systemd since it was started.
func (b *Box) Status() string {
	if b.notify == nil {
		return ""
	}
	if s := b.notify.status.Load(); s != nil {
		return *s
	}
	return ""
}

// Stop ends the box with SIGTERM and returns its error, nil for status 0.
func (b *Box) Stop() error {
	if b.process == nil {
		return nil
	}
	if err := b.process.Stop(endTimeout); err != nil {
		return fmt.Errorf("stop the box in %s: %w; it printed:\n%s", b.ns.name, err, b.process.Output())
	}
	return nil
}

// Kill ends the box with SIGKILL.
func (b *Box) Kill() { b.process.Kill() }

// Reload sends SIGHUP.
func (b *Box) Reload() error { return b.process.Signal(unix.SIGHUP) }

// Run calls another command of the program against the box's control socket and
// returns its standard output.
func (b *Box) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.binary, append(args, "--control", b.Control)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return out, fmt.Errorf("run xwire %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// Show decodes `xwire show NOUN --json` into v.
func (b *Box) Show(ctx context.Context, v any, noun ...string) error {
	out, err := b.Run(ctx, append(append([]string{"show"}, noun...), "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("read xwire show %s: %w in %s", strings.Join(noun, " "), err, out)
	}
	return nil
}
