package gol2tp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/api"
)

// recorder answers as xwire's control socket does, and notes what is asked.
type recorder struct {
	mu     sync.Mutex
	asked  []string
	bodies []api.Keys
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var body api.Keys
	_ = json.NewDecoder(q.Body).Decode(&body)
	r.mu.Lock()
	r.asked, r.bodies = append(r.asked, q.Method+" "+q.URL.Path), append(r.bodies, body)
	r.mu.Unlock()
	if strings.HasSuffix(q.URL.Path, "/sessions") || strings.Contains(q.URL.Path, "/sessions/") {
		_ = json.NewEncoder(w).Encode(api.Session{Port: "access0"})
		return
	}
	_ = json.NewEncoder(w).Encode(api.Tunnel{Origin: api.OriginAPI})
}

func (r *recorder) count(asked string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.asked {
		if a == asked {
			n++
		}
	}
	return n
}

func (r *recorder) body(asked string) api.Keys {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, a := range r.asked {
		if a == asked {
			return r.bodies[i]
		}
	}
	return nil
}

func record(t *testing.T) (*recorder, *api.Client) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	server := &http.Server{Handler: r}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return r, api.NewClient(socket)
}

const lacText = `
[tunnel.lns]
local = "127.0.0.1:1801"
peer = "127.0.0.9:1701"
version = "l2tpv2"
encap = "udp"
hello_timeout = 500
retry_timeout = 200
max_retries = 4
vrf = ""

[tunnel.lns.session.one]
pseudowire = "pppac"
pppoe_session_id = 7
pppoe_peer_mac = [ 0x02, 0, 0, 0, 0, 7 ]
attach = "access0"
`

func startDaemon(t *testing.T, c *api.Client, text string) (stop func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lac.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tunnels, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	d := Daemon{Client: c, Tunnels: tunnels, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Error("the daemon does not stop")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// Debian's xl2tpd as the LNS; xwire's part is a recorder.
func TestDial(t *testing.T) {
	if !withXl2tpd(t) {
		return
	}
	lns := startXl2tpd(t, "127.0.0.9")
	r, client := record(t)
	stop := startDaemon(t, client, lacText)
	const tunnel, sessions, session = "POST /v1/tunnels", "POST /v1/tunnels/lns/sessions", "DELETE /v1/tunnels/lns/sessions/one"
	until(t, "the session is created", func() bool { return r.count(sessions) >= 1 })
	for key, want := range map[string]any{"name": "lns", "version": "l2tpv2", "encap": "udp", "local": "127.0.0.1:1801", "peer": "127.0.0.9:1701", "vrf": ""} {
		if got := r.body(tunnel)[key]; got != want {
			t.Errorf("tunnel's %s is %v, want %v", key, got, want)
		}
	}
	for key, want := range map[string]any{"name": "one", "pseudowire": "pppac", "pppoe_session_id": 7.0, "pppoe_peer_mac": "02:00:00:00:00:07", "attach": "access0"} {
		if got := r.body(sessions)[key]; got != want {
			t.Errorf("session's %s is %v, want %v", key, got, want)
		}
	}
	for _, key := range []string{"sid", "psid"} {
		if n, _ := r.body(sessions)[key].(float64); n < 1 || n > 65535 {
			t.Errorf("session's %s is %v", key, r.body(sessions)[key])
		}
	}
	// go-l2tp's own keepalive would end the tunnel after 0.5 + 3 s.
	time.Sleep(5 * time.Second)
	if n := r.count("DELETE /v1/tunnels/lns"); n != 0 {
		t.Fatalf("the tunnel to a healthy peer was deleted %d times", n)
	}
	if err := lns.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the tunnel to a dead peer is deleted", func() bool { return r.count("DELETE /v1/tunnels/lns") >= 1 })
	if err := lns.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, "it is dialed again", func() bool { return r.count(sessions) >= 2 })
	before := r.count("DELETE /v1/tunnels/lns")
	stop()
	if n := r.count("DELETE /v1/tunnels/lns"); n != before+1 || r.count(session) == 0 {
		t.Errorf("the stop left tunnel or session: %s", fmt.Sprint(r.asked))
	}
}

func TestLoad(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"static", "[tunnel.a]\nversion = \"l2tpv3\"\npeer = \"127.0.0.1:1701\"\n", "tunnel a: only dynamic L2TPv2"},
		{"top", "speed = 1\n", "speed"},
	} {
		path := filepath.Join(t.TempDir(), "lac.toml")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
