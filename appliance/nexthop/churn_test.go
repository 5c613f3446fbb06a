package nexthop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"xwire/appliance/nexthop"
)

// A full table of another's routes must neither delay our own change nor ask about our keys.
func TestRouteChurn(t *testing.T) {
	l := newLab(t)
	twoWays(l)
	f := l.follow("p0", "p1")
	k := key("198.51.100.7", "192.0.2.1")
	f.Add(k)
	f.await(k, "resolved", resolved)
	before := f.Lookups()
	const routes = 20000
	var add, del strings.Builder
	for i := range routes {
		fmt.Fprintf(&add, "route add 10.%d.%d.0/24 via 203.0.114.2\n", i>>8, i&255)
		fmt.Fprintf(&del, "route del 10.%d.%d.0/24\n", i>>8, i&255)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.batch(add.String())
		l.batch(del.String())
	}()
	time.Sleep(20 * time.Millisecond)
	ways := []struct{ gateway, dev string }{{"203.0.113.2", "p1"}, {"203.0.114.2", "p0"}}
	changes := 0
	for running := true; running; changes++ {
		way := ways[changes%2]
		l.ip("route replace 198.51.100.0/24 via %s dev %s", way.gateway, way.dev)
		f.await(k, "during churn", func(h nexthop.Hop) bool { return resolved(h) && h.Ifindex == l.index(way.dev) })
		select {
		case <-done:
			running = false
		default:
		}
	}
	if asked := f.Lookups() - before; asked > uint64(4*changes)+20 {
		t.Errorf("%d lookups for %d changes of our route: the other routes were asked about", asked, changes)
	}
}

// The default route moves under many keys.
func TestManyKeys(t *testing.T) {
	l := newLab(t)
	twoWays(l)
	l.ip("route add default via 203.0.114.2 dev p0")
	f := l.follow("p0", "p1")
	const n = 100_000
	keys := make([]nexthop.Key, n)
	for i := range keys {
		keys[i] = key(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "192.0.2.1")
	}
	start := time.Now()
	f.Set(keys)
	all := func(dev string) func() bool {
		index := l.index(dev)
		return func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.last) != n {
				return false
			}
			for _, h := range f.last {
				if h.Ifindex != index || h.State != nexthop.Resolved {
					return false
				}
			}
			return true
		}
	}
	wait := func(what string, start time.Time, ok func() bool) {
		for !ok() {
			if time.Since(start) > 3*time.Minute {
				t.Fatalf("%s: not within three minutes", what)
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("%s: %v", what, time.Since(start).Round(time.Millisecond))
	}
	wait("100,000 keys looked up", start, all("p0"))
	start = time.Now()
	l.ip("route replace default via 203.0.113.2 dev p1")
	wait("100,000 keys moved", start, all("p1"))
	start = time.Now()
	l.ipnet("link set n1 address 02:00:00:00:99:02")
	wait("gateway of 100,000 keys changed its MAC", start, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, h := range f.last {
			if macString(h.Dst) != "02:00:00:00:99:02" {
				return false
			}
		}
		return true
	})
	start = time.Now()
	f.Set(keys[:1])
	t.Logf("forgotten: %v", time.Since(start).Round(time.Millisecond))
	if got := len(f.Snapshot()); got != 1 {
		t.Errorf("Snapshot has %d hops after Set of one key", got)
	}
}

// Notifications that the kernel had to throw away are made up for by reading everything anew.
func TestLostNotifications(t *testing.T) {
	l := newLab(t)
	twoWays(l)
	f := l.follow("p0", "p1")
	k := key("198.51.100.7", "192.0.2.1")
	f.Add(k)
	f.await(k, "resolved", resolved)
	before := f.Syncs()
	release := f.Stall()
	var lines strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&lines, "route add 10.%d.%d.0/24 via 203.0.114.2\n", i>>8, i&255)
	}
	l.batch(lines.String())
	l.ip("route replace 198.51.100.0/24 via 203.0.113.2 dev p1")
	l.ip("link set p1 mtu 1444")
	l.ip("neigh replace 203.0.113.2 lladdr 02:00:00:00:77:77 dev p1 nud permanent")
	release()
	f.await(k, "all changes seen", func(h nexthop.Hop) bool {
		return resolved(h) && h.Ifindex == l.index("p1") && h.MTU == 1444 && macString(h.Dst) == "02:00:00:00:77:77"
	})
	if f.Syncs() == before {
		t.Error("the tables were not read anew: the test lost nothing")
	}
}
