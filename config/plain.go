package config

import (
	"strconv"
	"strings"
)

// plain reads the body of a section that is nothing but keys with numbers, truth values and strings in
// printable ASCII, one a line: what nearly all of a large file is. It gives what the decoder would, in a
// tenth of its time. ok is false for whatever is otherwise, a mistake above all: the decoder tells of that.
func plain(text string) (table map[string]any, ok bool) {
	table = make(map[string]any, strings.Count(text, "\n"))
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		for i := range len(line) {
			if c := line[i]; c < ' ' || c > '~' {
				return nil, false
			}
		}
		if line = strings.TrimLeft(line, " "); line == "" || line[0] == '#' {
			continue
		}
		n := 0
		for n < len(line) && isBare(line[n]) {
			n++
		}
		key, rest := line[:n], strings.TrimLeft(line[n:], " ")
		if n == 0 || !strings.HasPrefix(rest, "=") {
			return nil, false
		}
		v, rest, ok := plainValue(strings.TrimLeft(rest[1:], " "))
		if rest = strings.TrimLeft(rest, " "); !ok || rest != "" && rest[0] != '#' {
			return nil, false
		}
		if _, twice := table[key]; twice {
			return nil, false
		}
		table[key] = v
	}
	return table, true
}

// plainValue reads one value off the front.
func plainValue(text string) (v any, rest string, ok bool) {
	if text == "" {
		return nil, "", false
	}
	switch c := text[0]; {
	case c == '"':
		end := strings.IndexAny(text[1:], `"\`)
		if end < 0 || text[1+end] == '\\' {
			return nil, "", false
		}
		return strings.Clone(text[1 : 1+end]), text[end+2:], true // or the whole file would stay in memory
	case c >= '0' && c <= '9':
		n := 1
		for n < len(text) && text[n] >= '0' && text[n] <= '9' {
			n++
		}
		i, err := strconv.ParseInt(text[:n], 10, 64)
		return i, text[n:], err == nil && (c != '0' || n == 1)
	case strings.HasPrefix(text, "true"):
		return true, text[4:], true
	case strings.HasPrefix(text, "false"):
		return false, text[5:], true
	}
	return nil, "", false
}
