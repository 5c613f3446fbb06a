package appliance

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"

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

// LoadConfig reads the configuration file. If that has errors and ran before, what ran is used
// instead, and said loudly: a box that reboots must not lose its circuits to a typo. It sets o.Kept
// then. What ran from another file is never used.
func LoadConfig(o *Options) (*config.Config, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err == nil || o.StateDir == "" {
		return cfg, err
	}
	file, pathErr := keptFile(o)
	if pathErr != nil {
		return nil, err
	}
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
	file, err := keptFile(&a.o)
	if err == nil {
		err = cfg.Save(file)
	}
	if err != nil {
		a.log.Warn("keep the configuration for a start with a broken one", "error", err)
	}
}
