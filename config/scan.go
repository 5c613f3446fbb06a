package config

import (
	"slices"
	"strings"
)

// section is one table header and the lines below it, up to the next header. The first section
// of a file has no header. Each is decoded by itself, so that the decoder's memory and time grow
// with the section, one syntax error does not hide those of the other sections, and a section's
// first line turns the decoder's line into the file's.
type section struct {
	head, body, end int // byte offsets: of the header (== body: none), of the lines below, of the end
	line            int // of the header, or of the body where there is none
	depth           int // of the brackets in its values, at most
	odd             bool
}

func (s *section) bodyLine() int {
	if s.head == s.body {
		return s.line
	}
	return s.line + 1
}

// scanner finds table headers and keys in TOML text without understanding values: it knows just
// enough of strings, brackets and comments to step over them. It never fails; what it misjudges
// in broken text the decoder refuses anyway.
type scanner struct {
	text string
	pos  int
	line int

	depth int // of brackets, the most so far
}

// mark is a header or a key the scanner has found.
type mark struct {
	start, end int  // of the header's line, or of the key up to its '='
	line       int  // of its start
	header     bool // else a key
	odd        bool // a key that is dotted, or whose value holds an inline table
}

// next returns the next header or key.
func (sc *scanner) next() (mark, bool) {
	for sc.pos < len(sc.text) {
		switch sc.text[sc.pos] {
		case '\n':
			sc.line++
			sc.pos++
		case ' ', '\t', '\r':
			sc.pos++
		case '#':
			sc.skipLine()
		case '[':
			m := mark{start: sc.pos, line: sc.line, header: true}
			sc.skipLine()
			m.end = sc.pos
			return m, true
		default:
			m := mark{start: sc.pos, line: sc.line}
			m.odd = sc.key()
			m.end = sc.pos
			if sc.pos < len(sc.text) && sc.text[sc.pos] == '=' {
				sc.pos++
				m.odd = sc.value() || m.odd
			}
			return m, true
		}
	}
	return mark{}, false
}

// skipLine stops at the newline.
func (sc *scanner) skipLine() {
	if i := strings.IndexByte(sc.text[sc.pos:], '\n'); i >= 0 {
		sc.pos += i
	} else {
		sc.pos = len(sc.text)
	}
}

// key stops at '=' or at the end of the line, and reports a dot outside of quotes.
func (sc *scanner) key() (dotted bool) {
	for sc.pos < len(sc.text) {
		switch c := sc.text[sc.pos]; c {
		case '=', '\n':
			return dotted
		case '"', '\'':
			sc.quoted(c)
		case '.':
			dotted = true
			sc.pos++
		default:
			sc.pos++
		}
	}
	return dotted
}

// value steps over a value and reports whether it holds an inline table. It stops at the newline.
func (sc *scanner) value() (inline bool) {
	depth := 0
	for sc.pos < len(sc.text) {
		switch c := sc.text[sc.pos]; c {
		case '"', '\'':
			sc.quoted(c)
		case '#':
			sc.skipLine()
		case '[', '{':
			inline = inline || c == '{'
			depth++
			sc.depth = max(sc.depth, depth)
			sc.pos++
		case ']', '}':
			depth--
			sc.pos++
		case '\n':
			if depth <= 0 {
				return inline
			}
			sc.line++
			sc.pos++
		default:
			sc.pos++
		}
	}
	return inline
}

// quoted steps over a string, of one line or of several.
func (sc *scanner) quoted(q byte) {
	triple := strings.Repeat(string(q), 3)
	if !strings.HasPrefix(sc.text[sc.pos:], triple) {
		for sc.pos++; sc.pos < len(sc.text); sc.pos++ {
			switch c := sc.text[sc.pos]; {
			case c == '\n':
				return
			case c == q:
				sc.pos++
				return
			case c == '\\' && q == '"' && sc.pos+1 < len(sc.text) && sc.text[sc.pos+1] != '\n':
				sc.pos++
			}
		}
		return
	}
	for sc.pos += 3; sc.pos < len(sc.text); sc.pos++ {
		switch c := sc.text[sc.pos]; {
		case c == '\n':
			sc.line++
		case c == '\\' && q == '"' && sc.pos+1 < len(sc.text) && sc.text[sc.pos+1] != '\n':
			sc.pos++
		case c == q && strings.HasPrefix(sc.text[sc.pos:], triple):
			sc.pos += 3
			for n := 0; n < 2 && sc.pos < len(sc.text) && sc.text[sc.pos] == q; n++ { // """a"" """: quotes before the end belong to the string
				sc.pos++
			}
			return
		}
	}
}

// split cuts text, which begins at the given line, into its sections.
func split(text string, line int) []section {
	sc := scanner{text: text, line: line}
	list := []section{{line: line}}
	for {
		m, ok := sc.next()
		cur := &list[len(list)-1]
		cur.depth = sc.depth
		if !ok {
			cur.end = len(text)
			return list
		}
		if !m.header {
			cur.odd = cur.odd || m.odd
			continue
		}
		cur.end = m.start
		body := min(m.end+1, len(text))
		sc.depth = 0
		list = append(list, section{head: m.start, body: body, line: m.line})
	}
}

// keyLine returns the line of the key whose path below the section's table is rel, or of the table
// on the way to it; else that of the section's header.
func (s *section) keyLine(text string, rel []string) int {
	sc := scanner{text: text[s.body:s.end], line: s.bodyLine()}
	for {
		m, ok := sc.next()
		if !ok || m.header {
			return s.line
		}
		path, _ := keyPath(sc.text[m.start:m.end])
		if isPrefix(path, rel) || isPrefix(rel, path) {
			return m.line
		}
	}
}

func isPrefix(a, b []string) bool {
	return len(a) > 0 && len(a) <= len(b) && slices.Equal(a, b[:len(a)])
}

// keyLines does for a large section what keyLine does, for all its keys at once: a section of
// 100,000 inline tables would otherwise be scanned 100,000 times.
func (s *section) keyLines(text string) map[string]int {
	lines := map[string]int{}
	sc := scanner{text: text[s.body:s.end], line: s.bodyLine()}
	for {
		m, ok := sc.next()
		if !ok || m.header {
			return lines
		}
		path, _ := keyPath(sc.text[m.start:m.end])
		for n := range path {
			name := joinPath(path[:n+1])
			if _, again := lines[name]; !again {
				lines[name] = m.line
			}
		}
	}
}
