package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", path, got)
	}
}

func TestReport(t *testing.T) {
	for _, name := range []string{"design", "ql2tpd", "ppp"} {
		c := load(t, "testdata/"+name+".toml")
		var text bytes.Buffer
		if err := c.Report(1500).WriteText(&text); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", text.Bytes())
		j, err := json.MarshalIndent(c.Report(1600), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(j, '\n'))
	}
}

func TestPeerCommands(t *testing.T) {
	c := load(t, "testdata/design.toml")
	for _, kind := range []PeerKind{PeerLinux, PeerRouterOS} {
		for show, name := range map[bool]string{false: "hidden", true: "shown"} {
			text, err := c.PeerCommands(kind, 1500, show)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "peer-"+string(kind)+"-"+name+".txt", []byte(text))
		}
	}
	for show, name := range map[bool]string{false: "hidden", true: "shown"} {
		text, err := c.peerCommands(c.Tunnel("paris"), PeerCisco, 1500, show)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "peer-cisco-"+name+".txt", []byte(text))
	}
	if _, err := c.peerCommands(c.Tunnel("oslo"), PeerCisco, 1500, false); err == nil || !strings.Contains(err.Error(), `tunnel "oslo"`) {
		t.Errorf("PeerCommands(cisco) over UDP = %v, want an error that names the tunnel", err)
	}
	text, err := c.PeerCommands(PeerCisco, 1500, false)
	if err != nil || !strings.Contains(text, `! tunnel "oslo": Cisco carries`) || !strings.Contains(text, "tunnel paris") {
		t.Errorf("PeerCommands(cisco) of all = %q, %v, want paris's commands and a comment for oslo", text, err)
	}
	if _, err := c.PeerCommands("junos", 1500, false); err == nil || !strings.Contains(err.Error(), `use "linux", "cisco" or "routeros"`) {
		t.Errorf("PeerCommands(junos) = %v, want an error that names what there is", err)
	}
}

func TestWriteDefaults(t *testing.T) {
	var b bytes.Buffer
	if err := WriteDefaults(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "defaults.txt", b.Bytes())
}

// TestKeys: every key of the table is read, and none clashes with another.
func TestKeys(t *testing.T) {
	l := &loader{interned: map[string]string{}}
	src := &source{sections: []section{{}}}
	setters := map[string]func(r *reader, key string, v any){
		"appliance": new(Appliance).set, "port": new(Port).set, "tunnel": new(tunnelDraft).set, "session": new(Session).set,
	}
	for _, k := range Keys() {
		if k.Table == "" {
			continue
		}
		if k.Doc == "" || k.Type == "" {
			t.Errorf("%s.%s has no type or no meaning", k.Table, k.Name)
		}
		for _, name := range []string{k.Name, k.Alias} {
			if name != "" {
				before := len(l.errs)
				setters[k.Table](&reader{l: l, at: place{src: src}}, name, 1.5) // panics without a setter
				if len(l.errs) != before+1 {
					t.Errorf("%s.%s = 1.5 gives %d errors, want 1", k.Table, name, len(l.errs)-before)
				}
			}
		}
		if n := len(tables[k.Table].keys); n > 64 {
			t.Errorf("table %s has %d keys; a keySet has 64", k.Table, n)
		}
	}
}

// TestSave: what is written loads to the same values.
func TestSave(t *testing.T) {
	for _, name := range []string{"design", "ql2tpd", "ppp"} {
		c := load(t, "testdata/"+name+".toml")
		path := filepath.Join(t.TempDir(), "last")
		if err := c.Save(path); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("mode of the saved file = %v, %v, want 0600", st.Mode(), err)
		}
		again, err := LoadSaved(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, c, again)
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if err := load(t, "testdata/design.toml").Save(filepath.Join(t.TempDir(), "none", "last")); err == nil {
		t.Error("Save into a directory that is not there: no error")
	}
}

// same compares two configurations but for places, warnings and files.
func same(t *testing.T, a, b *Config) {
	t.Helper()
	var texts [2]bytes.Buffer
	for i, c := range []*Config{a, b} {
		if err := c.WriteTOML(&texts[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(texts[0].Bytes(), texts[1].Bytes()) {
		t.Errorf("not the same:\n%s\n%s", &texts[0], &texts[1])
	}
	for i := range a.Tunnels {
		x, y := a.Tunnels[i], b.Tunnels[i]
		for j := range x.Sessions {
			s, u := x.Sessions[j], y.Sessions[j]
			s.Pos, u.Pos = Pos{}, Pos{}
			if s != u {
				t.Errorf("session %s/%s: %+v, want %+v", x.Name, s.Name, u, s)
			}
		}
	}
}

// Cisco numbers by pseudowire class, so sessions of one tunnel may need several.
func TestPeerCiscoSequencing(t *testing.T) {
	session := func(name string, id int, keys string) string {
		return fmt.Sprintf("[tunnel.a.session.%s]\nsid = %d\npsid = %d\ninterface_name = \"if%d\"\n%s", name, id, id, id, keys)
	}
	const numbered = "l2spec_type = \"default\"\n"
	c, err := Parse("x.toml", []byte("[port.p]\ninterface = \"e\"\n"+tunnelText+session("a", 1, "l2spec_type = \"none\"\n")+session("b", 2, numbered+"seqnum = true\n")+
		session("c", 3, numbered+"send_seq = true\n")+session("d", 4, numbered+"recv_seq = true\n")+session("e", 5, numbered+"seqnum = true\n")))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.PeerCommands(PeerCisco, 1500, true)
	if err != nil {
		t.Fatal(err)
	}
	rest := text
	for _, want := range []string{
		"pseudowire-class xwire-a\n encapsulation l2tpv3\n protocol none\n ip local interface Loopback0\npseudowire-class xwire-a-both\n",
		" sequencing both\n", "pseudowire-class xwire-a-receive\n", " sequencing receive\n", "pseudowire-class xwire-a-transmit\n", " sequencing transmit\n",
		"pw-class xwire-a\n", "pw-class xwire-a-both\n", "pw-class xwire-a-receive\n", "pw-class xwire-a-transmit\n", "pw-class xwire-a-both\n",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q, or not in that order, in:\n%s", want, text)
		}
		rest = after
	}
	if strings.Count(text, "pseudowire-class ") != 4 || strings.Contains(text, "no sublayer unless") {
		t.Errorf("%s", text)
	}
}
