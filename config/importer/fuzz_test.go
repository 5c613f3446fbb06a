package importer

import (
	"os"
	"path/filepath"
	"testing"

	"xwire/config"
)

// FuzzText: whatever the text is, the outcome is an error or a configuration that loads.
func FuzzText(f *testing.F) {
	files, err := filepath.Glob("testdata/*")
	if err != nil || len(files) < 5 {
		f.Fatalf("testdata has %q, %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for i := range 3 {
			f.Add(i, text, i == 1)
		}
	}
	f.Fuzz(func(t *testing.T, kind int, text []byte, otherEnd bool) {
		kinds := []Kind{IPL2TP, VyOS, Cisco}
		got, err := Text(kinds[uint(kind)%3], "f", text, Options{OtherEnd: otherEnd})
		if err != nil {
			return
		}
		if _, err := config.Parse("f", got); err != nil {
			t.Errorf("%v\n%s", err, got)
		}
	})
}
