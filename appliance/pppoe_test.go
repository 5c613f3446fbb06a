package appliance

import (
	"fmt"
	"testing"

	"xwire/appliance/api"
)

// TestPPPoERequests asks for circuits beside PPPoE sessions, of which one VLAN has several: what is somebody's
// is refused, whoever came last.
func TestPPPoERequests(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, requestText)
	ctx := t.Context()
	until(t, "ports are open", func() bool { s, _ := a.Session("file", "one", false); return s.State == "up" })
	next := 10
	create := func(vlan any, pppoe int) error {
		keys := api.Keys{"sid": next, "psid": next, "l2spec_type": "none", "attach": "ac0", "vlan": vlan}
		if pppoe != 0 {
			keys["pseudowire"], keys["pppoe_session_id"], keys["pppoe_peer_mac"] = "pppac", pppoe, "02:00:00:00:00:01"
		}
		next++
		s, err := c.CreateSession(ctx, "file", fmt.Sprint("s", next-1), keys)
		if err == nil && s.State != "up" {
			t.Errorf("VLAN %v PPPoE %d: %s: %s", vlan, pppoe, s.State, s.Reason)
		}
		return err
	}
	for _, step := range []struct {
		vlan  any
		pppoe int
		code  string
	}{
		{200, 1, ""}, {200, 2, ""}, {200, 3, ""}, // s10, s11, s12
		{200, 1, api.CodeClash}, {200, 3, api.CodeClash}, {200, 0, api.CodeClash}, {"200.5", 0, api.CodeClash},
		{"200.5", 1, ""}, {"200.5", 2, ""}, {"200.5", 1, api.CodeClash}, {"200.5", 0, api.CodeClash}, {"200.6", 0, api.CodeClash},
		{"190-210", 0, api.CodeClash}, {"all", 0, api.CodeClash}, {100, 1, api.CodeClash}, {"100.5", 1, api.CodeClash},
	} {
		err := create(step.vlan, step.pppoe)
		if step.code == "" && err != nil || step.code != "" && code(err) != step.code {
			t.Errorf("VLAN %v PPPoE %d: %v, want %q", step.vlan, step.pppoe, err, step.code)
		}
	}
	for _, name := range []string{"s12", "s10"} {
		if err := c.DeleteSession(ctx, "file", name); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(200, 0); code(err) != api.CodeClash {
		t.Errorf("Ethernet where one PPPoE session is left: %v", err)
	}
	if err := create(200, 1); err != nil {
		t.Errorf("PPPoE session that was given up: %v", err)
	}
}
