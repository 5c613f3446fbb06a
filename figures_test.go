package house

import (
	"os"
	"strings"
	"testing"

	"xwire/bench/figure"
)

// TestREADMEFigures holds the README's table and picture to the recordings in bench/results.
func TestREADMEFigures(t *testing.T) {
	read := func(path string) *figure.Results {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := figure.ReadResults(f)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return r
	}
	table, picture, err := figure.Forwarding(read("bench/results/veth-ip4.txt"), read("bench/results/core.txt"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const from, to, drawing = "<!-- figures: written by a test from bench/results -->\n", "<!-- /figures -->", "docs/forwarding.svg"
	before, rest, ok := strings.Cut(string(text), from)
	got, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("README.md has lost the markers %q and %q", from, to)
	}
	drawn, err := os.ReadFile(drawing)
	if err != nil && !*update {
		t.Fatal(err)
	}
	if got == table && string(drawn) == picture {
		return
	}
	if !*update {
		t.Fatalf("README.md or %s is not what bench/results tells: run go test -run %s -update .", drawing, t.Name())
	}
	if err := os.WriteFile("README.md", []byte(before+from+table+to+after), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(drawing, []byte(picture), 0o644); err != nil {
		t.Fatal(err)
	}
}
