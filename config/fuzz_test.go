package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// FuzzParse: no text makes Parse panic; every error has a file and a line that is there; what is
// accepted is TOML to the decoder as a whole, and loads to the same values after it was written.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	broken, err := filepath.Glob("testdata/broken/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(files, broken...) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("include = [\"b\"]\n[tunnel.\"x]\"]\n'a'=\"\"\"\n[tunnel.y]\n\"\"\"\n")
	f.Add("\xef\xbb\xbf[tunnel.a]\r\ntid=1\r")
	from := memory{text: map[string]string{"b": "x = 1\n", "paris.cookies": "[tunnel.paris.session.customer-b]\ntx_cookie = \"01020304\"\n"}}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse("a", text, from)
		if err != nil {
			lines := strings.Count(text, "\n") + 1
			for _, e := range err.(Errors) {
				if e.File == "" || e.Msg == "" || e.Line < 1 || e.File == "a" && e.Line > lines {
					t.Errorf("%+v in a text of %d lines", e, lines)
				}
			}
			return
		}
		var v any
		if _, err := toml.Decode(text, &v); err != nil {
			t.Errorf("accepted, but no TOML: %v", err)
		}
		var b bytes.Buffer
		if err := c.WriteTOML(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again", b.Bytes())
		if err != nil {
			t.Fatalf("written, it does not load: %v\n%s", err, &b)
		}
		same(t, c, again)
	})
}
