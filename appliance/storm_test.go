package appliance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"xwire/appliance/api"
)

const (
	stormClients = 25
	stormSteps   = 40 // each
)

// A thousand changes at once, some by clients that are gone before their request is whole or before it is
// answered, while frames of a session that nobody changes flow: none of these is lost, and what runs is
// what the clients were told.
func TestThousandChangesAtOnce(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, requestText)
	ctx := t.Context()
	until(t, "session is up", func() bool {
		s, err := c.TunnelSession(ctx, "file", "one", false)
		return err == nil && s.State == "up"
	})
	stop := flood(t)
	clients := make([]stormClient, stormClients)
	var all sync.WaitGroup
	began := time.Now()
	for k := range clients {
		s := &clients[k]
		s.t, s.socket, s.client, s.number, s.random = t, a.settings.Control, api.NewClient(a.settings.Control), k, rand.New(rand.NewPCG(1, uint64(k)))
		s.tunnel, s.known, s.unsure = fmt.Sprintf("t%d", k), map[string]bool{}, map[string]bool{}
		all.Go(func() {
			for step := range stormSteps {
				s.step(step)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if _, err := c.Reload(ctx, api.ReloadRequest{}); err != nil { // comes after whatever was asked for before
		t.Fatal(err)
	}
	stayed(t, a)

	there := map[string]bool{}
	list, err := c.Sessions(ctx, api.SessionQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		there[s.Tunnel+"/"+s.Name] = true
		if s.State != "up" && !strings.Contains(s.Reason, "is being resolved") && !strings.Contains(s.Reason, "does not answer") && !strings.Contains(s.Reason, "neighbour") {
			t.Errorf("%s/%s is %s: %s", s.Tunnel, s.Name, s.State, s.Reason)
		}
	}
	done := 0
	for k := range clients {
		done += clients[k].done
		for name, is := range clients[k].known {
			if there[name] != is {
				t.Errorf("client %d was told that session %s is there: %v; it is: %v", k, name, is, there[name])
			}
			delete(there, name)
		}
		for name := range clients[k].unsure {
			delete(there, name)
		}
	}
	if delete(there, "file/one"); len(there) > 0 {
		t.Errorf("sessions that nobody asked for: %v", there)
	}

	// What requests created goes, and leaves nothing. That of a client that has gone may come only now.
	until(t, "what requests created is gone", func() bool {
		list, err := c.Sessions(ctx, api.SessionQuery{Tunnel: "file"})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Origin == api.OriginAPI {
				if err := c.DeleteSession(ctx, s.Tunnel, s.Name); err != nil {
					t.Error(err)
				}
			}
		}
		tunnels, err := c.Tunnels(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, tun := range tunnels {
			if tun.Origin == api.OriginAPI {
				if err := c.DeleteTunnel(ctx, tun.Name); err != nil {
					t.Error(err)
				}
			}
		}
		return len(list) == 1 && len(tunnels) == 1
	})
	stayed(t, a)
	sent, received, twice := stop()
	if received != sent || twice != 0 {
		t.Errorf("of %d frames of the session that nobody changed %d arrived, %d twice; drops: %+v", sent, received, twice, a.Drops())
	}
	if s, err := c.TunnelSession(ctx, "file", "one", false); err != nil || s.TxPackets != sent {
		t.Errorf("it counts %d frames, %d were sent (%v)", s.TxPackets, sent, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.targets) != 1 || len(a.tunnels) != 1 || a.count != 1 || len(a.portNamed("ac0").vlans) != 1 || len(a.clients)+len(a.lost) != 0 {
		t.Errorf("left behind: %d targets, %d tunnels, %d sessions, %v, %v, %v", len(a.targets), len(a.tunnels), a.count, a.portNamed("ac0").vlans, a.clients, a.lost)
	}
	t.Logf("%d requests answered in %v, %d of them changed something; %d frames meanwhile", stormClients*stormSteps, took.Round(time.Millisecond), done, sent)
}
