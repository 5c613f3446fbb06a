package config

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

// decoded is a section as the decoder gives it. keys, in the order of the text, is set for odd
// sections only: there the order of tables inside tables would be lost otherwise.
type decoded struct {
	table map[string]any
	keys  []toml.Key
	err   *syntaxError
}

// syntaxError is the decoder's error, its line counted from 1 at the text it was given.
type syntaxError struct {
	line int
	key  string
	msg  string
}

// decode runs BurntSushi's decoder over a text. A bug of the decoder (it panics with "BUG: ...")
// is an error of the text here: a reload must never end the process.
func decode(text string, order bool) (d decoded) {
	defer func() {
		if r := recover(); r != nil {
			d = decoded{err: &syntaxError{line: 1, msg: fmt.Sprintf("cannot be decoded: %v", r)}}
		}
	}()
	var v any // decoding into an empty interface is the cheapest: the tables are not copied
	md, err := toml.Decode(text, &v)
	if err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			e := &syntaxError{line: max(pe.Position.Line, 1), key: pe.LastKey, msg: pe.Message}
			e.hideCookie(text)
			return decoded{err: e}
		}
		return decoded{err: &syntaxError{line: 1, msg: strings.TrimPrefix(err.Error(), "toml: ")}}
	}
	d.table, _ = v.(map[string]any)
	if order {
		d.keys = md.Keys()
	}
	return d
}

// decodeBatch decodes the bodies of sections on all CPUs. The caller asks for a few thousand at
// a time, so that the tables in memory stay few however long the file is.
func decodeBatch(text string, list []section) []decoded {
	out := make([]decoded, len(list))
	workers := min(runtime.NumCPU(), 8, len(list)/64+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * len(list) / workers; i < (w+1)*len(list)/workers; i++ {
				out[i] = list[i].decode(text)
			}
		})
	}
	wg.Wait()
	return out
}

// maxDepth is how deep values may be nested. The decoder recurses, and no recover stops a stack
// that grows too large.
const maxDepth = 64

func (s *section) decode(text string) decoded {
	if s.depth > maxDepth {
		return decoded{err: &syntaxError{line: 1, msg: fmt.Sprintf("has values nested deeper than %d", maxDepth)}}
	}
	body := text[s.body:s.end]
	if !s.odd {
		if table, ok := plain(body); ok {
			return decoded{table: table}
		}
	}
	return decode(body, s.odd)
}

// headPath reads a header line. A plain header is read here; whatever has quotes or is not as it
// should be, by the decoder.
func headPath(line string) (path []string, array bool, err *syntaxError) {
	if s := strings.TrimRight(line, " \t"); strings.HasPrefix(s, "[") && strings.IndexByte(s, ']') == len(s)-1 {
		if p := barePath(s[1 : len(s)-1]); p != nil {
			return p, false, nil
		}
	}
	d := decode(line, true)
	if d.err != nil {
		return nil, false, d.err
	}
	if len(d.keys) == 0 {
		return nil, false, &syntaxError{line: 1, msg: "cannot be read as a table header"}
	}
	return d.keys[0], strings.HasPrefix(strings.TrimLeft(line, " \t"), "[["), nil
}

// keyPath reads the text of a key, which may be dotted and quoted.
func keyPath(text string) ([]string, *syntaxError) {
	if p := barePath(text); p != nil {
		return p, nil
	}
	d := decode(text+"=0", true)
	if d.err != nil {
		return nil, d.err
	}
	if len(d.keys) == 0 {
		return nil, &syntaxError{line: 1, msg: "cannot be read as a key"}
	}
	return d.keys[len(d.keys)-1], nil
}

// barePath splits a dotted key of bare parts; nil if it is anything else.
func barePath(s string) []string {
	path := make([]string, 0, 4)
	for {
		part, rest, more := strings.Cut(s, ".")
		part = strings.Trim(part, " \t")
		if part == "" {
			return nil
		}
		for i := range len(part) {
			if !isBare(part[i]) {
				return nil
			}
		}
		path = append(path, part)
		if !more {
			return path
		}
		s = rest
	}
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// joinPath writes a path as a TOML key, with quotes where they are needed.
func joinPath(path []string) string { return toml.Key(path).String() }
