package appliance

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"xwire/appliance/api"
	"xwire/appliance/host"
	"xwire/config"
)

// Forecast is what a start would do to the interface of one port of this machine.
type Forecast struct {
	Port      string   `json:"port"`
	Interface string   `json:"interface"`
	Driver    string   `json:"driver,omitempty"`
	MTU       int      `json:"mtu,omitempty"`
	Queues    int      `json:"queues,omitempty"`
	Missing   bool     `json:"missing,omitempty"`  // there is no such interface on this machine
	Refused   string   `json:"refused,omitempty"`  // why the port could not be opened, and what mends it
	Changes   []string `json:"changes,omitempty"`  // commands that do what the start will do
	Flaps     []string `json:"flaps,omitempty"`    // when the link is expected to go down
	Warnings  []string `json:"warnings,omitempty"` // what cannot be changed from here
}

// Forecasts looks at the interfaces that a configuration names. It reads only, and needs no
// privilege.
func Forecasts(cfg *config.Config) ([]Forecast, error) {
	h, err := host.Open(stateDir(cmp.Or(cfg.Appliance.Control, api.DefaultSocket)))
	if err != nil {
		return nil, err
	}
	defer h.Close()
	a := &Appliance{}
	a.makePorts(cfg)
	list := make([]Forecast, 0, len(a.ports))
	for _, p := range a.ports {
		f := Forecast{Port: p.Name, Interface: p.Interface}
		info, err := h.Info(p.Interface)
		if err != nil {
			f.Missing = true
			list = append(list, f)
			continue
		}
		f.Driver, f.MTU, f.Queues = info.Driver, info.MTU, info.RxQueues
		plan, err := h.Plan(host.Request{Interface: p.Interface, Role: p.role(), Queues: p.Queues})
		var queues *host.QueueError
		switch {
		case errors.As(err, &queues):
			f.Refused = queues.Error()
		case err != nil:
			return nil, fmt.Errorf("look at %s: %w", p.Interface, err)
		}
		for _, c := range append(plan.Changes, plan.Kept...) {
			f.Changes = append(f.Changes, c.Command())
		}
		if p.access() {
			f.Changes = append(f.Changes, fmt.Sprintf("ip link set dev %s promisc on (while xwire runs)", p.Interface))
		}
		f.Flaps, f.Warnings = plan.Flaps, plan.Warnings
		list = append(list, f)
	}
	return list, nil
}

// WriteForecasts writes what a start would do to this machine, for people.
func WriteForecasts(w io.Writer, list []Forecast) error {
	if len(list) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "\nthis machine:"); err != nil {
		return err
	}
	for _, f := range list {
		state := fmt.Sprintf("driver %s, MTU %d, %d receive queues", cmp.Or(f.Driver, "unknown"), f.MTU, f.Queues)
		switch {
		case f.Missing:
			state = "no such interface here; the port waits until there is"
		case f.Refused != "":
			state = "REFUSED: " + f.Refused
		}
		if _, err := fmt.Fprintf(w, "  port %s (%s): %s\n", f.Port, f.Interface, state); err != nil {
			return err
		}
		for _, part := range []struct {
			what  string
			lines []string
		}{{"will do", f.Changes}, {"link goes down", f.Flaps}, {"warning", f.Warnings}} {
			for _, line := range part.lines {
				if _, err := fmt.Fprintf(w, "    %s: %s\n", part.what, line); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
