package appliance

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/config"
)

const requestText = `
[port.core0]
interface = "core0"
[port.ac0]
interface = "ac0"
[tunnel.file]
encap = "ip"
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 1
ptid = 1
[tunnel.file.session.one]
sid = 1
psid = 1
l2spec_type = "none"
attach = "ac0"
vlan = 100
`

// rig is an appliance on two veth pairs, core0 and ac0, with a client whose answers are compared with the
// description.
func rig(t *testing.T, text string) (*Appliance, *api.Client) {
	t.Helper()
	for _, name := range []string{"core0", "ac0"} {
		command(t, "ip link add "+name+" type veth peer name far-"+name)
		command(t, "ip link set "+name+" up")
		command(t, "ip link set far-"+name+" up")
	}
	command(t, "ip addr add 192.0.2.1/24 dev core0")
	command(t, "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev core0")
	a, _, _ := launch(t, text)
	_, c := witnessed(t, a)
	return a, c
}

func code(err error) string {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestRequests(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, requestText)
	ctx := t.Context()
	session := func(more api.Keys) api.Keys {
		k := api.Keys{"sid": 7, "psid": 70, "l2spec_type": "none"}
		for name, v := range more {
			k[name] = v
		}
		return k
	}
	tunnel := api.Keys{"encap": "udp", "local": "192.0.2.1:1701", "peer": "192.0.2.2:1701", "tid": 5, "ptid": 50}

	for _, tt := range []struct {
		name string
		do   func() error
		code string
	}{
		{"tunnel", func() error { _, err := c.CreateTunnel(ctx, "t", tunnel); return err }, ""},
		{"tunnel again", func() error { _, err := c.CreateTunnel(ctx, "t", tunnel); return err }, api.CodeTunnelExists},
		{"tunnel of the same id", func() error { _, err := c.CreateTunnel(ctx, "u", tunnel); return err }, api.CodeClash},
		{"bad name", func() error { _, err := c.CreateTunnel(ctx, "a/b", tunnel); return err }, api.CodeInvalidConfig},
		{"bad key", func() error { _, err := c.CreateTunnel(ctx, "u", api.Keys{"locale": "x"}); return err }, api.CodeInvalidConfig},
		{"no name", func() error { _, err := c.CreateTunnel(ctx, "", tunnel); return err }, api.CodeInvalidConfig},
		{"session on a port", func() error {
			_, err := c.CreateSession(ctx, "t", "s", session(api.Keys{"attach": "ac0", "vlan": "200.5"}))
			return err
		}, ""},
		{"session again", func() error { _, err := c.CreateSession(ctx, "t", "s", session(nil)); return err }, api.CodeSessionExists},
		{"session of the same id", func() error { _, err := c.CreateSession(ctx, "t", "r", session(nil)); return err }, api.CodeClash},
		{"session in no tunnel", func() error { _, err := c.CreateSession(ctx, "no", "r", session(nil)); return err }, api.CodeNoSuchTunnel},
		{"VLAN of another", func() error {
			_, err := c.CreateSession(ctx, "t", "r", session(api.Keys{"sid": 8, "attach": "ac0", "vlan": "90-110"}))
			return err
		}, api.CodeClash},
		{"VLAN over a pair of another", func() error {
			_, err := c.CreateSession(ctx, "t", "r", session(api.Keys{"sid": 8, "attach": "ac0", "vlan": 200}))
			return err
		}, api.CodeClash},
		{"whole port", func() error {
			_, err := c.CreateSession(ctx, "t", "r", session(api.Keys{"sid": 8, "attach": "ac0", "vlan": "all"}))
			return err
		}, api.CodeClash},
		{"no such port", func() error {
			_, err := c.CreateSession(ctx, "t", "r", session(api.Keys{"sid": 8, "attach": "ac9", "vlan": "all"}))
			return err
		}, api.CodeInvalidConfig},
		{"local interface", func() error {
			_, err := c.CreateSession(ctx, "t", "l", session(api.Keys{"sid": 9, "interface_name": "loc0"}))
			return err
		}, ""},
		{"local interface of another", func() error {
			_, err := c.CreateSession(ctx, "file", "l", session(api.Keys{"sid": 9, "interface_name": "loc0"}))
			return err
		}, api.CodeClash},
		{"interface that is not ours", func() error {
			_, err := c.CreateSession(ctx, "t", "r", session(api.Keys{"sid": 10, "interface_name": "far-ac0"}))
			return err
		}, api.CodeInterface},
		{"cookies of a session of the file", func() error {
			_, err := c.ModifySession(ctx, "file", "one", api.Keys{"rx_cookie": []string{"0102030405060708", "1112131415161718"}, "tx_cookie": "2122232425262728"})
			return err
		}, ""},
		{"id of another", func() error { _, err := c.ModifySession(ctx, "t", "l", api.Keys{"sid": 7}); return err }, api.CodeClash},
		{"peer", func() error { _, err := c.ModifyTunnel(ctx, "t", api.Keys{"peer": "192.0.2.3:1701"}); return err }, ""},
		{"no such session", func() error { return c.DeleteSession(ctx, "t", "none") }, api.CodeNoSuchSession},
	} {
		err := tt.do()
		if got := code(err); got != tt.code && (err != nil || tt.code != "") {
			t.Errorf("%s: code %q (%v), want %q", tt.name, got, err, tt.code)
		}
	}

	s, err := c.TunnelSession(ctx, "file", "one", true)
	if err != nil || s.Origin != api.OriginFile || !slices.Equal(s.PeerCookie, []string{"0102030405060708", "1112131415161718"}) || s.Cookie != "2122232425262728" || s.Config["vlan"] != "100" {
		t.Errorf("session of the file: %+v, %v", s, err)
	}
	if spec, ok := a.table.Session(a.sessionAt("file/one").id); !ok || spec.RxCookieCount != 2 {
		t.Errorf("in the table: %+v", spec)
	}
	if s, err = c.TunnelSession(ctx, "t", "s", false); err != nil || s.Origin != api.OriginAPI || s.Port != "ac0" || s.VLAN != "200.5" || s.Config["tx_cookie"] != nil {
		t.Errorf("session by request: %+v, %v", s, err)
	}
	tun, err := c.Tunnel(ctx, "t")
	if err != nil || tun.Peer != "192.0.2.3" || tun.Origin != api.OriginAPI || tun.SessionCount != 2 || tun.Config["tid"] != 5.0 {
		t.Errorf("tunnel by request: %+v, %v", tun, err)
	}
	command(t, "ip link show loc0")
	text, err := c.Config(ctx)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shown.toml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	shown, err := config.Load(file)
	if err != nil {
		t.Fatalf("what is shown does not load: %v\n%s", err, text)
	}
	a.mu.Lock()
	for _, change := range config.Compare(a.running(), shown).Changes() {
		if len(change.Keys) > 0 || change.Action != "changed" { // all but what they come from
			t.Errorf("what is shown differs: %+v", change)
		}
	}
	a.mu.Unlock()

	if err := c.DeleteSession(ctx, "t", "l"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/sys/class/net/loc0"); err == nil {
		// sysfs may be of another namespace: ask netlink
		t.Log("sysfs still shows loc0")
	}
	if err := c.DeleteTunnel(ctx, "t"); err != nil {
		t.Error(err)
	}
	if _, err := c.Tunnel(ctx, "t"); code(err) != api.CodeNoSuchTunnel {
		t.Errorf("deleted tunnel: %v", err)
	}
	st, err := c.Status(ctx)
	if err != nil || st.Sessions != 1 || st.Tunnels != 1 {
		t.Errorf("status: %+v, %v", st, err)
	}
	a.mu.Lock()
	if len(a.targets) != 1 || len(a.portNamed("ac0").vlans) != 1 || len(a.index.ids) != 1 {
		t.Errorf("left behind: %d targets, %v, %d ids", len(a.targets), a.portNamed("ac0").vlans, len(a.index.ids))
	}
	a.mu.Unlock()
}

// A request whose text is none, or is of no end, is refused; nothing changes.
func TestBadRequests(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, _ := rig(t, requestText)
	for _, text := range []string{"", "[]", "null", "{", `{"name": 7}`, `{"name": "x"} {}`, `{"name": "x", "sid": 1.5, "psid": 1}`, `{"name": "` + strings.Repeat("x", 20<<20) + `"}`} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://xwire/v1/tunnels/file/sessions", strings.NewReader(text))
		w := &recorder{header: http.Header{}}
		a.control().ServeHTTP(w, r)
		if w.status/100 != 4 || !strings.Contains(w.text.String(), `"code"`) || strings.Contains(w.text.String(), "request: EOF") || strings.Contains(w.text.String(), "interface {}") {
			t.Errorf("%.40q: status %d, %s", text, w.status, w.text.String())
		}
	}
	if st := a.Status(); st.Sessions != 1 {
		t.Errorf("%d sessions", st.Sessions)
	}
}

// Who creates or changes something gets it as it was then, whoever removes it next.
func TestAnswerOfItsTurn(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	_, c := rig(t, requestText)
	ctx, done := t.Context(), make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			_ = c.DeleteSession(ctx, "file", "brief")
		}
	}()
	for created := 0; ; {
		s, err := c.CreateSession(ctx, "file", "brief", api.Keys{"sid": 7, "psid": 7, "l2spec_type": "none", "attach": "ac0", "vlan": 107})
		switch code(err) {
		case fmt.Sprint(nil):
			if created++; s.Name != "brief" {
				t.Fatalf("%d: %+v", created, s)
			}
		case api.CodeSessionExists:
		default:
			t.Fatalf("after %d: %v", created, err)
		}
		select {
		case <-done:
			if created == 0 {
				t.Error("none was created")
			}
			return
		default:
		}
	}
}

// Whatever name the configuration takes, requests find.
func TestOddNames(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	_, c := rig(t, requestText)
	ctx := t.Context()
	for i, name := range []string{"a b", "\u00fc", "50%", "%2e%2e", "a?b#c", "a+b&c=d", "{tunnel}", "...", `q"u'o\`, "sessions", "\U0001f980"} {
		keys := api.Keys{"encap": "ip", "local": "192.0.2.1", "peer": "192.0.2.2", "tid": 100 + i, "ptid": 1, "session": api.Keys{name: api.Keys{"sid": 100 + i, "psid": 1, "attach": "ac0", "vlan": 1000 + i}}}
		if _, err := c.CreateTunnel(ctx, name, keys); err != nil {
			t.Errorf("tunnel %q: %v", name, err)
			continue
		}
		if v, err := c.Tunnel(ctx, name); err != nil || v.Name != name {
			t.Errorf("tunnel %q: %q, %v", name, v.Name, err)
		}
		if v, err := c.ModifySession(ctx, name, name, api.Keys{"description": name}); err != nil || v.Name != name || v.Description != name {
			t.Errorf("session %q: %q, %v", name, v.Name, err)
		}
		if v, err := c.Session(ctx, name+"/"+name, false); err != nil || v.Description != name {
			t.Errorf("session by path %q: %q, %v", name, v.Name, err)
		}
		if err := c.DeleteSession(ctx, name, name); err != nil {
			t.Errorf("session %q: %v", name, err)
		}
		if err := c.DeleteTunnel(ctx, name); err != nil {
			t.Errorf("tunnel %q: %v", name, err)
		}
	}
	for _, name := range []string{".", "..", "a/b", "a\nb", strings.Repeat("x", 256)} {
		if _, err := c.CreateTunnel(ctx, name, api.Keys{}); code(err) != api.CodeInvalidConfig {
			t.Errorf("tunnel %q: %v", name, err)
		}
	}
}

type recorder struct {
	header http.Header
	status int
	text   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.text.Write(b) }
