package config

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// section takes one decoded section into the drafts.
func (l *loader) section(src *source, i int, d decoded) {
	sec := src.sections[i]
	if d.err != nil {
		if cut := lostHeader(src.text, sec); cut > 0 {
			// An open string or bracket has swallowed the headers after it. They are read as if
			// it had been closed, so that its own error does not hide theirs.
			rest := split(src.text[cut:sec.end], sec.line+strings.Count(src.text[sec.head:cut], "\n"))
			src.sections[i].end = cut
			l.section(src, i, src.sections[i].decode(src.text))
			for _, s := range rest[1:] {
				s.head, s.body, s.end = s.head+cut, s.body+cut, s.end+cut
				src.sections = append(src.sections, s)
				l.section(src, len(src.sections)-1, s.decode(src.text))
			}
			return
		}
	}

	at := place{src: src, sec: i}
	if sec.head < sec.body {
		line := src.text[sec.head:sec.body]
		if cut, ok := strings.CutSuffix(line, "\r\n"); ok {
			line = cut
		} else {
			line = strings.TrimSuffix(line, "\n")
		}
		path, array, err := headPath(line)
		switch {
		case err != nil:
			l.addError(src.name, sec.line, "", "table header: "+err.msg)
		case array:
			l.addError(src.name, sec.line, joinPath(path), "[[...]] is an array of tables, of which there are none here; write [tunnel.NAME]")
			path = nil
		}
		if path == nil {
			if d.err != nil {
				l.addError(src.name, sec.bodyLine()+d.err.line-1, d.err.key, d.err.msg)
			}
			return
		}
		at.path = path
	}
	if d.err != nil {
		key := joinPath(at.path)
		if d.err.key != "" {
			key = strings.TrimPrefix(key+"."+d.err.key, ".")
		}
		l.addError(src.name, sec.bodyLine()+d.err.line-1, key, d.err.msg)
	}
	l.table(at, d)
}

// lostHeader returns the offset of a line in the section's body that looks like one of our table
// headers, or 0.
func lostHeader(text string, sec section) int {
	body := text[sec.body:sec.end]
	for at := 0; ; {
		line := strings.TrimLeft(body[at:], " \t")
		for _, name := range []string{"[tunnel.", "[port.", "[appliance]", "[defaults."} {
			if strings.HasPrefix(line, name) {
				return sec.body + at
			}
		}
		n := strings.IndexByte(body[at:], '\n')
		if n < 0 {
			return 0
		}
		at += n + 1
	}
}

// table takes a table's keys to where they belong. d.err set: the table is there, its keys are not
// known.
func (l *loader) table(at place, d decoded) {
	path := at.path
	if len(at.rel) == 0 && len(path) > 0 && isContainer(path) {
		l.container(at)
	}
	switch {
	case len(path) == 0:
		l.top(at, d)
	case path[0] == "appliance":
		if l.leaf(at, "appliance", 1) {
			l.applianceTable(at, d)
		}
	case path[0] == "port":
		switch {
		case len(path) == 1:
			l.children(at, d, "[port.NAME]")
		case l.leaf(at, "port", 2):
			l.portTable(at, d)
		}
	case path[0] == "defaults":
		switch {
		case len(path) == 1:
			l.children(at, d, "[defaults.tunnel] or [defaults.session]")
		case path[1] != "tunnel" && path[1] != "session":
			l.unknown(at, 1, []string{"tunnel", "session"})
		case l.leaf(at, path[1], 2):
			l.defaultsTable(at, d)
		}
	case path[0] == "tunnel":
		switch {
		case len(path) == 1:
			l.children(at, d, "[tunnel.NAME]")
		case len(path) == 2:
			l.tunnelTable(at, d)
		case path[2] != "session":
			l.leaf(at, "tunnel", 2)
		case len(path) == 3:
			l.children(at, d, "[tunnel.NAME.session.NAME]")
		case l.leaf(at, "session", 4):
			l.sessionTable(at, d)
		}
	default:
		l.unknown(at, 0, topNames)
	}
}

var topNames = []string{"include", "appliance", "port", "defaults", "tunnel"}

// isContainer tells headers that only hold other tables.
func isContainer(path []string) bool {
	return len(path) == 1 && path[0] != "appliance" || len(path) == 3 && path[0] == "tunnel" && path[2] == "session"
}

func (l *loader) container(at place) {
	name := at.src.name + "\x00" + joinPath(at.path)
	pos := Pos{at.src.name, at.line("")}
	if first, again := l.containers[name]; again {
		l.errorf(at, "", "stands twice; the first is in line %d", first.Line)
		return
	}
	l.containers[name] = pos
}

// leaf reports a header that reaches below a table of plain keys.
func (l *loader) leaf(at place, name string, depth int) bool {
	if len(at.path) == depth {
		return true
	}
	known := tables[name].names
	if name == "tunnel" {
		known = append(known[:len(known):len(known)], "session")
	}
	if _, ok := tables[name].index[at.path[depth]]; ok {
		up := place{src: at.src, sec: at.sec, path: at.path[:depth]}
		l.addError(at.src.name, at.line(""), keyName(up, at.path[depth]), "is a key, not a table")
		return false
	}
	l.unknown(at, depth, known)
	return false
}

// unknown reports the part of a path that is not known.
func (l *loader) unknown(at place, depth int, known []string) {
	l.addError(at.src.name, at.line(""), joinPath(at.path[:depth+1]), "is not a known table"+suggest(at.path[depth], known))
}

func (l *loader) unknownKey(at place, key string, known []string) {
	l.errorf(at, key, "is not a known key%s", suggest(key, known))
}

func (l *loader) top(at place, d decoded) {
	for _, name := range d.names() {
		v := d.table[name]
		switch name {
		case "include":
			l.includeKey(at, v)
		case "appliance", "port", "defaults", "tunnel":
			l.child(at, name, "a table", v, below(d.keys)[name])
		default:
			l.unknownKey(at, name, topNames)
		}
	}
}

func (l *loader) includeKey(at place, v any) {
	r := &reader{l: l, at: at}
	list, ok := v.([]any)
	if !ok {
		r.errorf("include", `must be an array of file patterns such as ["tunnels.d/*.toml"], is %s`, describe(v))
		return
	}
	for _, e := range list {
		if s, ok := r.str("include", e); ok {
			if s == "" {
				r.errorf("include", "holds an empty pattern; leave it out")
				continue
			}
			at.src.includes = append(at.src.includes, include{at, strings.Clone(s)})
		}
	}
}

// children takes the tables inside a table that holds nothing else.
func (l *loader) children(at place, d decoded, want string) {
	sub := below(d.keys)
	for _, name := range d.names() {
		l.child(at, name, want, d.table[name], sub[name])
	}
}

func (l *loader) child(at place, name, want string, v any, keys []toml.Key) {
	sub, ok := v.(map[string]any)
	if !ok {
		l.errorf(at, name, "must be %s, is %s", want, describe(v))
		return
	}
	n := place{src: at.src, sec: at.sec, rel: append(slices.Clone(at.rel), name), path: append(slices.Clone(at.path), name)}
	l.table(n, decoded{table: sub, keys: keys})
}

// below returns the keys below each table inside a table, in their order.
func below(keys []toml.Key) map[string][]toml.Key {
	out := map[string][]toml.Key{}
	for _, k := range keys {
		if len(k) > 1 {
			out[k[0]] = append(out[k[0]], k[1:])
		}
	}
	return out
}

// all ranges over a table. Where several keys may stand in one line their order is that of the
// text, so that errors come in one order always.
func (d decoded) all() iter.Seq2[string, any] {
	if d.keys == nil {
		return maps.All(d.table)
	}
	return func(yield func(string, any) bool) {
		for _, n := range d.names() {
			if !yield(n, d.table[n]) {
				return
			}
		}
	}
}

// names returns the keys of a table, in the order of the text where that is known.
func (d decoded) names() []string {
	names := make([]string, 0, len(d.table))
	for n := range d.table {
		names = append(names, n)
	}
	if d.keys == nil {
		return names
	}
	first := make(map[string]int, len(names))
	for i, k := range d.keys {
		if _, ok := first[k[0]]; !ok {
			first[k[0]] = i
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	return names
}
