package appliance

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
)

// Clients that ask and never read, or never finish what they say, hold up nobody and nothing: others'
// requests are answered as ever, and readers of events hear all.
func TestClientsThatDoNotRead(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	var text strings.Builder
	text.WriteString(requestText)
	for n := range 1000 {
		fmt.Fprintf(&text, "[tunnel.file.session.many%d]\nsid = %d\npsid = 1\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = \"200.%d\"\n", n, 5000+n, 1+n)
	}
	a, c := rig(t, text.String())
	ctx := t.Context()
	say := func(count int, text string) {
		t.Helper()
		for range count {
			conn, err := net.Dial("unix", a.settings.Control)
			if err == nil {
				t.Cleanup(func() { conn.Close() })
				_, err = conn.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: xwire\r\n\r\n" }
	say(60, get("/v1/sessions"))
	say(60, get("/v1/config"))
	say(20, get("/v1/events"))
	say(20, strings.Repeat(get("/v1/tunnels/file"), 400))
	say(20, "POST /v1/tunnels HTTP/1.1\r\nHost: xwire\r\nContent-Length: 100000\r\n\r\n{\"name\": \"half")
	say(20, "POST /v1/reload HTTP/1.1\r\nHost: xwire\r\nContent-Length: 100000\r\n\r\n{")
	say(20, "GET /v1/sess")

	const changes = 200
	heard := make(chan int, 1)
	listening := make(chan struct{})
	go func() {
		n := 0
		_ = c.Events(ctx, func(e api.Event) bool {
			switch {
			case e.Type == api.EventReloaded && n == 0:
				select {
				case <-listening:
				default:
					close(listening)
				}
			case e.Type == api.EventCreated && strings.HasPrefix(e.Session, "asked"):
				n++
			}
			return n < changes
		})
		heard <- n
	}()
	until(t, "a reader of events is there", func() bool {
		if _, err := c.Reload(ctx, api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-listening:
			return true
		default:
			return false
		}
	})
	slowest := time.Duration(0)
	for n := range changes {
		began := time.Now()
		if _, err := c.CreateSession(ctx, "file", fmt.Sprintf("asked%d", n), api.Keys{"sid": 10_000 + n, "psid": 1, "l2spec_type": "none", "attach": "ac0", "vlan": fmt.Sprintf("300.%d", 1+n)}); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(began))
	}
	if slowest >= clientPatience {
		t.Errorf("a request took %v beside clients that do not read", slowest)
	}
	// More events than any socket takes: those who do not read miss them.
	for range 4 * eventRoom {
		a.events.publish(api.Event{Type: api.EventModified, Kind: "session", Reason: strings.Repeat("x", 100)})
	}
	select {
	case n := <-heard:
		if n != changes {
			t.Errorf("heard of %d changes, want %d", n, changes)
		}
	case <-time.After(soon):
		t.Error("a reader of events that reads does not hear all")
	}
	stayed(t, a)
	began := time.Now()
	for a.events.listeners.Load() > 0 && time.Since(began) < clientPatience+soon {
		time.Sleep(100 * time.Millisecond)
	}
	if n := a.events.listeners.Load(); n > 0 {
		t.Errorf("%d readers of events that take none are still waited for", n)
	}
	t.Logf("the slowest request took %v", slowest.Round(time.Millisecond))
}
