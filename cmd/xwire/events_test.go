package main

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
)

func TestEventsCommand(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 0, 0, 250e6, time.Local)
	list := []api.Event{
		{Time: at, Type: api.EventCreated, Kind: "session", Tunnel: "paris", Session: "a", Origin: api.OriginAPI},
		{Time: at, Type: api.EventModified, Kind: "tunnel", Tunnel: "paris", Keys: []string{"peer", "ttl"}, Origin: api.OriginFile},
		{Time: at, Type: api.EventDeleted, Kind: "port", Port: "ac0"},
		{Time: at, Type: api.EventDown, Kind: "session", Tunnel: "paris", Session: "a", Origin: api.OriginFile, Reason: "port ac0: no carrier"},
		{Time: at, Type: api.EventPeerUnreachable, Kind: "tunnel", Tunnel: "paris", Origin: api.OriginFile, Reason: "no route"},
		{Time: at, Type: api.EventReloaded, Kind: "appliance", Count: 3},
		{Time: at, Type: api.EventLost, Count: 9},
	}
	socket := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i, e := range list {
			if i == 2 {
				_, _ = w.Write([]byte("\n")) // as when nothing happens
			}
			_ = json.NewEncoder(w).Encode(e)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })

	status, out, errs := call(t, "events", "--control", socket, "-c", "7")
	want := []string{
		"created session paris/a: created through the API", "modified tunnel paris: peer, ttl", "deleted port ac0", "down session paris/a: port ac0: no carrier",
		"peer_unreachable tunnel paris: no route", "reloaded appliance: 3 changes", "lost: 9 events",
	}
	if got := strings.ReplaceAll(out, "09:00:00.250 ", ""); status != statusSuccess || got != strings.Join(want, "\n")+"\n" {
		t.Errorf("status %d %s:\n%s", status, errs, got)
	}
	status, out, _ = call(t, "events", "--control", socket, "--json", "--count", "1")
	var e api.Event
	if json.Unmarshal([]byte(out), &e) != nil || status != statusSuccess || e.Session != "a" || strings.Count(out, "\n") != 1 {
		t.Errorf("as JSON: status %d, %s", status, out)
	}
	if status, _, errs = call(t, "events", "--control", socket); status != statusFailure || !strings.Contains(errs, "xwire has ended") {
		t.Errorf("after the end of xwire: status %d, %s", status, errs)
	}
	if status, _, _ = call(t, "events", "--count", "-1"); status != statusUsage {
		t.Errorf("a count that is none: status %d", status)
	}
}
