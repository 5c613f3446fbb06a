package appliance

import (
	"log/slog"
	"os"
	"path/filepath"

	"xwire/config"
)

// kept is the last configuration that ran, below Options.StateDir. It holds cookies in clear.
const kept = "last.toml"

// LoadConfig reads the configuration file. If that has errors and a configuration ran before, the
// latter is used instead, and said loudly: a box that reboots must not lose its circuits to a typo.
// It sets o.Kept then.
func LoadConfig(o *Options) (*config.Config, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err == nil || o.StateDir == "" {
		return cfg, err
	}
	file := filepath.Join(o.StateDir, kept)
	last, lastErr := config.LoadSaved(file)
	if lastErr != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	log.Error("the configuration has errors; RUNNING THE LAST ONE THAT RAN instead", "file", o.ConfigFile, "kept", file, "error", err)
	o.Kept = file
	return last, nil
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
	if err := cfg.Save(filepath.Join(a.o.StateDir, kept)); err != nil {
		a.log.Warn("keep the configuration for a start with a broken one", "error", err)
	}
}
