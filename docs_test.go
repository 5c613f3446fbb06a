package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"xwire/config"
)

// TestDocsConfiguration loads each piece of configuration that docs/configuration.md shows.
func TestDocsConfiguration(t *testing.T) {
	text, err := os.ReadFile("docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Fatal("docs/configuration.md shows no configuration")
	}
	const ports = "[port.core0]\ninterface = \"ens1f0\"\n[port.access0]\ninterface = \"ens1f1\"\n"
	for _, b := range blocks {
		if _, err := config.Parse("docs/configuration.md", append([]byte(ports), b[1]...)); err != nil {
			t.Errorf("%v in:\n%s", err, b[1])
		}
	}
}

// TestDocsLinks follows each link within the repository, to the file and to the heading in it.
func TestDocsLinks(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range append(pages, "README.md", "bench/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			if path = filepath.Join(filepath.Dir(page), path); strings.HasPrefix(target, "#") {
				path = page
			}
			there, err := os.Stat(path)
			if err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
				continue
			}
			if anchor != "" && (there.IsDir() || !anchors(t, path)[anchor]) {
				t.Errorf("%s links to %s: there is no such heading", page, target)
			}
		}
	}
}

// anchors returns the names by which links reach the headings of a Markdown file.
func anchors(t *testing.T, path string) map[string]bool {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllSubmatch(text, -1) {
		name := strings.ToLower(string(m[1]))
		name = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(name, "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}
