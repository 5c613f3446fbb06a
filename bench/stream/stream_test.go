package stream

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"xwire/bench/lab"
	"xwire/bench/traffic"
	"xwire/config"
	"xwire/l2tp"
)

// programLimit ends the test program with every stack when something hangs.
const programLimit = 20 * time.Minute

func TestMain(m *testing.M) {
	time.AfterFunc(programLimit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("the tests take longer than %v", programLimit))
	})
	os.Exit(m.Run())
}

func TestTrack(t *testing.T) {
	tests := []struct {
		name                                string
		numbers                             []uint64
		count                               uint64
		unique, lost, duplicates, reordered uint64
	}{
		{"in order", []uint64{0, 1, 2, 3}, 4, 4, 0, 0, 0},
		{"one lost", []uint64{0, 1, 3}, 4, 3, 1, 0, 0},
		{"the last lost", []uint64{0, 1, 2}, 4, 3, 1, 0, 0},
		{"no end mark", []uint64{0, 1, 3}, 0, 3, 1, 0, 0},
		{"all lost", nil, 7, 0, 7, 0, 0},
		{"swapped", []uint64{0, 2, 1, 3}, 4, 4, 0, 0, 1},
		{"twice", []uint64{0, 1, 1, 2, 0}, 3, 3, 0, 2, 0},
		{"a gap wider than the window", []uint64{0, 3 * window, 3*window - 1}, 3*window + 1, 3, 3*window - 2, 0, 1},
		{"a gap as wide as the window", []uint64{1, window, window - 1, 1}, 0, 3, window - 2, 1, 1},
		{"very late", []uint64{2 * window, 0}, 0, 2, 2*window - 1, 0, 1},
	}
	for _, tt := range tests {
		var tr track
		for _, n := range tt.numbers {
			tr.take(n)
		}
		tr.count = tt.count
		if tr.unique != tt.unique || tr.lost() != tt.lost || tr.duplicate != tt.duplicates || tr.reordered != tt.reordered {
			t.Errorf("%s: unique %d, lost %d, duplicates %d, reordered %d; want %d, %d, %d, %d", tt.name,
				tr.unique, tr.lost(), tr.duplicate, tr.reordered, tt.unique, tt.lost, tt.duplicates, tt.reordered)
		}
	}
}

const sessions = `
[port.core0]
interface = "core0"
[port.ac0]
interface = "ac0"

[tunnel.four]
version = "l2tpv3"
encap = "ip"
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 1
ptid = 1
[tunnel.four.session.single]
sid = 100
psid = 200
tx_cookie = "0102030405060708"
rx_cookie = "1112131415161718"
l2spec_type = "default"
attach = "ac0"
vlan = 100
[tunnel.four.session.popped]
sid = 101
psid = 201
tx_cookie = "01020304"
rx_cookie = "11121314"
l2spec_type = "none"
attach = "ac0"
vlan = "200.20"
pw_vlan = "none"
[tunnel.four.session.off]
enabled = false
sid = 102
psid = 202
l2spec_type = "none"
attach = "ac0"
vlan = 300

[tunnel.six]
version = "l2tpv3"
encap = "udp"
local = "[2001:db8::1]:1701"
peer = "[2001:db8::2]:1702"
tid = 2
ptid = 2
[tunnel.six.session.untagged]
sid = 103
psid = 203
l2spec_type = "none"
attach = "ac0"
vlan = "untagged"
pw_vlan = 300
`

func loadSessions(t *testing.T) *config.Config {
	t.Helper()
	return parseSessions(t, sessions)
}

func parseSessions(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestBuildAndParse reads back what the builder makes of every session, size and flow, on both
// sides, and then with a bit turned.
func TestBuildAndParse(t *testing.T) {
	cfg := loadSessions(t)
	for _, side := range []Side{Access, Core} {
		for _, send := range []bool{true, false} {
			plan, err := NewPlan(cfg, side, send, MACs{})
			if err != nil {
				t.Fatal(err)
			}
			if plan.Sessions() != 3 {
				t.Fatalf("%d sessions, want 3", plan.Sessions())
			}
			b := newBuilder(plan, MACs{Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}}, 2, traffic.IMIX, 7)
			for i := range 200 {
				frame := b.next(nil, int64(i))
				var a arrival
				a.parse(frame)
				if a.verdict != whole || a.run != 7 || a.session != uint32(i%3) || a.flow != uint16(i/3%2) || a.number != uint64(i/6) || a.time != int64(i) {
					t.Fatalf("%s frame %d: %+v", side, i, a)
				}
				if plan.misdelivered(&a) {
					t.Fatalf("%s frame %d is misdelivered: %+v", side, i, a)
				}
				// The customer's frame has the size, with its own tags: popped has two, and none inside.
				size := traffic.IMIX[(i%6+i/6)%len(traffic.IMIX)]
				if side == Core {
					l := &plan.lanes[i%3]
					size += l.outer.Overhead() + []int{0, -8, 4}[i%3]
				}
				if len(frame) != size-traffic.FCS {
					t.Fatalf("%s frame %d has %d bytes, want %d", side, i, len(frame), size-traffic.FCS)
				}
				a.session = (a.session + 1) % 3
				if !plan.misdelivered(&a) {
					t.Fatalf("%s frame %d would do for another session", side, i)
				}
				torn := bytes.Clone(frame)
				torn[len(torn)-1-i%20] ^= 1 << (i % 8)
				if a.parse(torn); a.verdict != corrupt {
					t.Fatalf("%s frame %d with a bit turned: verdict %d", side, i, a.verdict)
				}
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	cfg := loadSessions(t)
	if _, err := NewPlan(cfg, "sideways", true, MACs{}); err == nil {
		t.Error("no error for a side that is none")
	}
	if _, err := NewPlan(cfg, Core, true, MACs{}, "four/nobody"); err == nil {
		t.Error("no error for a session that is not there")
	}
	if p, err := NewPlan(cfg, Core, true, MACs{}, "six/untagged"); err != nil || p.Sessions() != 1 {
		t.Errorf("one session by name: %v", err)
	}
}

// Whatever the number of flows, each has frames of all sizes, as many as the mix has.
func TestEveryFlowHasEverySize(t *testing.T) {
	for flows := range 25 {
		flows++
		b := newBuilder(PlainPlan(), MACs{}, flows, traffic.IMIX, 1)
		got := make([]map[int]int, flows)
		for i := range flows * len(traffic.IMIX) {
			flow := i % flows
			if got[flow] == nil {
				got[flow] = map[int]int{}
			}
			got[flow][len(b.next(nil, 0))+traffic.FCS]++
		}
		for flow, sizes := range got {
			if sizes[64] != 7 || sizes[570] != 4 || sizes[1518] != 1 {
				t.Fatalf("of %d flows number %d has %v", flows, flow, sizes)
			}
		}
	}
}

// Sessions that are not seen on one side do not shift the others.
func TestSidesCountAlike(t *testing.T) {
	const more = `
[tunnel.four.session.alone]
sid = 90
psid = 190
l2spec_type = "none"
[tunnel.four.session.onward]
sid = 91
psid = 191
l2spec_type = "none"
attach = "six/back"
[tunnel.four.session.ppp]
sid = 92
psid = 192
l2spec_type = "none"
pseudowire = "ppp"
attach = "ac0"
vlan = 50
pppoe_session_id = 4
pppoe_peer_mac = "02:00:00:00:00:01"
[tunnel.six.session.back]
sid = 93
psid = 193
l2spec_type = "none"
attach = "four/onward"
[tunnel.keyed]
keyed = true
local = "2001:db8::11"
peer = "2001:db8::12"
[tunnel.keyed.session.one]
tx_cookie = "0102030405060708"
rx_cookie = "1112131415161718"
l2spec_type = "none"
attach = "ac0"
vlan = 51
`
	cfg, err := config.Parse("test.toml", []byte(sessions+more))
	if err != nil {
		t.Fatal(err)
	}
	plan := func(side Side, send bool, names ...string) *Plan {
		p, err := NewPlan(cfg, side, send, MACs{}, names...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	from, to := plan(Access, true), plan(Core, false)
	if from.Sessions() != 5 || to.Sessions() != 8 {
		t.Fatalf("%d sessions on the access side and %d on the core side, want 5 and 8", from.Sessions(), to.Sessions())
	}
	for _, l := range from.lanes {
		if other := to.lanes[to.at[l.index]]; other.name != l.name {
			t.Errorf("session %d is %s on one side and %s on the other", l.index, l.name, other.name)
		}
	}
	for _, l := range to.lanes {
		// What enters by four/onward leaves by six/back.
		want := map[string]uint32{"four/onward": 193, "six/back": 191, "keyed/one": 1<<32 - 1}[l.name]
		if want != 0 && l.outer.SessionID != want {
			t.Errorf("%s leaves with session id %d, want %d", l.name, l.outer.SessionID, want)
		}
	}
	in := plan(Core, true)
	if l := in.lanes[in.at[len(in.at)-1]]; l.name != "keyed/one" || l.outer.SessionID == 0 {
		t.Errorf("%s enters with session id %d", l.name, l.outer.SessionID)
	}
	if p := plan(Access, false, "four/alone"); p.Sessions() != 1 || len(p.lanes[0].tags) != 0 {
		t.Error("a local interface's frames have no tags")
	}
	if _, err := NewPlan(cfg, Access, true, MACs{}, "four/single", "four/nobody"); err == nil || !strings.Contains(err.Error(), "four/nobody") {
		t.Errorf("a session that is not there: error %v", err)
	}
}

// A corrupt frame came: it is not lost, too.
func TestCorruptIsNotLost(t *testing.T) {
	b := newBuilder(PlainPlan(), MACs{}, 3, traffic.Mix{128}, 7)
	s := &sink{tracks: map[uint64]*track{}, latency: hdrhistogram.New(1, maxLatency, 3)}
	for i := range 3000 {
		frame := b.next(nil, 1)
		switch i % 100 {
		case 17, 18, 19: // lost
		case 40: // corrupt
			frame[len(frame)-1] ^= 1
			s.take(frame, 2)
		case 60:
			s.take(frame, 2)
			s.take(frame, 2)
		default:
			s.take(frame, 2)
		}
	}
	b.session, b.flow = 0, 0
	for more := true; more; more = !b.step() {
		end := b.end(nil, 1)
		s.take(end, 2)
		end[len(end)-1] ^= 1
		s.take(end, 2) // is no frame of the measurement
	}
	s.finish()
	if text := s.report.Benchmark(Access); !strings.Contains(text, "BenchmarkSink/side=ac/flows=3\t2880\t") || !strings.Contains(text, "\t3.000000 loss-%") {
		t.Errorf("it tells %q", text)
	}
	if r := s.report; r.Lost != 90 || r.Corrupt != 30 || r.Duplicates != 30 || r.Frames != 2880 || r.EndedFlows != 3 {
		t.Errorf("%+v", r)
	}
}

func index(t *testing.T, n *lab.Namespace, name string) (i int) {
	t.Helper()
	err := n.Run(func() error {
		link, err := net.InterfaceByName(name)
		if err == nil {
			i = link.Index
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// exchange runs a sink and then a source.
func exchange(t *testing.T, to, from *lab.Namespace, sink SinkConfig, source SourceConfig) (*SourceReport, *SinkReport) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ready, done := make(chan struct{}), make(chan error, 1)
	var received *SinkReport
	sink.Ready, sink.Limit, sink.CPU, source.CPU = func() { close(ready) }, time.Minute, -1, -1
	go func() {
		done <- to.Run(func() (err error) {
			received, err = Receive(ctx, sink)
			return err
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("the sink ended early: %v", err)
	}
	var sent *SourceReport
	err := from.Run(func() (err error) {
		sent, err = Send(ctx, source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return sent, received
}

// TestOverWire sends over a bare veth pair: all frames come, whole and in order.
func TestOverWire(t *testing.T) {
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
	plan := PlainPlan()
	sent, received := exchange(t, b, a,
		SinkConfig{Interface: index(t, b, "w1"), Plan: plan, Flows: 4},
		SourceConfig{Interface: index(t, a, "w0"), Plan: plan, Flows: 4, Mix: traffic.IMIX, Run: 9, Rate: 5000, Count: 4000})
	if sent.Frames != 4000 || sent.Unsent != 0 || sent.Pps > 5250 {
		t.Errorf("sent: %+v", sent)
	}
	if r := received; r.Frames != 4000 || r.Lost != 0 || r.Duplicates+r.Reordered+r.Corrupt+r.Misdelivered != 0 ||
		r.EndedFlows != 4 || r.Bytes != sent.Bytes || r.Latency == nil || r.Latency.P50 <= 0 {
		t.Errorf("received: %+v", r)
	}
}

// world is a customer, a running xwire, and the peer of its tunnels.
type world struct{ customer, host, peer *lab.Namespace }

func newWorld(t *testing.T, program, config string) *world {
	t.Helper()
	l, err := lab.New(lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{}
	for role, n := range map[string]**lab.Namespace{"customer": &w.customer, "host": &w.host, "peer": &w.peer} {
		if *n, err = l.Namespace(role); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Connect(lab.End{Namespace: w.customer, Name: "eth0", Plain: true}, lab.End{Namespace: w.host, Name: "ac0"}); err != nil {
		t.Fatal(err)
	}
	addrs := func(last string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("192.0.2." + last + "/24"), netip.MustParsePrefix("2001:db8::" + last + "/64")}
	}
	if err := l.Connect(lab.End{Namespace: w.host, Name: "core0", Addrs: addrs("1"), MTU: 1700},
		lab.End{Namespace: w.peer, Name: "eth0", Addrs: addrs("2"), MTU: 1700, Plain: true}); err != nil {
		t.Fatal(err)
	}
	box, err := w.host.Box(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Start(context.Background(), config); err != nil {
		t.Fatal(err)
	}
	waitForTunnels(t, box)
	return w
}

// TestThroughBox sends through a running xwire, for sessions of every kind. Each way has a world of
// its own, for a queue that had a source cannot have a sink in the same process.
func TestThroughBox(t *testing.T) {
	program, err := lab.Build(context.Background(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []struct{ name, config string }{{"ethernet", sessions}, {"ppp", pppSessions}} {
		for _, in := range []Side{Access, Core} {
			t.Run(kind.name+" "+string(in), func(t *testing.T) { throughBox(t, program, kind.config, in) })
		}
	}
}

func throughBox(t *testing.T, program, config string, in Side) {
	cfg, w := parseSessions(t, config), newWorld(t, program, config)
	from, to, out, port := w.customer, w.peer, Core, "ac0"
	if in == Core {
		from, to, out, port = w.peer, w.customer, Access, "core0"
	}
	hostMAC, err := w.host.MAC(port)
	if err != nil {
		t.Fatal(err)
	}
	macs := MACs{Src: l2tp.MAC{2, 0, 0, 0, 0, 9}, Dst: l2tp.MAC(hostMAC)}
	sending, err := NewPlan(cfg, in, true, macs)
	if err != nil {
		t.Fatal(err)
	}
	receiving, err := NewPlan(cfg, out, false, macs)
	if err != nil {
		t.Fatal(err)
	}
	sent, r := exchange(t, to, from,
		SinkConfig{Interface: index(t, to, "eth0"), Plan: receiving, Flows: 6},
		SourceConfig{Interface: index(t, from, "eth0"), Plan: sending, MACs: macs, Flows: 2, Mix: traffic.IMIX, Run: 5, Rate: 3000, Count: 3000})
	if r.Frames != sent.Frames || r.Lost != 0 || r.Duplicates+r.Reordered+r.Corrupt+r.Misdelivered != 0 || r.EndedFlows != 6 {
		t.Errorf("sent %+v\nreceived %+v", sent, r)
	}
}

// waitForTunnels waits until both next hops are known.
func waitForTunnels(t *testing.T, box *lab.Box) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		var status struct {
			TunnelsUp int `json:"tunnels_up"`
		}
		if err := box.Show(context.Background(), &status); err != nil {
			t.Fatal(err)
		}
		if status.TunnelsUp == 2 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d tunnels of 2 are up", status.TunnelsUp)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
