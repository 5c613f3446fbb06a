package trunk

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trunk.json")
	s, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	save := func() (size int) {
		t.Helper()
		if err := s.save(); err != nil {
			t.Fatal(err)
		}
		read, err := load(path)
		if err != nil || !maps.Equal(read.records, s.records) || !maps.Equal(read.byPlace, s.byPlace) || !maps.Equal(read.byIndex, s.byIndex) {
			t.Errorf("read again: %v, or it differs", err)
		}
		b, _ := os.ReadFile(path)
		return len(b)
	}
	for i := range 1000 {
		s.set(fmt.Sprint("i", i), record{Session: "t/s", CVLAN: uint16(i + 1), MAC: "02:00:00:00:00:01", Ifindex: i + 10})
	}
	before := save()
	s.remove("i7")
	s.set("i8", record{Session: "t/s", CVLAN: 8, Ifindex: 5000}) // in the place of i7
	if size := save(); size < before || size > before+200 {
		t.Errorf("one change made %d bytes of %d", size, before)
	}
	if s.byPlace[vlan{c: 9}] != "" || s.byIndex[18] != "" || s.byIndex[5000] != "i8" {
		t.Errorf("places and indices %q %q %q", s.byPlace[vlan{c: 9}], s.byIndex[18], s.byIndex[5000])
	}
	for i := range 5000 { // the file does not grow for ever
		s.set("i9", record{Session: "t/s", CVLAN: 10, Ifindex: 6000 + i})
		if err := s.save(); err != nil {
			t.Fatal(err)
		}
	}
	if size := save(); size > 3*before {
		t.Errorf("%d bytes after 5000 changes, %d before", size, before)
	}

	b, _ := os.ReadFile(path)
	for _, text := range []string{string(b[:len(b)-4]), string(b) + `{"interfaces":{"x":{"cvlan":1}}}`, string(b) + `{"interfaces":{"x":{"cvlan":4095}}}`} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := load(path); err == nil || len(s.records) != 0 || !strings.Contains(err.Error(), path) {
			t.Errorf("a broken file is read: %v, %d interfaces", err, len(s.records))
		}
	}
}

func TestPlaces(t *testing.T) {
	tr := &Trunk{config: Config{IDs: 3}, state: newState("")}
	tr.state.set("a", record{CVLAN: 1})
	tr.state.set("b", record{CVLAN: 3})
	s := newScan()
	s.byName["xwl-1.1"] = nil
	take := func() (list []vlan) {
		for p := tr.places(s); len(list) < 4; {
			v, _ := p.take()
			list = append(list, v)
		}
		return list
	}
	if got, want := fmt.Sprint(take()), "[{0 2} {1 2} {1 3} {2 1}]"; got != want {
		t.Errorf("places %s, want %s", got, want)
	}
	tr.state.remove("a")
	if got, want := fmt.Sprint(take()), "[{0 1} {0 2} {1 2} {1 3}]"; got != want {
		t.Errorf("places %s, want %s", got, want)
	}
}
