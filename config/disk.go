package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// files is where texts come from: the disk, or a map in tests.
type files interface {
	read(path string) (text string, mode fs.FileMode, err error)
	glob(pattern string) ([]string, error)
}

type disk struct{}

var errIrregular = errors.New("it is not a regular file")

// read takes regular files, and pipes that the shell has made (/dev/stdin, /dev/fd/63). It looks
// before it opens, because opening a pipe may wait for ever and opening a device may start it, and
// again at what it has opened, which may be another file by then.
func (disk) read(path string) (string, fs.FileMode, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", 0, err
	}
	if !readable(path, st.Mode()) {
		return "", 0, errIrregular
	}
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	if st, err = f.Stat(); err != nil {
		return "", 0, err
	}
	if !readable(path, st.Mode()) {
		return "", 0, errIrregular
	}
	var b strings.Builder
	b.Grow(int(min(st.Size(), 1<<30)))
	_, err = f.WriteTo(&b)
	return b.String(), st.Mode(), err
}

// readable lets directories pass, whose reading has an error of its own.
func readable(path string, mode fs.FileMode) bool {
	switch mode.Type() {
	case 0, fs.ModeDir:
		return true
	case fs.ModeNamedPipe:
		return strings.HasPrefix(path, "/dev/") || strings.HasPrefix(path, "/proc/")
	}
	return false
}

func (disk) glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }
