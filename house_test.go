// Package house holds the tests of the repository as a whole: who may import whom, where unsafe
// may stand, how every file is formatted.
package house

import (
	"bytes"
	"encoding/json"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A room says what the packages of a folder may import besides the standard library. A name that
// ends in /... stands for a whole tree.
type room struct {
	folder string
	may    []string
	not    []string // of the standard library
}

// rooms goes from the wire upwards; the longest folder that fits a package counts.
var rooms = []room{
	{folder: "l2tp", not: []string{"os", "net", "syscall", "log", "unsafe"}},
	{folder: "pw", may: []string{"xwire/l2tp"}, not: []string{"os", "net", "syscall", "log", "log/slog", "unsafe"}},
	{folder: "rings", may: []string{"golang.org/x/sys/unix"}},
	{folder: "rings/steer", may: []string{"github.com/cilium/ebpf/...", "golang.org/x/sys/unix", "github.com/vishvananda/netlink/..."}},
	{folder: "config", may: []string{"xwire/l2tp", "github.com/BurntSushi/toml"}, not: []string{"syscall", "unsafe"}},
	{folder: "config/ipl2tp", may: []string{"xwire/l2tp"}, not: []string{"os", "net", "syscall", "unsafe"}},
	{folder: "config/importer", may: []string{"xwire/l2tp", "xwire/config/..."}, not: []string{"os", "net", "syscall", "unsafe"}},
	{folder: "appliance/api", not: []string{"unsafe"}},
	{folder: "appliance", may: []string{
		"xwire/config/...", "xwire/pw", "xwire/rings/...", "xwire/l2tp/...", "xwire/appliance/...", "golang.org/x/sys/unix",
		"github.com/vishvananda/...", "github.com/cilium/ebpf/...", "github.com/safchain/ethtool", "github.com/prometheus/...", "github.com/coreos/go-systemd/...", "github.com/gopacket/gopacket/..."}},
	{folder: "appliance/trunk/splice", may: []string{"github.com/cilium/ebpf/...", "golang.org/x/sys/unix"}},
	{folder: "cmd/xwire", may: []string{"xwire/appliance/...", "xwire/config/...", "xwire/l2tp", "xwire/bench/...", "github.com/spf13/...", "golang.org/x/sys/unix"}},
	{folder: "bench", may: []string{"xwire/...", "github.com/...", "golang.org/x/..."}},
}

func fits(pattern, path string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == tree || strings.HasPrefix(path, tree+"/")
	}
	return path == pattern
}

func roomOf(path string) (found room, ok bool) {
	for _, r := range rooms {
		if fits("xwire/"+r.folder+"/...", path) && len(r.folder) >= len(found.folder) {
			found, ok = r, true
		}
	}
	return found, ok
}

func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "xwire" {
			continue
		}
		packages++
		r, ok := roomOf(p.ImportPath)
		if !ok {
			t.Errorf("%s stands in no room: the top-level folders are fixed", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			standard := !strings.Contains(strings.SplitN(i, "/", 2)[0], ".") && !fits("xwire/...", i)
			switch {
			case standard && slices.Contains(r.not, i):
				t.Errorf("%s must not import %s", p.ImportPath, i)
			case !standard && !slices.ContainsFunc(r.may, func(m string) bool { return fits(m, i) }):
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
		}
	}
	if packages < 8 {
		t.Errorf("go list named %d packages, want at least 8", packages)
	}
}

// goFiles calls visit for each Go file of the repository.
func goFiles(t *testing.T, visit func(path string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".go") {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			visit(path, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnsafeStandsInFewFiles(t *testing.T) {
	var files []string
	goFiles(t, func(path string, text []byte) {
		if !strings.HasSuffix(path, "_test.go") && bytes.Contains(text, []byte("\t\"unsafe\"\n")) {
			files = append(files, path)
		}
	})
	for _, f := range files {
		if !strings.HasPrefix(f, "rings/") && !strings.HasPrefix(f, "appliance/host/") {
			t.Errorf("%s imports unsafe; shared memory and ioctls belong in rings and appliance/host", f)
		}
	}
	if len(files) > 4 {
		t.Errorf("unsafe stands in %d files, want at most 4: %v", len(files), files)
	}
}

func TestFormat(t *testing.T) {
	goFiles(t, func(path string, text []byte) {
		want, err := format.Source(text)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if !bytes.Equal(text, want) {
			t.Errorf("%s is not formatted: run gofmt -w %s", path, path)
		}
	})
}
