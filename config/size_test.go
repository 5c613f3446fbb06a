package config

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manySessions writes a file of n sessions over some tunnels, each with what a real one has.
func manySessions(n, perTunnel int) []byte {
	var b bytes.Buffer
	b.WriteString("[port.core0]\ninterface = \"ens1f0\"\n\n[port.access0]\ninterface = \"ens1f1\"\n\n")
	for i := range n {
		t := i / perTunnel
		if i%perTunnel == 0 {
			fmt.Fprintf(&b, "[tunnel.pop-%d]\nversion = \"l2tpv3\"\nencap = \"ip\"\nlocal = \"192.0.2.1\"\npeer = \"198.%d.%d.%d\"\ntid = %d\nptid = %d\n\n",
				t, 51+t>>16, t>>8&255, t&255, t+1, t+1)
		}
		fmt.Fprintf(&b, "[tunnel.pop-%d.session.customer-%06d]\ndescription = \"ticket %d\"\npseudowire = \"eth\"\nsid = %d\npsid = %d\n"+
			"tx_cookie = \"%016x\"\nrx_cookie = \"%016x\"\nl2spec_type = \"default\"\nattach = \"access0\"\nvlan = \"%d.%d\"\n\n",
			t, i, i, i+1, i+1, i+1, i+2, i/4000+1, i%4000+1)
	}
	return b.Bytes()
}

// TestSize holds the budget of a large file. On an idle machine with two cores 100,000 sessions
// load in 2 s; what is held here is CPU time against the decoder's own, which is the same on any
// machine, and the memory that stays.
func TestSize(t *testing.T) {
	const n = 100_000
	data := manySessions(n, 1000)
	size, length := cap(data), len(data)
	sections := split(string(data[:length/50]), 1)
	cpu := cpuTime()
	decodeBatch(string(data), sections)
	decoder := (cpuTime() - cpu) / time.Duration(len(sections))

	before := heap()
	start, cpu := time.Now(), cpuTime()
	c, err := Parse("many.toml", data)
	took, cpu := time.Since(start), cpuTime()-cpu
	if err != nil {
		t.Fatal(err)
	}
	data = nil
	stay := (heap() - before + float64(size)) / n // data was counted before and is gone now
	t.Logf("%d sessions, %.1f MB: loaded in %v (%v of CPU, %v a session of which %v the decoder's), %.0f bytes a session stay",
		c.Sessions(), float64(length)/1e6, took.Round(time.Millisecond), cpu.Round(time.Millisecond), cpu/n, decoder, stay)
	if c.Sessions() != n {
		t.Errorf("Sessions() = %d, want %d", c.Sessions(), n)
	}
	if stay > 250 {
		t.Errorf("%.0f bytes a session stay, want 250 at most", stay)
	}
	if cpu/n > 3*decoder {
		t.Errorf("loading takes %v a session, the decoder alone %v; want three times as much at most", cpu/n, decoder)
	}
	runtime.KeepAlive(c)
}

// TestLargeAndWrong: neither many errors nor many tables in one section take more than linear time.
func TestLargeAndWrong(t *testing.T) {
	const n = 20_000
	var inline, dotted, wrong bytes.Buffer
	for _, b := range []*bytes.Buffer{&inline, &dotted, &wrong} {
		b.WriteString(tunnelText)
	}
	for i := range n {
		fmt.Fprintf(&inline, "session.s%d = { sid = %d, psid = 1 }\n", i, i+1)
		fmt.Fprintf(&dotted, "session.s%d.sid = %d\nsession.s%d.psid = \"x\"\n", i, i+1, i)
		fmt.Fprintf(&wrong, "[tunnel.a.session.s%d]\nsid = 1\npsid = 0\nattach = \"nowhere\"\nvlan = 7\nx = 1\n", i)
	}
	for _, tt := range []struct {
		name string
		text []byte
		errs int
	}{{"inline", inline.Bytes(), 0}, {"dotted", dotted.Bytes(), n}, {"wrong", wrong.Bytes(), 4*n - 1}} {
		start := cpuTime()
		_, err := Parse("x.toml", tt.text)
		var got Errors
		errors.As(err, &got)
		if len(got) != tt.errs {
			t.Errorf("%s: %d errors, want %d", tt.name, len(got), tt.errs)
		}
		if took := cpuTime() - start; took > 30*time.Second {
			t.Errorf("%s: %v of CPU", tt.name, took)
		} else {
			t.Logf("%s: %d tables, %d errors in %v of CPU", tt.name, n, len(got), took.Round(time.Millisecond))
		}
	}
	deep := tunnelText + "host_name = " + strings.Repeat("[", 10_000_000) + "\n"
	if _, err := Parse("x.toml", []byte(deep)); err == nil || !strings.Contains(err.Error(), "deeper than 64") {
		t.Errorf("ten million brackets: %.200v", err)
	}
}

// cpuTime is what the process has used of all CPUs.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func BenchmarkParse(b *testing.B) {
	data := manySessions(1000, 100)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("many.toml", data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/session")
}
