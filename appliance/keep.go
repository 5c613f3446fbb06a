package appliance

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"xwire/appliance/api"
	"xwire/config"
)

// keptFile is where the last configuration that ran from this file is kept, below Options.StateDir:
// last- and the file's absolute path, escaped as systemd-escape --path does. It holds cookies in
// clear.
func keptFile(o *Options) (string, error) {
	path, err := filepath.Abs(o.ConfigFile)
	if err != nil {
		return "", err
	}
	name := strings.NewReplacer("/", "-", "-", `\x2d`).Replace(strings.TrimPrefix(path, "/"))
	return filepath.Join(o.StateDir, "last-"+name), nil
}

// markFile stands beside the kept configuration while what the file says waits for its confirmation, and
// after it was rolled back: it holds the digest of that.
func markFile(o *Options) (string, error) {
	file, err := keptFile(o)
	return strings.Replace(file, "/last-", "/rejected-", 1), err
}

// LoadConfig reads the configuration file. If that has errors and ran before, or was rolled back, what
// ran before is used instead, and said loudly: a box that reboots must not lose its circuits to a typo.
// It sets o.Kept and o.Instead then. What ran from another file is never used.
func LoadConfig(o *Options) (*config.Config, error) {
	cfg, err := config.Load(o.ConfigFile)
	if o.StateDir == "" {
		return cfg, err
	}
	message, instead := "the configuration has errors; RUNNING THE LAST ONE THAT RAN instead", api.InsteadErrors
	if err == nil {
		if !rejected(o, cfg) {
			return cfg, nil
		}
		message, instead = "the configuration was not confirmed; RUNNING THE ONE BEFORE IT instead, until the file is changed or reloaded", api.InsteadUnconfirmed
	}
	file, pathErr := keptFile(o)
	if pathErr != nil {
		return cfg, err
	}
	last, lastErr := config.LoadSaved(file)
	if lastErr != nil {
		return cfg, err
	}
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	why := []any{"file", o.ConfigFile, "kept", file}
	if err != nil {
		why = append(why, "error", err)
	}
	log.Error(message, why...)
	o.Kept, o.Instead = file, instead
	return last, nil
}

// rejected tells whether what the file says was not confirmed.
func rejected(o *Options, cfg *config.Config) bool {
	file, err := markFile(o)
	if err != nil {
		return false
	}
	digest, err := os.ReadFile(file)
	return err == nil && strings.TrimSpace(string(digest)) == cfg.Digest()
}

// mark notes, so that it lasts, that what the file says waits for its confirmation.
func (a *Appliance) mark(cfg *config.Config) error {
	if a.o.StateDir == "" {
		a.log.Warn("no state folder (--state): a roll-back does not last over a start")
		return nil
	}
	if err := os.MkdirAll(a.o.StateDir, 0o700); err != nil {
		return err
	}
	file, err := markFile(&a.o)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, cfg.Digest())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	folder, err := os.Open(a.o.StateDir) // or a power cut forgets the name
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// unmark forgets what mark noted.
func (a *Appliance) unmark() {
	if a.o.StateDir == "" {
		return
	}
	file, err := markFile(&a.o)
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("forget that the configuration waited for its confirmation", "error", err)
	}
}

// keepConfig saves the configuration that runs now. Without a place to keep it we run all the same.
func (a *Appliance) keepConfig(cfg *config.Config) {
	if a.o.StateDir == "" {
		return
	}
	if err := os.MkdirAll(a.o.StateDir, 0o700); err != nil {
		a.log.Warn("make the state folder", "error", err)
		return
	}
	file, err := keptFile(&a.o)
	if err == nil {
		err = cfg.Save(file)
	}
	if err != nil {
		a.log.Warn("keep the configuration for a start with a broken one", "error", err)
	}
}
