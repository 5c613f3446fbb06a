package house

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/config"
	"xwire/pw"
	"xwire/rings"
)

var update = flag.Bool("update", false, "write the generated parts of README.md anew")

// counterTable is the table of counters as the code has them.
func counterTable() string {
	var b strings.Builder
	row := func(name, help string) { fmt.Fprintf(&b, "| `%s` | %s |\n", name, help) }
	b.WriteString("| dropped because | meaning |\n|---|---|\n")
	for _, d := range pw.AllDrops() {
		row(d.String(), d.Help())
	}
	row("l2cp", "A layer 2 control frame (STP, LACP, LLDP), as l2cp = \"drop\" asks.")
	for d := range rings.NumDrops {
		row(d.String(), d.Help())
	}
	kernel := rings.KernelDrops()
	for _, name := range slices.Sorted(maps.Keys(kernel)) {
		row(name, kernel[name])
	}
	return b.String()
}

func TestREADMEHasEveryCounter(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const from, to = "<!-- counters: written by a test from the code -->\n", "<!-- /counters -->"
	before, rest, ok := strings.Cut(string(text), from)
	got, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("README.md has lost the markers %q and %q", from, to)
	}
	want := counterTable()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("README.md does not list the counters of the code: run go test -run %s -update .", t.Name())
	}
	if err := os.WriteFile("README.md", []byte(before+from+want+to+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestREADMEHasEverySessionCounter looks for each counter of show session.
func TestREADMEHasEverySessionCounter(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[api.Session]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch f.Type {
		case reflect.TypeFor[uint64](), reflect.TypeFor[[]uint64]():
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("README.md does not tell what %s counts", name)
			}
		}
	}
}

// TestREADMEConfiguration loads the configuration that the README shows.
func TestREADMEConfiguration(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("README.md shows no configuration")
	}
	if _, err := config.Parse("README.md", block[1]); err != nil {
		t.Error(err)
	}
	if _, err := config.Load("docs/example.toml"); err != nil {
		t.Error(err)
	}
}

// TestREADMECommandsRunInCI compares the commands that the README gives with what CI runs.
func TestREADMECommandsRunInCI(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ci, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(readme, -1) {
		for line := range strings.Lines(string(block[1])) {
			if line = strings.TrimSpace(line); !strings.Contains(string(ci), line) {
				t.Errorf("README.md gives the command %q, which .ci/run does not run", line)
			}
		}
	}
}
