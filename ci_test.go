package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCIRunsAgain gives .ci/again logs of a module with tests that pass, fail once, fail always, panic.
func TestCIRunsAgain(t *testing.T) {
	again, err := filepath.Abs(".ci/again")
	if err != nil {
		t.Fatal(err)
	}
	const once = `if _, err := os.Stat(os.Getenv("MARK")); err != nil {
		os.WriteFile(os.Getenv("MARK"), nil, 0o644)
		t.Fatal("the first time")
	}`
	for name, tt := range map[string]struct {
		bodies []string
		green  bool
		says   string
	}{
		"one that fails once":         {[]string{once, ""}, true, "UNSTEADY: Test0 of unsteady failed"},
		"one that fails in a subtest": {[]string{`t.Run("sub", func(t *testing.T) {` + once + `})`}, true, "UNSTEADY: Test0 of unsteady failed"},
		"one that fails always":       {[]string{"", `t.Fatal("always")`}, false, "always"},
		"one that panics":             {[]string{`panic("oh")`}, false, ""},
		"one that does not build":     {[]string{"x"}, false, ""},
		"four that fail once":         {[]string{once, once, once, once}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source := "package unsteady\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Stat\n"
			for i, body := range tt.bodies {
				n := string(rune('0' + i))
				source += "\nfunc Test" + n + "(t *testing.T) { " + strings.ReplaceAll(body, `"MARK"`, `"MARK`+n+`"`) + " }\n"
				t.Setenv("MARK"+n, filepath.Join(dir, "mark"+n))
			}
			for file, text := range map[string]string{"go.mod": "module unsteady\n\ngo 1.26\n", "all_test.go": source} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			first := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "./...")
			first.Dir = dir
			text, err := first.CombinedOutput()
			if err == nil {
				t.Fatalf("nothing fails:\n%s", text)
			}
			log := filepath.Join(dir, "log")
			if err := os.WriteFile(log, text, 0o644); err != nil {
				t.Fatal(err)
			}
			second := exec.CommandContext(t.Context(), again, log)
			second.Dir = dir
			text, err = second.CombinedOutput()
			if (err == nil) != tt.green || !strings.Contains(string(text), tt.says) {
				t.Errorf("%v, want green: %t, and %q in:\n%s", err, tt.green, tt.says, text)
			}
		})
	}
}
