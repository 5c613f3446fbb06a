package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/config"
)

// jsonFields gives the JSON type of each key of a struct, those of embedded structs too.
func jsonFields(t reflect.Type) map[string]string {
	fields := map[string]string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			for n, kind := range jsonFields(f.Type) {
				fields[n] = kind
			}
			continue
		}
		fields[name] = jsonType(f.Type)
	}
	return fields
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Slice:
		return "array of " + jsonType(t.Elem())
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.String, reflect.Bool:
		return t.Kind().String()
	}
	return "number"
}

// TestOneNameEach: what check --json and show --json both tell has one name and one type. What only
// one of them can know is listed.
func TestOneNameEach(t *testing.T) {
	for _, tt := range []struct {
		name        string
		check, show any
		onlyCheck   string
	}{
		{"port", config.ReportPort{}, api.Port{}, "spread l2cp qinq_tpid session_count"},
		{"queue", config.ReportQueue{}, api.Queue{}, ""},
		{"tunnel", config.ReportTunnel{}, api.Tunnel{}, "sessions"},
		{"session", config.ReportSession{}, api.Session{}, "peer_cookies overhead"},
	} {
		check, show := jsonFields(reflect.TypeOf(tt.check)), jsonFields(reflect.TypeOf(tt.show))
		only := map[string]bool{}
		for _, n := range strings.Fields(tt.onlyCheck) {
			only[n] = true
		}
		for name, kind := range check {
			switch {
			case only[name] && show[name] != "":
				t.Errorf("%s: %q is in show --json too, with type %s", tt.name, name, show[name])
			case !only[name] && show[name] != kind:
				t.Errorf("%s: %q has type %q in check --json, %q in show --json", tt.name, name, kind, show[name])
			}
		}
	}
}

// TestFlagsOfCheck: what has no effect together is refused, not passed over.
func TestFlagsOfCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.toml")
	text := "[tunnel.a]\nlocal = \"2001:db8::1\"\npeer = \"2001:db8::7\"\ntid = 1\nptid = 1\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--defaults", "--json"}, statusUsage, "--defaults stands alone"},
		{[]string{"--defaults", "--peer", "linux"}, statusUsage, "--defaults stands alone"},
		{[]string{"--json", "--peer", "linux", file}, statusUsage, "exclude each other"},
		{[]string{"--cookies", file}, statusUsage, "--cookies is for --peer"},
		{[]string{"--peer", "linux", "--cookies", file}, statusSuccess, "modprobe -a l2tp_eth"},
		{[]string{"--core-mtu", "0", file}, statusUsage, "68"},
		{[]string{"--core-mtu", "1279", file}, statusUsage, "1280"},
		{[]string{"--core-mtu", "65536", file}, statusUsage, "65535"},
		{[]string{"--core-mtu", "1280", file}, statusSuccess, "core MTU 1280"},
	} {
		status, out, errs := call(t, append([]string{"check"}, tt.args...)...)
		if status != tt.status || !strings.Contains(out+errs, tt.says) {
			t.Errorf("xwire check %s: status %d, want %d and %q in:\n%s%s", strings.Join(tt.args, " "), status, tt.status, tt.says, out, errs)
		}
	}
}
