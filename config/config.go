package config

import (
	"errors"
	"os"
)

// Config is a configuration that was found to be right. Nothing in it refers to the text it was
// read from, but for Inspect's. Order is that of the files.
type Config struct {
	Appliance Appliance
	Ports     []Port
	Tunnels   []Tunnel
	Warnings  []Warning
	Files     []string // every file read, the first being the one that was named

	places *loader // which knows where each key stands; nil: not kept
}

// Load reads a configuration file and what it includes. Its error is Errors, or wraps the reason
// why the file itself could not be read.
func Load(path string) (*Config, error) { return Reload(path, nil) }

// Reload is Load for a file whose objects run already, as kept says: what was created by requests there
// stays, and is checked together with what the file says.
func Reload(path string, kept *Config) (*Config, error) {
	text, _, err := disk{}.read(path)
	if err != nil {
		return nil, Errors{{File: path, Msg: readMessage(err)}}
	}
	return parseAnew(path, text, disk{}, kept)
}

// Inspect is Load for Report, which then gives its warnings the lines of the keys that they are about: the
// texts of all files are kept for that.
func Inspect(path string) (*Config, error) {
	text, _, err := disk{}.read(path)
	if err != nil {
		return nil, Errors{{File: path, Msg: readMessage(err)}}
	}
	return inspect(path, text, disk{})
}

// Parse is Load for a text that is in memory. Includes and cookie files are looked for beside name.
func Parse(name string, data []byte) (*Config, error) {
	return parse(name, string(data), disk{})
}

// readMessage leaves out the path, which stands before it in every Error.
func readMessage(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return "cannot be read: " + err.Error()
}

// AutoPorts reports whether the configuration names no port, as ql2tpd's files: it runs only with
// `run --auto-ports`.
func (c *Config) AutoPorts() bool { return len(c.Ports) == 0 }

// Port returns the port of that name, or nil.
func (c *Config) Port(name string) *Port {
	for i := range c.Ports {
		if c.Ports[i].Name == name {
			return &c.Ports[i]
		}
	}
	return nil
}

// Tunnel returns the tunnel of that name, or nil.
func (c *Config) Tunnel(name string) *Tunnel {
	for i := range c.Tunnels {
		if c.Tunnels[i].Name == name {
			return &c.Tunnels[i]
		}
	}
	return nil
}

// Sessions counts the sessions of all tunnels.
func (c *Config) Sessions() int {
	n := 0
	for i := range c.Tunnels {
		n += len(c.Tunnels[i].Sessions)
	}
	return n
}
