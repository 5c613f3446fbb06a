package config

import (
	"reflect"
	"testing"
)

// What is read without the decoder is what the decoder reads, and what it does not read is left to that.
func TestPlain(t *testing.T) {
	tests := []struct {
		text  string
		plain bool
	}{
		{"", true},
		{"\n# a comment\n  # and one more\n", true},
		{"sid = 100\npsid=200\n", true},
		{"a = \"\"\nb = \"x # y\" # z\nc-d_9 = true\ne = false#\nf = 0\ng = 9223372036854775807", true},
		{"  a = 1  ", true},
		{"a = 1\nb = \"\"\"x\"\"\"\n", false},
		{"a = \"\\u0041\"\n", false},
		{"a = 'x'\n", false},
		{"a = \"\u00e4\"\n", false},
		{"a = 1\r\n", false},
		{"a\t= 1\n", false},
		{"a = [1]\n", false},
		{"a = {b = 1}\n", false},
		{"a.b = 1\n", false},
		{"\"a\" = 1\n", false},
		{"a = 1_000\n", false},
		{"a = 0x10\n", false},
		{"a = 1.5\n", false},
		{"a = 1e3\n", false},
		{"a = -1\n", false},
		{"a = 2026-11-21\n", false},
		{"a = 07:32:00\n", false},
		{"a = inf\n", false},
		// Mistakes.
		{"a = 1\na = 2\n", false},
		{"a = 007\n", false},
		{"a = 9223372036854775808\n", false},
		{"a = truely\n", false},
		{"a = true false\n", false},
		{"a = \"x\n", false},
		{"a = \"x\"\"y\"\n", false},
		{"a = 1 b = 2\n", false},
		{"a =\n", false},
		{"a\n", false},
		{"= 1\n", false},
		{"a b = 1\n", false},
	}
	for _, tt := range tests {
		table, ok := plain(tt.text)
		if ok != tt.plain {
			t.Errorf("%q: read: %v, want %v", tt.text, ok, tt.plain)
		}
		if d := decode(tt.text, false); ok && (d.err != nil || !reflect.DeepEqual(d.table, table)) {
			t.Errorf("%q: %v, the decoder has %v, %v", tt.text, table, d.table, d.err)
		}
	}
}

// FuzzPlain looks for a text that is read otherwise than by the decoder.
func FuzzPlain(f *testing.F) {
	f.Add("a = 1\nb = \"x\" # y\nc = true\n")
	f.Fuzz(func(t *testing.T, text string) {
		if table, ok := plain(text); ok {
			if d := decode(text, false); d.err != nil || !reflect.DeepEqual(d.table, table) {
				t.Errorf("%q: %v, the decoder has %v, %v", text, table, d.table, d.err)
			}
		}
	})
}
