package config

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// WriteTOML writes the configuration as one file that loads to the same values: includes, defaults
// and cookie files are resolved, keys without effect are gone. A comment tells what requests created. It
// holds the cookies in clear.
func (c *Config) WriteTOML(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	o := tomlWriter{b}
	o.origin(false)
	o.table("appliance")
	c.Appliance.entries(o.entry)
	for i := range c.Ports {
		o.origin(false)
		o.table("port", c.Ports[i].Name)
		c.Ports[i].entries(o.entry)
	}
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		o.origin(t.Requested)
		o.table("tunnel", t.Name)
		t.entries(o.entry)
		for j := range t.Sessions {
			o.origin(t.Sessions[j].Requested)
			o.table("tunnel", t.Name, "session", t.Sessions[j].Name)
			t.Sessions[j].entries(o.entry)
		}
	}
	return b.Flush()
}

// tomlWriter writes tables and keys; the bufio.Writer keeps the first error.
type tomlWriter struct{ *bufio.Writer }

func (o tomlWriter) table(path ...string) { fmt.Fprintf(o, "[%s]\n", joinPath(path)) }

// origin comes before each table.
func (o tomlWriter) origin(requested bool) {
	o.WriteByte('\n')
	if requested {
		o.WriteString("# created through the API\n")
	}
}

func (o tomlWriter) entry(key string, v any) {
	o.WriteString(key)
	o.WriteString(" = ")
	if key == "qinq_tpid" {
		fmt.Fprintf(o, "%#04x", v)
	} else {
		o.value(v)
	}
	o.WriteByte('\n')
}

func (o tomlWriter) value(v any) {
	switch v := v.(type) {
	case string:
		o.WriteString(quote(v))
	case bool:
		o.WriteString(strconv.FormatBool(v))
	case int64:
		o.Write(strconv.AppendInt(o.AvailableBuffer(), v, 10))
	case []any:
		o.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				o.WriteString(", ")
			}
			o.value(e)
		}
		o.WriteByte(']')
	default:
		panic(fmt.Sprintf("config: no TOML for a %T", v))
	}
}

// quote writes a TOML basic string. No string of a configuration holds control characters.
func quote(s string) string {
	return `"` + quoting.Replace(s) + `"`
}

var quoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Save keeps the configuration in one file of mode 0600, which is there whole or not at all.
// LoadSaved reads it back.
func (c *Config) Save(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // once renamed there is nothing of that name
	err = c.WriteTOML(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return os.Rename(f.Name(), path)
}

// LoadSaved is Load for a file that Save has written.
func LoadSaved(path string) (*Config, error) { return Load(path) }
