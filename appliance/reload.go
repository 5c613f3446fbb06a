package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"xwire/appliance/api"
	"xwire/config"
)

// unconfirmed is a reload that is rolled back unless somebody confirms it.
type unconfirmed struct {
	before *config.Config // what ran from the file when it was confirmed last
	after  *config.Config // what the file says now
	stop   func() bool    // takes the roll-back back
}

// Reload reads the configuration file again and makes what it says run. A file with errors changes
// nothing. What requests created stays.
func (a *Appliance) Reload(ctx context.Context, r api.ReloadRequest) (api.Reload, error) {
	var out api.Reload
	err := a.changer.do(ctx, func() (err error) {
		out, err = a.reload(r)
		return err
	})
	return out, err
}

// reload is Reload in its turn.
func (a *Appliance) reload(r api.ReloadRequest) (api.Reload, error) {
	start := time.Now()
	a.fabric.Brace() // workers share CPUs with what follows
	if r.ConfirmWithin < 0 || r.ConfirmWithin > 24*3600 {
		return api.Reload{}, refused(http.StatusBadRequest, api.CodeInvalidRequest, "confirm within %g s: must be more than 0 and a day at most", r.ConfirmWithin)
	}
	a.mu.Lock()
	from := a.running()
	a.mu.Unlock()
	to, err := config.Reload(a.o.ConfigFile, from)
	if err != nil {
		a.log.Error("reload: the configuration has errors, nothing is changed", "file", a.o.ConfigFile, "error", err)
		return api.Reload{}, faulty(http.StatusUnprocessableEntity, api.CodeInvalidConfig, err)
	}
	if to.AutoPorts() && !a.o.AutoPorts {
		return api.Reload{}, refused(http.StatusUnprocessableEntity, api.CodeInvalidConfig,
			"%s has no [port.NAME], and nothing is taken that was not named: add ports, or run with --auto-ports", a.o.ConfigFile)
	}
	if _, err := groupID(to.Appliance.ControlGroup); err != nil && to.Appliance.ControlGroup != from.Appliance.ControlGroup {
		return api.Reload{}, refused(http.StatusUnprocessableEntity, api.CodeInvalidConfig, "%v", err)
	}
	d := config.Compare(from, to)
	out := api.Reload{File: a.o.ConfigFile, DryRun: r.DryRun, Changes: apiChanges(d), Warnings: apiFaults(to.Warnings)}
	if r.DryRun {
		out.Seconds = time.Since(start).Seconds()
		return out, nil
	}
	a.reloading()
	defer a.notify(daemon.SdNotifyReady)
	a.warn(to.Warnings)
	if r.ConfirmWithin > 0 {
		// Before anything changes: whatever ends the process now, it does not come back.
		if err := a.mark(to); err != nil {
			return api.Reload{}, refused(http.StatusInternalServerError, api.CodeFailed, "note that the configuration waits for its confirmation: %v", err)
		}
	}
	if err := a.turn(d, to); err != nil {
		return api.Reload{}, err
	}
	out.Waiting = a.waitingOf(d)
	if r.ConfirmWithin > 0 {
		out.Confirm = a.awaitConfirmation(from, to, time.Duration(r.ConfirmWithin*float64(time.Second)))
	} else {
		out.Confirmed = a.pending != nil
		a.confirmed(to)
	}
	out.Seconds = time.Since(start).Seconds()
	a.logChanges(out.Changes)
	a.log.Info("reloaded", "file", a.o.ConfigFile, "changes", len(out.Changes), "seconds", out.Seconds)
	a.events.publish(api.Event{Type: api.EventReloaded, Kind: "appliance", Count: len(out.Changes)})
	if out.Confirmed {
		a.log.Info("the reload before, which waited for its confirmation, is confirmed by this one")
		a.events.publish(api.Event{Type: api.EventConfirmed, Kind: "appliance"})
	}
	return out, nil
}

// logChanges logs a difference; of a long one, the first.
func (a *Appliance) logChanges(list []api.Change) {
	const most = 20
	for _, c := range list[:min(len(list), most)] {
		a.log.Info("reload", "change", c.Action, "kind", c.Kind, "name", c.Name, "keys", strings.Join(c.Keys, ","), "effect", c.Effect)
	}
	if n := len(list) - most; n > 0 {
		a.log.Info("reload: and more changes", "number", n)
	}
}

// waitingOf are the sessions of a difference that do not stand, and why.
func (a *Appliance) waitingOf(d *config.Difference) (list []string) {
	const most = 20
	a.mu.Lock()
	defer a.mu.Unlock()
	more := 0
	for i := range d.Sessions {
		if d.Sessions[i].New == nil {
			continue
		}
		s := a.sessionAt(d.Sessions[i].Tunnel.Name + "/" + d.Sessions[i].New.Name)
		switch {
		case s == nil || !s.runs() || s.standing && s.waits == nil:
		case len(list) == most:
			more++
		default:
			list = append(list, fmt.Sprintf("session %s: %s", s.path(), cmp.Or(s.reason(), "it waits")))
		}
	}
	if more > 0 {
		list = append(list, fmt.Sprintf("and %d more sessions", more))
	}
	return list
}

// turn makes a configuration what runs.
func (a *Appliance) turn(d *config.Difference, to *config.Config) error {
	if d.Empty() {
		return nil
	}
	if err := a.apply(d, false); err != nil {
		return err
	}
	a.sortLike(to)
	return nil
}

// reloading tells systemd; READY=1 follows.
func (a *Appliance) reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // there is always one
	a.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// awaitConfirmation has what was before come back after a time.
func (a *Appliance) awaitConfirmation(from, to *config.Config, within time.Duration) *time.Time {
	before := from.FromFiles()
	if a.pending != nil { // of several that wait, the first tells the way back
		a.pending.stop()
		before = a.pending.before
	}
	p := &unconfirmed{before: before, after: to}
	p.stop = a.changer.after(within, func() {
		if a.pending == p {
			a.rollBack()
		}
	})
	a.pending = p
	until := time.Now().Add(within)
	a.mu.Lock()
	a.confirm = &until
	a.mu.Unlock()
	a.log.Warn("this configuration is rolled back unless `xwire confirm` comes", "before", until.Format(time.RFC3339))
	return &until
}

// Confirm keeps what the last reload did.
func (a *Appliance) Confirm(ctx context.Context) error {
	return a.changer.do(ctx, func() error {
		p := a.pending
		if p == nil {
			return refused(http.StatusConflict, api.CodeNothingWaits, "no reload waits for its confirmation")
		}
		a.confirmed(p.after)
		a.log.Info("reload confirmed")
		a.events.publish(api.Event{Type: api.EventConfirmed, Kind: "appliance"})
		return nil
	})
}

// confirmed keeps a configuration as the one to come back to.
func (a *Appliance) confirmed(cfg *config.Config) {
	if a.pending != nil {
		a.pending.stop()
		a.pending = nil
	}
	a.keepConfig(cfg.FromFiles())
	a.unmark()
	a.mu.Lock()
	a.kept, a.instead, a.confirm = "", "", nil
	a.mu.Unlock()
}

// rollBack makes what ran before the reload run again. The mark stays: while the file says what was
// rolled back, a start uses what was kept.
func (a *Appliance) rollBack() {
	before := a.pending.before
	a.pending = nil
	a.mu.Lock()
	from := a.running()
	a.instead, a.confirm = api.InsteadUnconfirmed, nil
	if a.o.StateDir != "" {
		a.kept, _ = keptFile(&a.o) // it was found before
	}
	a.mu.Unlock()
	to, err := before.Again(from)
	if err != nil {
		a.log.Error("what requests created meanwhile does not go with the configuration before; it is removed", "error", err)
		if to, err = before.Again(nil); err != nil {
			a.log.Error("roll back", "error", err)
			return
		}
	}
	a.reloading()
	defer a.notify(daemon.SdNotifyReady)
	if err := a.turn(config.Compare(from, to), to); err != nil {
		a.log.Error("roll back", "error", err)
		return
	}
	a.log.Warn("the reload was not confirmed: rolled back", "file", a.o.ConfigFile)
	a.events.publish(api.Event{Type: api.EventRolledBack, Kind: "appliance", Reason: "not confirmed in time"})
}

func apiChanges(d *config.Difference) []api.Change {
	list := d.Changes()
	out := make([]api.Change, len(list))
	for i, c := range list {
		out[i] = api.Change{Kind: c.Kind, Name: c.Name, Action: c.Action, Keys: c.Keys, Effect: c.Effect.String(), Origin: origin(c.Requested)}
	}
	return out
}

func apiFaults(list []config.Warning) []api.Fault {
	var out []api.Fault
	for _, w := range list {
		out = append(out, api.Fault{File: w.File, Line: w.Line, Key: w.Key, Message: w.Msg})
	}
	return out
}

// Hangup is Reload for a signal: what it says goes to the log.
func (a *Appliance) Hangup(ctx context.Context) {
	_, err := a.Reload(ctx, api.ReloadRequest{})
	var r *refusal
	if err != nil && !errors.As(err, &r) && ctx.Err() == nil {
		a.log.Error("reload", "error", err)
	}
}
