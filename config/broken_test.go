package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// want is one expected error. In the files of testdata/broken it stands as a comment: on the line
// itself as "# WANT key: part of the message", or elsewhere as "# WANT@line ...". " && " separates
// several.
type want struct {
	line      int
	key, part string
}

func wants(t *testing.T, text string) []want {
	var list []want
	for i, l := range strings.Split(text, "\n") {
		_, w, ok := strings.Cut(l, "# WANT")
		if !ok {
			continue
		}
		line := i + 1
		if at, rest, ok := strings.Cut(w, " "); ok && strings.HasPrefix(at, "@") {
			n, err := strconv.Atoi(at[1:])
			if err != nil {
				t.Fatal(err)
			}
			line, w = n, rest
		}
		for _, e := range strings.Split(w, " && ") {
			key, part, ok := strings.Cut(strings.TrimLeft(e, " ")+" ", ": ")
			if !ok {
				t.Fatalf("line %d: %q is not \"key: message\"", i+1, e)
			}
			list = append(list, want{line, key, strings.TrimSpace(part)})
		}
	}
	return list
}

// match reports the errors that were not wanted and the wanted ones that did not come.
func match(t *testing.T, file string, got Errors, list []want) {
	t.Helper()
	left := append([]want(nil), list...)
	for _, e := range got {
		found := false
		for i, w := range left {
			if e.File == file && e.Line == w.line && e.Key == w.key && strings.Contains(e.Msg, w.part) {
				left = append(left[:i], left[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			t.Errorf("not wanted: %v", e)
		}
	}
	for _, w := range left {
		t.Errorf("did not come: %s:%d: %s: ...%s...", file, w.line, w.key, w.part)
	}
}

func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.toml")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d broken files (%v), want 25 at least", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".toml"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Load(f)
			var got Errors
			if !errors.As(err, &got) || c != nil {
				t.Fatalf("Load = %v, %v, want Errors", c, err)
			}
			match(t, f, got, wants(t, string(text)))
			if testing.Verbose() {
				fmt.Println(err)
			}
		})
	}
}

func TestLoadWithoutAFile(t *testing.T) {
	_, err := Load("testdata/none.toml")
	if got, want := fmt.Sprint(err), "testdata/none.toml: cannot be read: no such file or directory"; got != want {
		t.Errorf("Load = %q, want %q", got, want)
	}
}
