package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// source is one file that is read.
type source struct {
	name     string
	text     string
	sections []section
	includes []include
	lines    map[int]map[string]int // of the keys of large sections, once they are asked for
}

// largeSection is in bytes. Smaller ones are scanned for each key that is asked for.
const largeSection = 16 << 10

func (src *source) keyLine(sec int, rel []string) int {
	s := &src.sections[sec]
	if s.end-s.body < largeSection {
		return s.keyLine(src.text, rel)
	}
	lines := src.lines[sec]
	if lines == nil {
		lines = s.keyLines(src.text)
		if src.lines == nil {
			src.lines = map[int]map[string]int{}
		}
		src.lines[sec] = lines
	}
	for n := len(rel); n > 0; n-- {
		if line, ok := lines[joinPath(rel[:n])]; ok {
			return line
		}
	}
	return s.line
}

// include is one pattern of a file's include key.
type include struct {
	at      place
	pattern string
}

// place is a table of a source: where the keys of an object stand.
type place struct {
	src  *source
	sec  int      // the section that holds it
	rel  []string // its path below the section's table; empty for a table with a header of its own
	path []string // its path from the top
}

// line returns the line of one of the table's keys, or of the table itself where it has no such key.
func (p place) line(key string) int {
	rel := p.rel
	if key != "" {
		rel = append(rel[:len(rel):len(rel)], key)
	}
	if len(rel) == 0 {
		return p.src.sections[p.sec].line
	}
	return p.src.keyLine(p.sec, rel)
}

// draft is what is known of an object while the files are read.
type draft struct {
	place
	own    keySet // keys given in the object's own table, rightly or wrongly
	broken bool   // its text could not be decoded: nothing more is asked of it
	exists bool   // it has a table of its own; false: a tunnel known by its sessions only
}

// loader is one run of Load.
type loader struct {
	files    files
	cfg      *Config
	errs     []Error
	warns    []Error
	order    map[string]int // place of each file name in the order of reading
	interned map[string]string

	appliance  draft
	ports      []portDraft
	portByName map[string]int
	tunnels    []*tunnelDraft
	byName     map[string]*tunnelDraft
	containers map[string]Pos // headers such as [port] that define no object
	strays     map[string]bool
	defaults   map[string]*defaults // "tunnel", "session"
	cookies    map[string]*cookieFile
	requested  map[string]bool // objects that no file has, by tunnel or tunnel/session; nil: none
}

type portDraft struct {
	Port
	draft
}

func newLoader(from files) *loader {
	return &loader{
		files:      from,
		cfg:        &Config{},
		order:      map[string]int{},
		interned:   map[string]string{},
		portByName: map[string]int{},
		byName:     map[string]*tunnelDraft{},
		containers: map[string]Pos{},
		strays:     map[string]bool{},
		defaults:   map[string]*defaults{"tunnel": {}, "session": {}},
		cookies:    map[string]*cookieFile{},
	}
}

func parse(name, text string, from files) (*Config, error) { return parseAnew(name, text, from, nil) }

// parseAnew reads a text and what it includes. kept may have objects that were created by requests and
// are to stay.
func parseAnew(name, text string, from files, kept *Config) (*Config, error) {
	return newLoader(from).load(name, text, kept)
}

// inspect is parse that keeps where each key stands.
func inspect(name, text string, from files) (*Config, error) {
	l := newLoader(from)
	c, err := l.load(name, text, nil)
	if err == nil {
		c.places = l
	}
	return c, err
}

func (l *loader) load(name, text string, kept *Config) (*Config, error) {
	l.readSource(&source{name: name, text: text}, []string{filepath.Clean(name)})
	l.inject(kept)
	l.finish()
	if len(l.tunnels) == 0 {
		l.warns = append(l.warns, Error{name, 1, "", "there is no [tunnel.NAME]: nothing will be carried; add one, or an include that has one"})
	}
	return l.result()
}

// result is the configuration, or what is wrong with it.
func (l *loader) result() (*Config, error) {
	l.order[runningName], l.order[requestName] = len(l.order), len(l.order)+1
	if len(l.errs) > 0 {
		return nil, Errors(sortErrors(l.errs, l.order))
	}
	for _, w := range sortErrors(l.warns, l.order) {
		l.cfg.Warnings = append(l.cfg.Warnings, Warning(w))
	}
	return l.cfg, nil
}

// batch is how many sections are decoded before they are looked at.
const batch = 4096

// readSource reads one file's sections and then what the file includes. chain is the files that
// led here.
func (l *loader) readSource(src *source, chain []string) {
	l.order[src.name] = len(l.order)
	l.cfg.Files = append(l.cfg.Files, src.name)
	before := len(l.errs)
	src.sections = split(src.text, 1)
	for i := 0; i < len(src.sections); i += batch {
		for j, d := range decodeBatch(src.text, src.sections[i:min(i+batch, len(src.sections))]) {
			l.section(src, i+j, d)
		}
	}
	if len(l.errs) == before && oddTables(src) {
		// The sections are right one by one; whether they are together, the headers alone do not
		// tell where tables are also made by dotted keys and inline tables.
		if d := decode(src.text, false); d.err != nil {
			l.addError(src.name, d.err.line, d.err.key, d.err.msg)
		}
	}
	for _, inc := range src.includes {
		l.include(src, inc, chain)
	}
}

func oddTables(src *source) bool {
	for i := range src.sections {
		if src.sections[i].odd {
			return true
		}
	}
	return false
}

func (l *loader) include(src *source, inc include, chain []string) {
	pattern := inc.pattern
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(src.name), pattern)
	}
	found, err := l.files.glob(pattern)
	if err != nil {
		l.errorf(inc.at, "include", "%q: %v", inc.pattern, err)
		return
	}
	if len(found) == 0 {
		if strings.ContainsAny(pattern, "*?[") {
			l.warnf(inc.at, "include", "%q matches no file", inc.pattern)
			return
		}
		found = []string{pattern}
	}
	for _, path := range found {
		path = filepath.Clean(path)
		if contains(chain, path) {
			l.errorf(inc.at, "include", "%q leads back to %s; a file cannot include itself", inc.pattern, path)
			continue
		}
		if _, again := l.order[path]; again {
			continue
		}
		text, _, err := l.files.read(path)
		if err != nil {
			l.errorf(inc.at, "include", "%s %s", path, readMessage(err))
			continue
		}
		l.readSource(&source{name: path, text: text}, append(chain[:len(chain):len(chain)], path))
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func (l *loader) errorf(at place, key, format string, args ...any) {
	l.addError(at.src.name, at.line(key), keyName(at, key), fmt.Sprintf(format, args...))
}

func (l *loader) warnf(at place, key, format string, args ...any) {
	l.warns = append(l.warns, Error{at.src.name, at.line(key), keyName(at, key), fmt.Sprintf(format, args...)})
}

func (l *loader) addError(file string, line int, key, msg string) {
	l.errs = append(l.errs, Error{file, line, key, msg})
}

func keyName(at place, key string) string {
	path := at.path
	if key != "" {
		path = append(path[:len(path):len(path)], key)
	}
	return joinPath(path)
}
