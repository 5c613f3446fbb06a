package vm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// archive is a Debian archive as apt knows it.
type archive struct {
	uri      string
	signedBy string // path of a key ring
}

const defaultKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// hostArchive finds where this machine itself gets the suite from.
func hostArchive(suite string) (archive, error) {
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, path := range append([]string{"/etc/apt/sources.list"}, files...) {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var a archive
		var ok bool
		switch filepath.Ext(path) {
		case ".list":
			a, ok = findOneLine(string(text), suite)
		case ".sources":
			a, ok = findStanza(string(text), suite)
		}
		if ok {
			return a, nil
		}
	}
	return archive{}, fmt.Errorf("find suite %s: no file under /etc/apt names it", suite)
}

// findStanza reads the deb822 format.
func findStanza(text, suite string) (archive, bool) {
	fields := map[string]string{}
	key := ""
	done := func() (archive, bool) {
		a := archive{uri: firstWord(fields["uris"]), signedBy: keyring(fields["signed-by"])}
		ok := slices.Contains(strings.Fields(fields["types"]), "deb") &&
			slices.Contains(strings.Fields(fields["suites"]), suite) && a.uri != "" &&
			!strings.EqualFold(fields["enabled"], "no")
		return a, ok
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			if a, ok := done(); ok {
				return a, true
			}
			clear(fields)
		case line[0] == ' ' || line[0] == '\t':
			fields[key] += " " + strings.TrimSpace(line)
		default:
			name, value, _ := strings.Cut(line, ":")
			key = strings.ToLower(name)
			fields[key] = strings.TrimSpace(value)
		}
	}
	return done()
}

// findOneLine reads `deb [options] URI SUITE COMPONENT...`.
func findOneLine(text, suite string) (archive, bool) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		var a archive
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			var options string
			options, rest, _ = strings.Cut(rest[1:], "]")
			for _, o := range strings.Fields(options) {
				if path, ok := strings.CutPrefix(o, "signed-by="); ok {
					a.signedBy = path
				}
			}
		}
		words := strings.Fields(rest)
		if len(words) >= 2 && words[1] == suite {
			a.uri, a.signedBy = words[0], keyring(a.signedBy)
			return a, true
		}
	}
	return archive{}, false
}

func firstWord(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

// keyring is the path in a Signed-By value; keys written out there do not sign
// other suites.
func keyring(value string) string {
	if w := firstWord(value); filepath.IsAbs(w) {
		return w
	}
	return defaultKeyring
}

// codename is the host's Debian release.
func codename() (string, error) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "VERSION_CODENAME="); ok && v != "" {
			return strings.Trim(v, `"`), nil
		}
	}
	return "", errors.New("find the host's Debian release: /etc/os-release has no VERSION_CODENAME")
}
