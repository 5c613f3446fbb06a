package main

import (
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
