package house

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/config"
)

// TestKernelAPI compares docs/kernel-api.md with the keys, the fields and the effects of the code.
func TestKernelAPI(t *testing.T) {
	text, err := os.ReadFile("docs/kernel-api.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]map[string]bool{"tunnel": fieldsOf(reflect.TypeFor[api.Tunnel]()), "session": fieldsOf(reflect.TypeFor[api.Session]())}
	var attributes []string
	word := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " |")
		if len(cells) != 5 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range word.FindAllStringSubmatch(cells[0], -1) {
			attributes = append(attributes, m[1])
		}
		kind, key, ok := strings.Cut(strings.TrimSpace(cells[1]), " `")
		if fields[kind] == nil {
			kind, ok = "session", false // of no key
		}
		if key, _, _ = strings.Cut(key, "`"); ok {
			if !slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Table == kind && k.Name == key }) {
				t.Errorf("%s: there is no key %s of a %s", cells[0], key, kind)
			}
			if got := effect(kind, key); !strings.HasPrefix(strings.TrimSpace(cells[3]), got) {
				t.Errorf("%s: a change of %s is %s, not %s", cells[0], key, got, cells[3])
			}
		}
		for _, m := range word.FindAllStringSubmatch(cells[2], -1) {
			if !fields[kind][m[1]] {
				t.Errorf("%s: a %s has no field %s", cells[0], kind, m[1])
			}
		}
	}
	if len(attributes) != 34 { // L2TP_ATTR_MAX
		t.Errorf("%d attributes: %v", len(attributes), attributes)
	}
}

func fieldsOf(t reflect.Type) map[string]bool {
	m := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		m[name] = true
	}
	return m
}

// effect is what a change of one key does; of cookies, where one of those before stays.
func effect(kind, key string) string {
	if kind == "tunnel" {
		t := new(config.Tunnel)
		return config.TunnelEffect(&config.Delta[config.Tunnel]{Old: t, New: t, Keys: []string{key}}).String()
	}
	s := new(config.Session)
	d := config.SessionDelta{Delta: config.Delta[config.Session]{Old: s, New: s, Keys: []string{key}}}
	return d.Effect().String()
}
