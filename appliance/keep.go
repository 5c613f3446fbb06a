package appliance

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"xwire/config"
)

// kept is the last configuration that ran, below Options.StateDir. It holds cookies in clear.
const kept = "last.toml"

// LoadConfig reads the configuration file. If that has errors and a configuration ran before, the
// latter is used instead, and said loudly: a box that reboots must not lose its circuits to a typo.
func LoadConfig(o Options) (*config.Config, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err == nil || o.StateDir == "" {
		return cfg, err
	}
	last, lastErr := config.Load(filepath.Join(o.StateDir, kept))
	if lastErr != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	log.Error("the configuration has errors; RUNNING THE LAST ONE THAT RAN instead", "file", o.ConfigFile, "kept", filepath.Join(o.StateDir, kept), "error", err)
	return last, nil
}

// keepConfig saves the configuration that runs now. Without a place to keep it we run all the same.
func (a *Appliance) keepConfig(cfg *config.Config) {
	if a.o.StateDir == "" {
		return
	}
	if err := saveConfig(cfg, a.o.StateDir); err != nil {
		a.log.Warn("keep the configuration for a start with a broken one", "error", err)
	}
}

// saveConfig replaces the kept file as a whole, or not at all.
func saveConfig(cfg *config.Config, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make state folder: %w", err)
	}
	f, err := os.CreateTemp(dir, kept+".*")
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	defer os.Remove(f.Name())
	if err = errors.Join(cfg.WriteTOML(f), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, kept)); err != nil {
		return fmt.Errorf("replace %s: %w", kept, err)
	}
	return nil
}
