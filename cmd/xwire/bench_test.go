package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xwire/bench/lab"
	"xwire/bench/traffic"
)

// benchLimit is what a small measurement may take on a busy machine.
const benchLimit = 5 * time.Minute

// bench calls the command in process.
func bench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), benchLimit)
	defer cancel()
	var out, errs bytes.Buffer
	status = (&env{stdout: &out, stderr: &errs}).execute(ctx, append([]string{"bench"}, args...))
	return status, out.String(), errs.String()
}

// lastLine decodes the last line of a standard output.
func lastLine(t *testing.T, out string, v any) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), v); err != nil {
		t.Fatalf("%v in the last line of\n%s", err, out)
	}
}

type benchResults struct {
	Results []map[string]any `json:"results"`
	Machine map[string]any   `json:"machine"`
}

func (r *benchResults) check(t *testing.T, cases []string, keys ...string) {
	t.Helper()
	var got []string
	for _, v := range r.Results {
		for _, k := range append(keys, "case", "size", "spread_percent") {
			if _, ok := v[k]; !ok {
				t.Errorf("no %q in %v", k, v)
			}
		}
		name, _ := v["case"].(string)
		got = append(got, name)
	}
	if !slices.Equal(got, cases) {
		t.Errorf("cases %v, want %v", got, cases)
	}
	if r.Machine["cpu"] == "" || r.Machine["kernel"] == "" {
		t.Errorf("machine %v", r.Machine)
	}
}

func TestBenchCore(t *testing.T) {
	args := []string{"core", "--quick", "--encap", "udp6", "--size", "512", "--frames", "128", "--sessions", "500", "--rounds", "1", "--window", "100us", "--cpu", "-1"}
	status, out, errs := bench(t, append(args, "--json")...)
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	var r benchResults
	lastLine(t, out, &r)
	r.check(t, []string{"pair", "encap", "decap"}, "encap", "sessions", "ns_per_packet", "gross_ns_per_packet", "frames")
	if strings.Count(errs, "ns\n") != 3 {
		t.Errorf("no progress: %s", errs)
	}
	_, out, _ = bench(t, args...)
	if !strings.Contains(out, "BenchmarkDecap/encap=udp6/size=512/sessions=500/frames=128/cookie=8\t") {
		t.Errorf("no line for benchstat in\n%s", out)
	}
}

func TestBenchVeth(t *testing.T) {
	status, out, errs := bench(t, "veth", "--size", "imix", "--rounds", "1", "--window", "20ms", "--case", "decap", "--back-to-back=false", "--json")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	var r benchResults
	lastLine(t, out, &r)
	r.check(t, []string{"forward", "decap"}, "mpps", "ratio", "mode")
}

// TestBenchPrograms runs the commands that work on interfaces as programs, in namespaces.
func TestBenchPrograms(t *testing.T) {
	program, err := lab.Build(context.Background(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("generate and sink", func(t *testing.T) { generateAndSink(t, program) })
	t.Run("ndr between ports", func(t *testing.T) { ndrBetweenPorts(t, program) })
}

// generateAndSink has both at the two ends of a veth pair.
func generateAndSink(t *testing.T, program string) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := l.Namespace("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Namespace("b")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Connect(lab.End{Namespace: a, Name: "w0"}, lab.End{Namespace: b, Name: "w1"}); err != nil {
		t.Fatal(err)
	}
	var received lockedBuffer
	sink, err := b.Start(lab.Program{Path: program, Output: &received,
		Args: []string{"bench", "sink", "--interface", "w1", "--flows", "3", "--until-ended", "--duration", "200s", "--json"}})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(benchLimit); !strings.Contains(received.String(), "receiving on w1"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the sink does not receive: %s", received.String())
		}
	}
	out, err := a.Command(program, "bench", "generate", "--interface", "w0", "--flows", "3", "--size", "imix", "--rate", "3000", "--count", "3000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Wait(); err != nil {
		t.Fatalf("sink: %v: %s", err, received.String())
	}
	var s, r struct {
		Frames, Lost, Corrupt uint64
		EndedFlows            int              `json:"ended_flows"`
		Each                  []map[string]any `json:"each_second"`
	}
	lastLine(t, out, &s)
	lastLine(t, received.String(), &r)
	if s.Frames != 3000 || r.Frames != s.Frames || r.Lost != 0 || r.Corrupt != 0 || r.EndedFlows != 3 || len(r.Each) == 0 {
		t.Errorf("sent %+v, received %+v", s, r)
	}
}

// ndrBetweenPorts has a program in the driver of another namespace for a device.
func ndrBetweenPorts(t *testing.T, program string) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tester, err := l.Namespace("tester")
	if err != nil {
		t.Fatal(err)
	}
	device, err := l.Namespace("device")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{{"w0", "p0"}, {"w1", "p1"}} {
		if err := l.Connect(lab.End{Namespace: tester, Name: pair[0]}, lab.End{Namespace: device, Name: pair[1]}); err != nil {
			t.Fatal(err)
		}
	}
	var redirect *traffic.Redirect // a program without an owner is detached when memory is collected
	err = device.Run(func() error {
		var ports [2]*net.Interface
		for i, name := range []string{"p0", "p1"} {
			if ports[i], err = net.InterfaceByName(name); err != nil {
				return err
			}
		}
		redirect, err = traffic.AttachRedirect(ports[0].Index, ports[1].Index)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer redirect.Close()
	// A veth receives what XDP redirects to it while it has a program itself: the sink in the driver.
	out, err := tester.Command(program, "bench", "ndr", "--from", "w0", "--to", "w1", "--size", "64", "--sink", "xdp",
		"--trial", "200ms", "--tries", "1", "--resolution", "0.4", "--max-rate", "0.02", "--json")
	if err != nil {
		t.Fatal(err)
	}
	checkNDR(t, out, "forward")
}

func TestBenchNDR(t *testing.T) {
	status, out, errs := bench(t, "ndr", "--size", "64", "--case", "forward", "--trial", "200ms", "--tries", "1", "--resolution", "0.4", "--max-rate", "0.02", "--json")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	checkNDR(t, out, "forward")
}

// checkNDR looks at the shape, and that the frames of 10,000 a second arrived: how many of them is
// the machine's business.
func checkNDR(t *testing.T, out string, cases ...string) {
	t.Helper()
	var r struct {
		Results []struct {
			Case     string
			Overload float64  `json:"overload_mpps"`
			NDR      *float64 `json:"ndr_mpps"`
			PDR      *float64 `json:"pdr_mpps"`
			Latency  []struct {
				Load float64 `json:"load_percent"`
				P50  float64 `json:"p50_us"`
			}
			Trials []map[string]any
		}
	}
	lastLine(t, out, &r)
	var got []string
	for _, v := range r.Results {
		got = append(got, v.Case)
		if v.Overload <= 0 || v.NDR == nil || v.PDR == nil || len(v.Trials) == 0 {
			t.Errorf("%+v", v)
		}
		for _, at := range v.Latency {
			if at.P50 <= 0 {
				t.Errorf("latency %+v", at)
			}
		}
	}
	if !slices.Equal(got, cases) {
		t.Errorf("cases %v, want %v", got, cases)
	}
}

func TestBenchWrongCalls(t *testing.T) {
	for _, args := range [][]string{
		{}, {"core", "--size", "63"}, {"core", "--encap", "gre"}, {"core", "--case", "both"}, {"veth", "--size", "big"},
		{"veth", "--case", "snabb"}, {"veth", "--sink", "drain"}, {"generate"}, {"generate", "--size", "9000", "--interface", "lo"},
		{"sink"}, {"sink", "--interface", "lo", "--side", "core"}, {"generate", "--interface", "lo", "--dst", "mac"},
		{"ndr", "--size", "1"}, {"ndr", "--from", "lo"}, {"ndr", "--case", "snabb"},
		{"core", "--cpu", "-2"}, {"core", "--cpu", "4095"}, {"veth", "--worker-cpu", "-1"}, {"veth", "--generator-cpu", "4095"},
		{"veth", "--vm", "--case", "snabb"}, {"start", "--sessions", "0"}, {"start", "--sessions", "5,99999999"},
		{"ndr", "--from", "lo", "--to", "lo"}, {"ndr", "--side", "core"}, {"ndr", "--from", "a", "--to", "b", "--case", "encap"},
		{"ndr", "--loss", "0"}, {"ndr", "--resolution", "1"}, {"ndr", "--tries", "0"}, {"ndr", "--trial", "1us"}, {"ndr", "--sink", "drain", "--from", "a", "--to", "b"},
		{"generate", "--interface", "lo", "--rate", "NaN"}, {"generate", "--interface", "lo", "--flows", "0"}, {"sink", "--interface", "lo", "--flows", "65537"},
		{"generate", "--interface", "lo", "--side", "far"}, {"generate", "--write", "-", "--json"},
		{"core", "--rounds", "-1"}, {"generate", "--interface", "lo", "--rate", "-5"}, {"sink", "--interface", "lo", "--duration", "-1s"}, {"ndr", "--loss", "-1"},
	} {
		if status, _, errs := bench(t, args...); status != statusUsage {
			t.Errorf("bench %v: status %d, want %d: %s", args, status, statusUsage, errs)
		}
	}
}

// A file's report goes to standard output, its progress does not; and a call that fails leaves no file.
func TestBenchWritesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "box.pcap")
	status, out, errs := bench(t, "generate", "--write", file, "--size", "imix", "--flows", "2", "--json")
	var r struct {
		Frames uint64
		Mode   string
		Each   []map[string]any `json:"each_second"`
	}
	lastLine(t, out, &r)
	if status != 0 || r.Frames != 2*12+2 || r.Mode != "pcap" || r.Each == nil || !strings.Contains(errs, "box.pcap: 26 frames") {
		t.Errorf("status %d, %+v: %s", status, r, errs)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	var failure bytes.Buffer
	if status := (&env{stdout: &failure, stderr: &failure}).execute(ctx, []string{"bench", "generate", "--write", file}); status != statusFailure || !strings.Contains(failure.String(), "enough") {
		t.Errorf("status %d: %s", status, &failure)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("half a file was left")
	}
}

// Frames of PPP in a PPPoE session need the address of the box's port, and room for headers and stamp.
func TestBenchGeneratePPP(t *testing.T) {
	dir := t.TempDir()
	box, file := filepath.Join(dir, "box.toml"), filepath.Join(dir, "box.pcap")
	const text = `
[port.ac]
interface = "eth1"
[tunnel.lns]
version = "l2tpv2"
local = "192.0.2.1"
peer = "198.51.100.7"
tid = 11
ptid = 22
[tunnel.lns.session.client]
pseudowire = "pppac"
sid = 33
psid = 44
attach = "ac"
pppoe_session_id = 4660
pppoe_peer_mac = "02:00:00:00:00:01"
`
	if err := os.WriteFile(box, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	generate := []string{"generate", "--config", box, "--write", file, "--count", "5", "--json"}
	if status, _, errs := bench(t, generate...); status != statusUsage || !strings.Contains(errs, "--dst is missing: PPPoE frames of session lns/client") {
		t.Errorf("without --dst: status %d: %s", status, errs)
	}
	for side, bytes := range map[string]uint64{"ac": 86, "core": 86 - 20 + 14 + 20 + 8 + 6 + 2} {
		status, out, errs := bench(t, append(generate, "--side", side, "--dst", "02:00:00:00:00:02")...)
		var r struct{ Frames, Bytes uint64 }
		lastLine(t, out, &r)
		if status != 0 || r.Frames != 6 || r.Bytes != 6*bytes || !strings.Contains(errs, "below 90 bytes") {
			t.Errorf("side %s: status %d, %+v: %s", side, status, r, errs)
		}
	}
}

// lockedBuffer takes a process's output while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
