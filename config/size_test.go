package config

import (
	"bytes"
	"fmt"
	"runtime"
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
