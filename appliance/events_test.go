package appliance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xwire/appliance/api"
)

// TestEvents has each thing happen that there is an event of.
func TestEvents(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, requestText)
	ctx, cancel := context.WithTimeout(t.Context(), 4*soon)
	defer cancel()
	var mu sync.Mutex
	var got []api.Event
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		_ = c.Events(ctx, func(e api.Event) bool {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, e)
			return true
		})
	}()
	defer func() { cancel(); <-reading }()
	until(t, "the reader is there", func() bool { return a.events.listeners.Load() == 1 })
	// saw waits for an event and takes it away; a reason that is asked for is a part of its.
	saw := func(what, reason string) {
		t.Helper()
		until(t, what+" "+reason, func() bool {
			mu.Lock()
			defer mu.Unlock()
			i := slices.IndexFunc(got, func(e api.Event) bool {
				text := strings.Join(strings.Fields(fmt.Sprint(e.Type, " ", e.Kind, " ", e.Port, " ", e.Tunnel, " ", e.Session, " ", e.Origin, " ", strings.Join(e.Keys, " "))), " ")
				return text == what && strings.Contains(e.Reason, reason) && (reason != "") == (e.Reason != "") && !e.Time.IsZero()
			})
			if i >= 0 {
				got = slices.Delete(got, i, i+1)
			}
			return i >= 0
		})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.CreateSession(ctx, "file", "two", api.Keys{"sid": 2, "psid": 2, "attach": "ac0", "vlan": 101})
	must(err)
	saw("created session file two api", "")
	saw("up session file two api", "")
	_, err = c.ModifySession(ctx, "file", "two", api.Keys{"description": "x", "ttl": 9})
	must(err)
	saw("modified session file two api description ttl", "")
	_, err = c.ModifySession(ctx, "file", "two", api.Keys{"enabled": false})
	must(err)
	saw("down session file two api", "not enabled")
	_, err = c.ModifySession(ctx, "file", "two", api.Keys{"enabled": nil})
	must(err)
	saw("up session file two api", "")
	_, err = c.CreateTunnel(ctx, "more", api.Keys{"encap": "ip", "local": "192.0.2.1", "peer": "192.0.2.2", "tid": 2, "ptid": 2})
	must(err)
	saw("created tunnel more api", "")
	saw("up tunnel more api", "")
	must(c.DeleteTunnel(ctx, "more"))
	saw("deleted tunnel more api", "")

	// A next hop that was never there is not lost before the kernel has asked in vain.
	_, err = c.CreateTunnel(ctx, "mute", api.Keys{"encap": "ip", "local": "192.0.2.1", "peer": "192.0.2.77", "tid": 3, "ptid": 3})
	must(err)
	saw("created tunnel mute api", "")
	saw("neighbour_lost tunnel mute api", "does not answer")
	mu.Lock()
	for _, e := range got {
		if e.Tunnel == "mute" {
			t.Errorf("%+v before", e)
		}
	}
	mu.Unlock()
	must(c.DeleteTunnel(ctx, "mute"))
	saw("deleted tunnel mute api", "")

	command(t, "ip link set ac0 down")
	saw("down port ac0", "ac0")
	saw("down session file two api", "port ac0: ")
	command(t, "ip link set ac0 up")
	saw("up port ac0", "")
	saw("up session file two api", "")
	mu.Lock()
	got = nil // the tunnel's first up among them
	mu.Unlock()
	command(t, "ip neigh del 192.0.2.2 dev core0")
	saw("neighbour_lost tunnel file file", "192.0.2.2 ")
	saw("down session file two api", "192.0.2.2 ")
	command(t, "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev core0")
	saw("up tunnel file file", "")
	command(t, "ip addr del 192.0.2.1/24 dev core0")
	saw("peer_unreachable tunnel file file", "192.0.2.1 is no address")
	must(c.DeleteSession(ctx, "file", "two"))
	saw("deleted session file two api", "")

	rewrite(t, a, "interface = \"ac0\"\n", "interface = \"ac0\"\nl2cp = \"drop\"\n")
	_, err = c.Reload(ctx, api.ReloadRequest{ConfirmWithin: 0.2})
	must(err)
	saw("reloaded appliance", "")
	saw("modified port ac0 l2cp", "")
	saw("rolled_back appliance", "not confirmed")
	_, err = c.Reload(ctx, api.ReloadRequest{ConfirmWithin: 60})
	must(err)
	must(c.Confirm(ctx))
	saw("confirmed appliance", "")
	_, err = c.Reload(ctx, api.ReloadRequest{ConfirmWithin: 60})
	must(err)
	r, err := c.Reload(ctx, api.ReloadRequest{}) // confirms it too, and says so
	must(err)
	saw("confirmed appliance", "")
	if !r.Confirmed {
		t.Errorf("a reload while another waits for its confirmation: %+v", r)
	}
}

// TestSlowEventReader: a reader that is too slow is told how much it missed, and holds up nobody.
func TestSlowEventReader(t *testing.T) {
	var e events
	slow, leave := e.listen()
	defer leave()
	const surplus = 10
	for range eventRoom + surplus {
		e.publish(api.Event{Type: api.EventUp})
	}
	for range eventRoom {
		if v := <-slow; v.Type != api.EventUp {
			t.Fatalf("%+v in place of an event", v)
		}
	}
	e.publish(api.Event{Type: api.EventDown})
	if v := <-slow; v.Type != api.EventLost || v.Count != surplus {
		t.Errorf("%+v, want %d lost", v, surplus)
	}
	if v := <-slow; v.Type != api.EventDown {
		t.Errorf("%+v, want the event after them", v)
	}
}

// TestServerSentEvents: what a browser's EventSource, or curl, gets.
func TestServerSentEvents(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, requestText)
	conn, err := net.Dial("unix", a.settings.Control)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/events HTTP/1.1\r\nHost: xwire\r\nAccept: text/event-stream, */*\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%+v, %v", res, err)
	}
	defer res.Body.Close()
	defer conn.Close() // first, or the rest of the answer is waited for
	if err := c.DeleteSession(t.Context(), "file", "one"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	for in := bufio.NewScanner(res.Body); ; {
		if !in.Scan() {
			t.Fatalf("no event of the session: %v", in.Err())
		}
		var e api.Event
		text, ok := strings.CutPrefix(in.Text(), "data: ")
		if in.Text() != "" && (!ok || json.Unmarshal([]byte(text), &e) != nil) {
			t.Fatalf("a line %q", in.Text())
		}
		if e.Type == api.EventDeleted && e.Session == "one" {
			return
		}
	}
}
