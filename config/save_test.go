package config

import (
	"bytes"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestEveryKeyIsSaved: testdata/every.toml has each key that acts at another value than its default, and
// what is written of it is all of it. cookie_file and seqnum are only spellings of other keys.
func TestEveryKeyIsSaved(t *testing.T) {
	c := load(t, "testdata/every.toml")
	path := filepath.Join(t.TempDir(), "shown.toml")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, c, again)
	if d := Compare(c, again); !d.Empty() {
		t.Errorf("what is written differs: %+v", d.Changes())
	}
	if !reflect.DeepEqual(c.Appliance, again.Appliance) {
		t.Errorf("appliance %+v, want %+v", again.Appliance, c.Appliance)
	}

	said := map[string]bool{}
	note := func(kind string, of func(entries)) {
		of(func(key string, v any) {
			k := tables[kind].keys[tables[kind].index[key]]
			if v != k.Default {
				said[kind+"."+key] = true
			}
		})
	}
	note("appliance", again.Appliance.entries)
	for i := range again.Ports {
		note("port", again.Ports[i].entries)
	}
	for i := range again.Tunnels {
		note("tunnel", again.Tunnels[i].entries)
		for j := range again.Tunnels[i].Sessions {
			note("session", again.Tunnels[i].Sessions[j].entries)
		}
	}
	spellings := map[string]bool{"session.cookie_file": true, "session.seqnum": true}
	for _, k := range Keys() {
		name := k.Table + "." + k.Name
		if k.Table == "" || k.NoEffect || spellings[name] {
			continue
		}
		if !said[name] {
			t.Errorf("%s is not written, or at its default: add it to testdata/every.toml and to entries", name)
		}
	}
}

// TestSavedOrigin: what requests created is told apart by a comment, which changes nothing.
func TestSavedOrigin(t *testing.T) {
	c, err := parsed(t, before).Amend(
		Amendment{Tunnel: "a", Session: "new", Keys: map[string]any{"sid": int64(9), "psid": int64(9)}},
		Amendment{Tunnel: "c", Keys: map[string]any{"local": "192.0.2.1", "peer": "198.51.100.9", "tid": int64(3), "ptid": int64(3)}},
	)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.WriteTOML(&b); err != nil {
		t.Fatal(err)
	}
	const mark = "# created through the API\n"
	for _, head := range []string{"[tunnel.a.session.new]", "[tunnel.c]"} {
		if !strings.Contains(b.String(), mark+head) {
			t.Errorf("%s is not told apart:\n%s", head, &b)
		}
	}
	if n := strings.Count(b.String(), mark); n != 2 {
		t.Errorf("%d tables are marked, want 2:\n%s", n, &b)
	}
	if again := parsed(t, b.String()); again.Tunnel("a").Session("new") == nil || again.Tunnel("c") == nil {
		t.Error("what is written does not load to all of it")
	}
}
