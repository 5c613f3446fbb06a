package config

import (
	"fmt"
	"strings"
	"time"
)

// reader turns the decoded values of one table into Go values, and reports what does not fit. Each
// of its methods returns false, or a zero value, after it has reported.
type reader struct {
	l  *loader
	at place
}

func (r *reader) errorf(key, format string, args ...any) { r.l.errorf(r.at, key, format, args...) }
func (r *reader) noEffect(key string)                    { r.l.warnf(r.at, key, "has no effect in this version") }

// intern copies a string that many objects share, once.
func (r *reader) intern(s string) string {
	if c, ok := r.l.interned[s]; ok {
		return c
	}
	s = strings.Clone(s)
	r.l.interned[s] = s
	return s
}

func (r *reader) str(key string, v any) (string, bool) {
	s, ok := v.(string)
	if !ok {
		r.errorf(key, "must be a string, is %s", describe(v))
		return "", false
	}
	return s, true
}

// text reads a string to be kept: it must not hold the file's text in memory.
func (r *reader) text(key string, v any, maxLen int) (string, bool) {
	s, ok := r.str(key, v)
	if !ok {
		return "", false
	}
	if len(s) > maxLen {
		r.errorf(key, "is %d bytes long; %d is the most", len(s), maxLen)
		return "", false
	}
	if strings.ContainsFunc(s, isControl) {
		r.errorf(key, "holds a control character; remove it")
		return "", false
	}
	return strings.Clone(s), true
}

func isControl(c rune) bool { return c < 0x20 || c == 0x7f }

func (r *reader) boolean(key string, v any) (bool, bool) {
	b, ok := v.(bool)
	if !ok {
		r.errorf(key, "must be true or false, is %s", describe(v))
	}
	return b, ok
}

// setBoolean writes a boolean where it belongs, and leaves what is there if it is none.
func (r *reader) setBoolean(key string, v any, to *bool) {
	if b, ok := r.boolean(key, v); ok {
		*to = b
	}
}

func (r *reader) integer(key string, v any, lo, hi int64) (int64, bool) {
	n, ok := v.(int64)
	if !ok {
		r.errorf(key, "must be an integer from %d to %d, is %s", lo, hi, describe(v))
		return 0, false
	}
	if n < lo || n > hi {
		r.errorf(key, "%d is out of range; use %d to %d", n, lo, hi)
		return 0, false
	}
	return n, true
}

// integers reads an array of integers.
func (r *reader) integers(key string, v any, lo, hi int64) ([]int64, bool) {
	list, ok := v.([]any)
	if !ok {
		r.errorf(key, "must be an array of integers such as [0, 1], is %s", describe(v))
		return nil, false
	}
	out := make([]int64, 0, len(list))
	for _, e := range list {
		n, ok := r.integer(key, e, lo, hi)
		if !ok {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

// enum reads one of some words and returns its place among them.
func (r *reader) enum(key string, v any, words ...string) (int, bool) {
	s, ok := v.(string)
	if ok {
		for i, w := range words {
			if s == w {
				return i, true
			}
		}
		r.errorf(key, "%q is not known; use %s%s", s, orList(words), suggest(s, words))
		return 0, false
	}
	r.errorf(key, "must be %s, is %s", orList(words), describe(v))
	return 0, false
}

func orList(words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", w)
	}
	return b.String()
}

// describe names a decoded value's TOML type, never its content: it might be a cookie.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	default:
		return fmt.Sprintf("a %T", v)
	}
}
