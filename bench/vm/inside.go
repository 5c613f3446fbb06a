package vm

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// InsideEnv is set in a guest.
const InsideEnv = "XWIRE_VM_INSIDE"

// OnHost is false in a guest.
func OnHost() bool { return os.Getenv(InsideEnv) == "" }

// Inside lets one test function run on both sides. In the guest it returns true:
// the test goes on. On the host it boots a guest, runs the same test function of
// the same test program there, reports the guest's subtests as subtests of t, and
// returns false: the test returns. Config's Command is filled in.
func Inside(t *testing.T, c Config) bool {
	t.Helper()
	if !OnHost() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		// Time to tell what happened and to clean up.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-10*time.Second))
		defer cancel()
	}
	// A guest whose test hangs tells where before it is ended.
	stacks := cmp.Or(c.Limit, defaultLimit) * 3 / 4
	c.Command = []string{self, "-test.v=test2json", "-test.run", guestPattern(t.Name()), "-test.failfast=false", "-test.timeout", stacks.String()}
	if testing.Verbose() {
		c.Output = progress{}
	}
	r, err := Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("guest: first output after %.1f s, off after %.1f s", r.Boot.Seconds(), r.Total.Seconds())
	root := parseTests(r.Output)
	own := root.child(t.Name())
	own.replay(t)
	if r.Status != 0 && !t.Failed() {
		t.Errorf("the guest's tests ended with status %d; console:\n%s\noutput:\n%s", r.Status, r.Console, root.output.Bytes())
	}
	if r.Status == 0 && own.result == "" {
		t.Errorf("the guest ran no %s; output:\n%s", t.Name(), r.Output)
	}
	return false
}

// guestPattern runs this test and those of its subtests that were asked for.
func guestPattern(name string) string {
	pattern := "^" + regexp.QuoteMeta(name) + "$"
	for _, a := range os.Args[1:] {
		if value, ok := strings.CutPrefix(a, "-test.run="); ok {
			if _, sub, ok := strings.Cut(value, "/"); ok {
				pattern += "/" + sub
			}
		}
	}
	return pattern
}

// progress shows the guest's tests while they run.
type progress struct{}

func (progress) Write(b []byte) (int, error) {
	return os.Stderr.Write(bytes.ReplaceAll(b, []byte{marker}, nil))
}

// marker precedes the lines of the test framework under -test.v=test2json.
const marker = 0x16

// guestTest is a test of the guest and its subtests in the order they ran.
type guestTest struct {
	name     string
	result   string // PASS, FAIL, SKIP; empty: it did not end
	output   bytes.Buffer
	children []*guestTest
}

func (g *guestTest) child(name string) *guestTest {
	i := slices.IndexFunc(g.children, func(c *guestTest) bool { return c.name == name })
	if i >= 0 {
		return g.children[i]
	}
	c := &guestTest{name: name}
	g.children = append(g.children, c)
	return c
}

// find walks down to a test by its full name.
func (g *guestTest) find(name string) *guestTest {
	for part := range strings.SplitSeq(name, "/") {
		g = g.child(part)
	}
	return g
}

// parseTests reads the verbose output of a test program.
func parseTests(output []byte) *guestTest {
	root := &guestTest{}
	now := root
	for line := range bytes.Lines(output) {
		mark := bytes.IndexByte(line, marker)
		if mark < 0 {
			now.output.Write(line)
			continue
		}
		now.output.Write(bytes.TrimLeft(line[:mark], " "))
		words := strings.Fields(string(line[mark+1:]))
		if len(words) < 3 {
			continue
		}
		switch words[0] {
		case "===":
			if words[1] == "RUN" || words[1] == "NAME" || words[1] == "CONT" {
				now = root.find(words[2])
			}
		case "---":
			now = root.find(words[2])
			now.result = strings.TrimSuffix(words[1], ":")
		}
	}
	return root
}

func (g *guestTest) replay(t *testing.T) {
	t.Helper()
	for _, c := range g.children {
		t.Run(c.name, c.replay)
	}
	text := strings.TrimRight(g.output.String(), "\n")
	switch g.result {
	case "PASS":
		if text != "" {
			t.Log("\n" + text)
		}
	case "FAIL":
		t.Error("\n" + text)
	case "SKIP":
		t.Skip("\n" + text)
	default:
		t.Error("did not end in the guest\n" + text)
	}
}
