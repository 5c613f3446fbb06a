package figure

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"
)

// Machine is what every figure is told with.
type Machine struct {
	CPU     string  `json:"cpu"`
	CPUs    int     `json:"cpus"`
	Kernel  string  `json:"kernel"`
	Arch    string  `json:"arch"`
	Go      string  `json:"go"`
	Commit  string  `json:"commit,omitempty"` // with +changes if the tree had any
	Virtual bool    `json:"virtual"`          // a hypervisor is below
	Load    float64 `json:"load"`             // load average of the last minute, before the measurement
}

// ThisMachine reads what the kernel tells of the machine.
func ThisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Arch: runtime.GOARCH, Go: runtime.Version(), Commit: commit()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		switch key, value = strings.TrimSpace(key), strings.TrimSpace(value); {
		case m.CPU == "" && (key == "model name" || key == "CPU part"):
			m.CPU = value
		case key == "flags":
			m.Virtual = strings.Contains(value+" ", " hypervisor ")
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(text), &m.Load)
	}
	return m
}

// commit is the one that Go recorded in the program; nothing in a test or under go run.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + modified
}

// String is one line for people.
func (m Machine) String() string {
	kind := "bare metal"
	if m.Virtual {
		kind = "virtual machine"
	}
	return fmt.Sprintf("%s, %d CPUs, %s, Linux %s %s, %s, load %.1f", m.CPU, m.CPUs, kind, m.Kernel, m.Arch, m.Go, m.Load)
}

// Header tells benchstat where the lines below it come from: a package of bench, and the mode of its ports.
func (m Machine) Header(pkg, mode string) string {
	return fmt.Sprintf("goos: linux\ngoarch: %s\npkg: xwire/bench/%s\ncpu: %s\nkernel: %s\nmode: %s\n", m.Arch, pkg, m.CPU, m.Kernel, mode)
}

// Driver is the name of the driver of an interface of the calling thread's namespace; empty if the
// kernel does not tell.
func Driver(name string) string {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return ""
	}
	defer e.Close()
	driver, err := e.DriverName(name)
	if err != nil {
		return ""
	}
	return driver
}
