package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is where an object stands: the file as it was named and the line of its table header,
// counted from 1.
type Pos struct {
	File string
	Line int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Error is one thing wrong with a configuration. Line is 0 only where a file could not be read
// at all; Key is the dotted path, empty where the fault concerns no key.
type Error struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Key  string `json:"key,omitempty"`
	Msg  string `json:"message"`
}

func (e Error) Error() string {
	s := Pos{e.File, e.Line}.String() + ": "
	if e.Key != "" {
		s += e.Key + ": "
	}
	return s + e.Msg
}

// Errors is everything wrong with a configuration, in the order of the files and lines. Load and
// Parse return it as their error: errors.As reaches the list.
type Errors []Error

func (es Errors) Error() string {
	var b strings.Builder
	for i, e := range es {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// Warning is something that is accepted but probably not what was meant, or has no effect in
// this version.
type Warning Error

func (w Warning) String() string { return Error(w).Error() }

// sortErrors puts a list into the order of files (as read) and lines, and drops repetitions: one
// fault in [defaults] is one error, however many objects inherit it.
func sortErrors(es []Error, order map[string]int) []Error {
	slices.SortStableFunc(es, func(a, b Error) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
	seen := make(map[Error]bool, len(es))
	return slices.DeleteFunc(es, func(e Error) bool {
		again := seen[e]
		seen[e] = true
		return again
	})
}
