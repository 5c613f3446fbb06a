package config

import (
	"net"
	"strconv"
	"strings"
)

// Appliance is the [appliance] table.
type Appliance struct {
	CPUs            []int  // one worker each, repeats allowed; nil: to be chosen
	Control         string // path of the control socket
	ControlGroup    string // who may use it besides its owner: a name or a number; empty: nobody
	Metrics         string // host:port, empty: off
	MetricsSessions bool   // metrics for each session
	Unknown         Unknown
	Strict          bool // start = "strict": no port may be missing
}

func (a *Appliance) set(r *reader, key string, v any) {
	switch key {
	case "cpus":
		if list, ok := r.integers(key, v, 0, 4095); ok {
			a.CPUs = nil
			for _, n := range list {
				a.CPUs = append(a.CPUs, int(n))
			}
			if len(list) == 0 {
				r.errorf(key, "is empty; name a CPU, or leave the key out")
			}
		}
	case "control":
		if s, ok := r.text(key, v, 107); ok { // sun_path of unix(7)
			if !strings.HasPrefix(s, "/") {
				r.errorf(key, "%q is not an absolute path", s)
				return
			}
			a.Control = s
		}
	case "control_group":
		if s, ok := r.text(key, v, 255); ok {
			a.ControlGroup = s
		}
	case "metrics":
		if s, ok := r.text(key, v, 255); ok {
			if s != "" && !isHostPort(s) {
				r.errorf(key, `%q is not "host:port"; write 127.0.0.1:9780, or leave the key out`, s)
				return
			}
			a.Metrics = s
		}
	case "metrics_sessions":
		if i, ok := r.enum(key, v, "all", "none"); ok {
			a.MetricsSessions = i == 0
		}
	case "unknown":
		if i, ok := r.enum(key, v, unknowns[:]...); ok {
			a.Unknown = Unknown(i)
		}
	case "start":
		if i, ok := r.enum(key, v, "degraded", "strict"); ok {
			a.Strict = i == 1
		}
	default:
		panic("config: no setter for appliance." + key)
	}
}

func isHostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
