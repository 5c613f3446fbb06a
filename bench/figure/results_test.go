package figure

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

const recording = `# xwire bench veth
# 2026-11-21, xwire (devel) go1.26 amd64
goos: linux
cpu: Some CPU @ 2.80GHz
kernel: 6.18
mode: copy
BenchmarkVeth/case=forward/size=64	400000	2.0000 Mpps
BenchmarkVeth/case=forward/size=64	200000	1.0000 Mpps
BenchmarkVeth/case=encap/size=64	390000	1.9000 Mpps
BenchmarkVeth/case=encap/size=64	190000	0.9000 Mpps	7 other

  size          case   Mpps  range %  ratio
    64       forward  1.500       67   1.00
`

func TestReadResults(t *testing.T) {
	r, err := ReadResults(strings.NewReader(recording))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"command": "xwire bench veth", "date": "2026-11-21, xwire (devel) go1.26 amd64",
		"cpu": "Some CPU @ 2.80GHz", "kernel": "6.18", "mode": "copy",
	} {
		if got := r.Header[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	forward, encap := r.Rounds("Veth/case=forward/size=64", "Mpps"), r.Rounds("Veth/case=encap/size=64", "Mpps")
	if !slices.Equal(forward, []float64{2, 1}) || !slices.Equal(encap, []float64{1.9, 0.9}) {
		t.Errorf("forward %v, encap %v", forward, encap)
	}
	if v := r.Rounds("Veth/case=encap/size=64", "other"); !slices.Equal(v, []float64{7}) {
		t.Errorf("the second unit: %v", v)
	}
	if v := r.Rounds("Veth/case=none/size=64", "Mpps"); v != nil {
		t.Errorf("what was not measured is %v", v)
	}
	if v := Ratios(encap, forward); !slices.Equal(v, []float64{0.95, 0.9}) {
		t.Errorf("ratios %v", v)
	}
	if _, err := ReadResults(strings.NewReader("BenchmarkX\t1\tfast Mpps\n")); err == nil {
		t.Error("a figure that is no number was read")
	}
}

func TestForwarding(t *testing.T) {
	veth, err := ReadResults(strings.NewReader(recording))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Forwarding(veth, veth); err == nil {
		t.Error("figures of a core that was not recorded")
	}
	core, err := ReadResults(strings.NewReader("BenchmarkPair/encap=ip4/size=64/sessions=1/frames=4096/cookie=8\t9\t15.0 ns/packet\n" +
		"BenchmarkPair/encap=ip4/size=64/sessions=1/frames=128/cookie=8\t9\t13.0 ns/packet\n" +
		"BenchmarkPair/encap=udp6/size=64/sessions=1/frames=4096/cookie=8/checksum=on\t9\t95.0 ns/packet\n" +
		"BenchmarkPair/encap=udp6/size=64/sessions=1/frames=4096/cookie=8\t9\t80.0 ns/packet\n" +
		"BenchmarkEncap/encap=ip4/size=64/sessions=100000/frames=4096/cookie=8\t9\t60.0 ns/packet\n" +
		"BenchmarkDecap/encap=ip4/size=64/sessions=100000/frames=4096/cookie=8\t9\t50.0 ns/packet\n" +
		"BenchmarkDecap/encap=ip4/size=64/sessions=100000/frames=4096/cookie=8\t9\t70.0 ns/packet\n"))
	if err != nil {
		t.Fatal(err)
	}
	table, picture, err := Forwarding(veth, core)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| frames of 64 bytes over veth, copy mode |", "| xwire, L2TPv3 encap | 1.40 | 0.93 | 5 % |",
		"| decap, 100,000 sessions at random | 60.0 | 33 % |", "Some CPU @ 2.80GHz, Linux 6.18, 2026-11-21",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	d := xml.NewDecoder(strings.NewReader(picture))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture: %v\n%s", err, picture)
		}
	}
	if !strings.Contains(picture, "1.40 Mpps") || strings.Count(picture, "<path") != 2 {
		t.Errorf("the picture\n%s", picture)
	}
}
