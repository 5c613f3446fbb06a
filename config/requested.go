package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// FromFiles is the configuration without what requests created.
func (c *Config) FromFiles() *Config {
	out := *c
	out.Tunnels = nil
	for i := range c.Tunnels {
		t := c.Tunnels[i]
		if t.Requested {
			continue
		}
		if t.holdsRequested() {
			t.Sessions = nil
			for _, s := range c.Tunnels[i].Sessions {
				if !s.Requested {
					t.Sessions = append(t.Sessions, s)
				}
			}
		}
		out.Tunnels = append(out.Tunnels, t)
	}
	return &out
}

// Again is what a Reload would give if the files still said what c says: for a way back.
func (c *Config) Again(kept *Config) (*Config, error) {
	var b bytes.Buffer
	if err := c.FromFiles().WriteTOML(&b); err != nil {
		return nil, err
	}
	return parseAnew(runningName, b.String(), disk{}, kept)
}

// Digest tells two configurations apart by what their files say.
func (c *Config) Digest() string {
	h := sha256.New()
	_ = c.FromFiles().WriteTOML(h) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}
