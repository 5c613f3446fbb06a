package config

import (
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
)

// memory is a file system for tests. A file is private unless shared names it.
type memory struct {
	text   map[string]string
	shared map[string]bool
}

func (m memory) read(path string) (string, fs.FileMode, error) {
	text, ok := m.text[path]
	if !ok {
		return "", 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if m.shared[path] {
		return text, 0o644, nil
	}
	return text, 0o600, nil
}

func (m memory) glob(pattern string) ([]string, error) {
	var found []string
	for name := range m.text {
		ok, err := filepath.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// private is the disk, but for the modes of files: a checkout of the repository has not kept them.
type private struct{ disk }

func (p private) read(path string) (string, fs.FileMode, error) {
	text, _, err := p.disk.read(path)
	return text, 0o600, err
}

// load reads a file of testdata that must be right.
func load(t testing.TB, path string) *Config {
	t.Helper()
	text, _, err := disk{}.read(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse(path, text, private{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
