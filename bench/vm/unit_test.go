package vm

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xwire/bench/lab"
)

func TestFindSuite(t *testing.T) {
	const stanzas = "Types: deb\n# a comment\nURIs: http://mirror.test/debian http://other.test\nSuites: good good-updates\n" +
		"Components: main\nSigned-By: /keys/a.gpg\n\nTypes: deb-src\nURIs: http://mirror.test/src\nSuites: source\n\n" +
		"Types: deb\nURIs: http://mirror.test/key\nSuites: inline\nSigned-By:\n -----BEGIN PGP\n .\n abc\n"
	const lines = "# deb http://no.test off main\ndeb [arch=amd64 signed-by=/keys/b.gpg] http://mirror.test/x good main\ndeb http://mirror.test/y plain main contrib\n"
	for _, tc := range []struct {
		name  string
		find  func(string, string) (archive, bool)
		text  string
		suite string
		want  archive
		ok    bool
	}{
		{"stanza", findStanza, stanzas, "good", archive{"http://mirror.test/debian", "/keys/a.gpg"}, true},
		{"stanza's second suite", findStanza, stanzas, "good-updates", archive{"http://mirror.test/debian", "/keys/a.gpg"}, true},
		{"no part of a name", findStanza, stanzas, "updates", archive{}, false},
		{"sources only", findStanza, stanzas, "source", archive{}, false},
		{"key written out", findStanza, stanzas, "inline", archive{"http://mirror.test/key", defaultKeyring}, true},
		{"line with options", findOneLine, lines, "good", archive{"http://mirror.test/x", "/keys/b.gpg"}, true},
		{"plain line", findOneLine, lines, "plain", archive{"http://mirror.test/y", defaultKeyring}, true},
		{"commented out", findOneLine, lines, "off", archive{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := tc.find(tc.text, tc.suite)
			if ok != tc.ok || ok && got != tc.want {
				t.Fatalf("got %+v %v, want %+v %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestCompareVersions(t *testing.T) {
	want := []string{"6.9-amd64", "6.12-amd64", "7.2.9+deb13-amd64", "7.2.12+deb13-amd64"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareVersions)
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// TestCpio lets busybox read an archive back.
func TestCpio(t *testing.T) {
	k, err := prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c := newCpioWriter(&b)
	c.add("d", cpioDir, nil)
	for _, n := range []string{"", "1", "four", "five5"} {
		c.add("d/"+n+"x", cpioFile, []byte(n))
	}
	c.add("run", cpioExec, []byte("#!/bin/sh\n"))
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	busybox, _ := filepath.Glob(filepath.Join(k.qemu, "*bin/busybox"))
	more, _ := filepath.Glob(filepath.Join(k.qemu, "usr/bin/busybox"))
	dir := t.TempDir()
	cmd := exec.Command(append(busybox, more...)[0], "sh", "-c", "busybox cpio -i 2>&1; for f in d/*; do echo $f:$(cat $f); done; test -x run || echo not executable")
	cmd.Dir, cmd.Stdin = dir, &b
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "d/1x:1\nd/five5x:five5\nd/fourx:four\nd/x:\n") {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestParseTests(t *testing.T) {
	const out = "\x16=== RUN   TestA\nhello\n\x16=== RUN   TestA/x\n    a_test.go:1: inner\n\x16=== RUN   TestA/y\n" +
		"\x16--- PASS: TestA/x (0.00s)\n\x16--- FAIL: TestA/y (0.10s)\n\x16=== NAME  TestA\n    last\n" +
		"no newline\x16--- FAIL: TestA (0.20s)\n\x16=== RUN   TestB\npanic: x\n\x16FAIL\n"
	root := parseTests([]byte(out))
	for _, tc := range []struct{ name, result, output string }{
		{"TestA", "FAIL", "hello\n    last\nno newline"},
		{"TestA/x", "PASS", "    a_test.go:1: inner\n"},
		{"TestA/y", "FAIL", ""},
		{"TestB", "", "panic: x\n"},
	} {
		if g := root.find(tc.name); g.result != tc.result || g.output.String() != tc.output {
			t.Errorf("%s: result %q, output %q; want %q, %q", tc.name, g.result, g.output.String(), tc.result, tc.output)
		}
	}
}

// TestWatchTellsOfAPanic: a guest that ended before its first process may boot again; one that ended later has
// done what it was for.
func TestWatchTellsOfAPanic(t *testing.T) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ns, err := l.Namespace("watch")
	if err != nil {
		t.Fatal(err)
	}
	for said, want := range map[string]error{"Kernel panic - not syncing": errBoot, bootMark: nil} {
		console := &stream{}
		p, err := ns.Start(lab.Program{Path: "/bin/echo", Args: []string{said}, Output: console})
		if err != nil {
			t.Fatal(err)
		}
		if err := watch(t.Context(), p, console, time.Minute); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%q: %v, want %v", said, err, want)
		}
	}
}
