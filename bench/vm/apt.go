package vm

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// apt is a scratch apt root: it reads the host's list of installed packages and
// changes nothing of the host.
type apt struct {
	dir    string
	suites []string
}

func newApt(ctx context.Context, dir string, a archive, suites ...string) (*apt, error) {
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	var list strings.Builder
	for _, s := range suites {
		fmt.Fprintf(&list, "deb [signed-by=%s] %s %s main\n", a.signedBy, a.uri, s)
	}
	if err := os.WriteFile(filepath.Join(dir, "sources"), []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	r := &apt{dir, suites}
	_, err := r.run(ctx, dir, "apt-get", "update")
	return r, err
}

func (r *apt) run(ctx context.Context, dir, name string, args ...string) (string, error) {
	options := []string{"-q"}
	for _, o := range []string{
		"APT::Sandbox::User=root",
		"Acquire::Retries=3",
		"Dir::State=" + r.dir,
		"Dir::State::status=/var/lib/dpkg/status",
		"Dir::Cache=" + filepath.Join(r.dir, "cache"),
		"Dir::Etc::sourcelist=" + filepath.Join(r.dir, "sources"),
		"Dir::Etc::sourceparts=-",
	} {
		options = append(options, "-o", o)
	}
	cmd := exec.CommandContext(ctx, name, append(options, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(errOut.Bytes()))
	}
	return out.String(), nil
}

// dependencies downloads what the packages need beyond what the host has.
func (r *apt) dependencies(ctx context.Context, suite, into string, packages ...string) error {
	args := append([]string{"install", "--yes", "--no-install-recommends", "--download-only",
		"-o", "Debug::NoLocking=1", "-o", "Dir::Cache::archives=" + into, "-t", suite}, packages...)
	_, err := r.run(ctx, into, "apt-get", args...)
	return err
}

// download fetches the packages themselves, whether installed or not.
func (r *apt) download(ctx context.Context, suite, into string, packages ...string) error {
	_, err := r.run(ctx, into, "apt-get", append([]string{"download", "-t", suite}, packages...)...)
	return err
}

// names lists packages that match a regular expression, by version, oldest
// first.
func (r *apt) names(ctx context.Context, pattern string) ([]string, error) {
	out, err := r.run(ctx, r.dir, "apt-cache", "search", "--names-only", pattern)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) {
		names = append(names, firstWord(line))
	}
	slices.SortFunc(names, compareVersions)
	return names, nil
}

// compareVersions compares runs of digits by value and the rest by bytes.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		na, ra := leadingNumber(a)
		nb, rb := leadingNumber(b)
		if ra != a && rb != b {
			if na != nb {
				return cmp.Compare(na, nb)
			}
			a, b = ra, rb
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingNumber(s string) (int, string) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(s[:end])
	return n, s[end:]
}

// unpack spreads every package of a directory over root.
func unpack(ctx context.Context, dir, root string) error {
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) == 0 {
		return fmt.Errorf("unpack %s: no packages (%v)", dir, err)
	}
	for _, d := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", d, root).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", filepath.Base(d), err, out)
		}
	}
	return nil
}
