package scenarios

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// seenFrame is one packet of a capture file.
type seenFrame struct {
	port, comment string
	outbound      bool
	data          []byte
}

// readCapture reads pcapng with another's reader.
func readCapture(t *testing.T, text []byte) (list []seenFrame) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(text), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	must(t, err)
	for {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return list
		}
		must(t, err)
		i, err := r.Interface(info.InterfaceIndex)
		must(t, err)
		if age := time.Since(info.Timestamp); age < 0 || age > 10*time.Minute {
			t.Errorf("a packet is %v old", age)
		}
		f := seenFrame{port: i.Name, comment: strings.Join(options.Comments, "|"), data: data}
		f.outbound = options.Flags != nil && options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound
		list = append(list, f)
	}
}

// capturing is a capture under way.
type capturing struct {
	mu    sync.Mutex
	text  bytes.Buffer
	begun chan struct{}
	ended chan error
	stop  context.CancelFunc
	done  api.Captured
}

func (c *capturing) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text.Len() == 0 {
		close(c.begun)
	}
	return c.text.Write(b)
}

// capture begins a capture, which runs when it returns.
func capture(t *testing.T, b *lab.Box, q api.CaptureQuery) *capturing {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &capturing{begun: make(chan struct{}), ended: make(chan error, 1), stop: stop}
	go func() {
		done, err := api.NewClient(b.Control).Capture(ctx, q, c)
		c.done = done
		c.ended <- err
	}()
	select {
	case <-c.begun:
	case err := <-c.ended:
		t.Fatalf("capture %+v: %v", q, err)
	case <-time.After(soon):
		t.Fatalf("capture %+v does not begin", q)
	}
	return c
}

// end stops a capture and gives what it has: comments with the port, sorted.
func (c *capturing) end(t *testing.T) ([]seenFrame, []string) {
	t.Helper()
	c.stop()
	must(t, <-c.ended)
	list := readCapture(t, c.text.Bytes())
	if c.done.Frames != uint64(len(list)) || c.done.Lost != 0 {
		t.Errorf("it says %+v and has %d frames", c.done, len(list))
	}
	var lines []string
	for _, f := range list {
		if f.outbound != strings.Contains(f.comment, " sent") {
			t.Errorf("%s: the flags say outbound %v", f.comment, f.outbound)
		}
		lines = append(lines, f.port+": "+f.comment)
	}
	slices.Sort(lines)
	return list, lines
}

func times(n int, line string) []string { return slices.Repeat([]string{line}, n) }

func TestCapture(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	cookies := [2]string{"1112131415161718", "2122232425262728"}
	good := &wire{name: "good", sid: [2]uint32{10, 20}, cookie: cookies, vlan: vlanOf(0), pwVLAN: none}
	bad := &wire{name: "bad", udp: true, sid: [2]uint32{11, 21}, cookie: cookies, vlan: vlanOf(1), pwVLAN: none, sublayer: "default"}
	box := w.start(t, 0, config(0, good, bad))

	received := times(3, "core0: decap outer received good/s")
	delivered := times(3, "ac0: decap inner sent good/s")
	taken := times(2, "ac0: encap inner received good/s")
	sent := times(2, "core0: encap outer sent good/s")
	badly := append(times(2, "core0: decap outer received bad/s, dropped: cookie_mismatch"),
		"core0: decap outer received bad/s", "ac0: decap inner sent bad/s")
	all := slices.Concat(received, delivered, taken, sent, badly)
	cases := []struct {
		name string
		q    api.CaptureQuery
		want []string
	}{
		{"all", api.CaptureQuery{}, all},
		{"session", api.CaptureQuery{Of: "good/s"}, slices.Concat(received, delivered, taken, sent)},
		{"session inner", api.CaptureQuery{Of: "good/s", Inner: true}, slices.Concat(delivered, taken)},
		{"session outer", api.CaptureQuery{Of: "good/s", Outer: true, Snaplen: 40}, slices.Concat(received, sent)},
		{"port", api.CaptureQuery{Of: "ac0"}, slices.Concat(delivered, taken, badly[3:])},
		{"drops", api.CaptureQuery{Drops: true}, badly[:2]},
		{"drops of the other session", api.CaptureQuery{Of: "good/s", Drops: true}, nil},
		{"drops and inner", api.CaptureQuery{Of: "bad/s", Drops: true, Inner: true}, slices.Concat(badly[:2], badly[3:])},
	}
	var running []*capturing
	for _, c := range cases {
		running = append(running, capture(t, box, c.q))
	}
	if _, err := api.NewClient(box.Control).Capture(t.Context(), api.CaptureQuery{}, io.Discard); err == nil || !strings.Contains(err.Error(), "too many captures") {
		t.Errorf("one capture more: %v", err)
	}
	p := bad.to(bare())
	p.cookie = "3132333435363738"
	w.inject(t, good.to(bare()), good.to(bare()), good.to(bare()), bad.to(bare()), p, p)
	must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(100)...), tagged(0, vids(100)...)))
	until(t, "the customer's frames are sent", func() (bool, string) {
		p := portOf(t, box, "ac0")
		return p.Sent >= 2, fmt.Sprintf("%+v", p)
	})
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			list, got := running[i].end(t)
			slices.Sort(c.want)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("captured\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			for _, f := range list {
				if strings.HasPrefix(f.comment, "decap outer received good") && c.q.Snaplen == 0 && !bytes.HasSuffix(f.data, bare()) {
					t.Errorf("%s: %x", f.comment, f.data)
				}
				if strings.HasPrefix(f.comment, "encap inner") && !bytes.Equal(f.data, tagged(0, vids(100)...)) {
					t.Errorf("%s: %x", f.comment, f.data)
				}
				if c.q.Snaplen > 0 && len(f.data) != c.q.Snaplen {
					t.Errorf("%d bytes of a frame, want %d", len(f.data), c.q.Snaplen)
				}
			}
		})
	}
	t.Run("command", func(t *testing.T) { captureCommand(t, w, box, good) })
}

// captureCommand runs `xwire capture` until it has enough, and until it is interrupted.
func captureCommand(t *testing.T, w *world, box *lab.Box, good *wire) {
	file := filepath.Join(t.TempDir(), "a.pcapng")
	run := func(args ...string) *lab.Process {
		p, err := w.hosts[0].Start(lab.Program{Path: program, Args: append([]string{"capture", "--control", box.Control}, args...)})
		must(t, err)
		return p
	}
	wait := func(p *lab.Process) {
		t.Helper()
		select {
		case <-p.Done():
		case <-time.After(soon):
			t.Fatalf("it does not end; it printed\n%s", p.Output())
		}
		must(t, p.Wait())
	}
	begun := func() {
		t.Helper()
		for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
			if st, err := os.Stat(file); err == nil && st.Size() > 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the file stays empty")
			}
		}
	}
	p := run("good/s", "--outer", "-c", "2", "-w", file)
	begun()
	w.inject(t, good.to(bare()), good.to(bare()), good.to(bare()))
	wait(p)
	text, err := os.ReadFile(file)
	must(t, err)
	if list := readCapture(t, text); len(list) != 2 {
		t.Errorf("-c 2 leaves %d frames", len(list))
	}
	if out := p.Output(); !strings.Contains(string(out), fmt.Sprintf("2 frames captured to %s, 0 lost", file)) {
		t.Errorf("it printed %q", out)
	}
	must(t, os.Remove(file))

	p = run("-w", file)
	begun()
	w.inject(t, good.to(bare()))
	must(t, p.Signal(syscall.SIGINT))
	wait(p)
	if out := p.Output(); !strings.Contains(string(out), "2 frames captured") {
		t.Errorf("interrupted, it printed %q", out)
	}
	for _, c := range []struct{ of, says string }{{"none", "no session and no port"}, {"good/none", "no session and no port"}} {
		out, err := w.hosts[0].Command(program, "capture", "--control", box.Control, "-w", "-", c.of)
		if err == nil || !strings.Contains(err.Error()+out, c.says) {
			t.Errorf("capture of %s: %v", c.of, err)
		}
	}
}
