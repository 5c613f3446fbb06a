package l2tp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestParseCookie(t *testing.T) {
	for _, c := range []struct {
		in  string
		len int
		ok  bool
	}{
		{"", 0, true},
		{"01020304", 4, true},
		{"0102030405060708", 8, true},
		{"01020304050607FF", 8, true},
		{"010203", 0, false},
		{"0x010203", 0, false},
		{"010203040506070809", 0, false},
		{"zz020304", 0, false},
	} {
		got, err := ParseCookie(c.in)
		if (err == nil) != c.ok || got.Len() != c.len {
			t.Errorf("ParseCookie(%q) = %d bytes, %v; want %d, ok %t", c.in, got.Len(), err, c.len, c.ok)
		}
		if err == nil && got.Hex() != strings.ToLower(c.in) {
			t.Errorf("ParseCookie(%q).Hex() = %q", c.in, got.Hex())
		}
		if err != nil && len(c.in) > 2 && strings.Contains(err.Error(), c.in[:3]) {
			t.Errorf("the error of ParseCookie(%q) repeats it: %v", c.in, err)
		}
	}
}

func TestCookieNeverPrintsItself(t *testing.T) {
	c, err := NewCookie([]byte{0xde, 0xad, 0xbe, 0xef})
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		C Cookie
		P *Cookie
	}
	h := holder{c, &c}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", c, h)
	}
	fmt.Fprintln(&out, c, h)
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "c", c, "h", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "c", c, "h", h)
	text := strings.ToLower(out.String())
	for _, secret := range []string{"dead", "0xde", "222", "11011110"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q found in:\n%s", secret, text)
		}
	}
	if !strings.Contains(text, "4 bytes") {
		t.Errorf("%q misses the length", text)
	}
}

func TestCookieCompares(t *testing.T) {
	a, _ := ParseCookie("0102030400000000")
	b, _ := ParseCookie("01020304")
	c, _ := NewCookie([]byte{1, 2, 3, 4})
	if a == b || b != c || a.IsZero() || !(Cookie{}).IsZero() {
		t.Error("cookies of different lengths are different, of the same bytes the same")
	}
}
