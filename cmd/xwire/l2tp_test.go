package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"xwire/appliance/api"
)

// fakeControl has two tunnels and three sessions, and notes what it is asked to change.
type fakeControl struct {
	asked  []string
	refuse *api.Error
}

func (f *fakeControl) listen(t *testing.T) string {
	yes, no := true, false
	tunnels := []api.Tunnel{
		{Name: "l2tp-1", Enabled: true, TunnelID: 1, PeerTunnel: 2, Encap: "udp", Local: "192.0.2.1", Peer: "192.0.2.2", LocalPort: 5000, PeerPort: 6000, Checksum: &no},
		{Name: "file", Enabled: true, TunnelID: 3, PeerTunnel: 4, Encap: "ip", Local: "2001:db8::1", Peer: "2001:db8::2", ChecksumTx: &yes},
		{Name: "off", TunnelID: 5},
	}
	sessions := []api.Session{
		{Name: "l2tpeth0", Tunnel: "l2tp-1", Enabled: true, SessionID: 10, TunnelID: 1, PeerSessionID: 11, PeerTunnelID: 2, Interface: "l2tpeth0", Cookie: "01020304", PeerCookie: []string{"1112131415161718", "2122232425262728"}},
		{Name: "a", Tunnel: "file", Enabled: true, SessionID: 30, TunnelID: 3, PeerSessionID: 31, PeerTunnelID: 4, Port: "access0"},
		{Name: "b", Tunnel: "file", SessionID: 0, TunnelID: 3},
	}
	mux := http.NewServeMux()
	list := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(v) }
	}
	mux.HandleFunc("GET /v1/tunnels", list(tunnels))
	mux.HandleFunc("GET /v1/status", list(api.Status{PID: os.Getpid()}))
	mux.HandleFunc("GET /v1/sessions", func(w http.ResponseWriter, r *http.Request) {
		found := []api.Session{}
		for _, s := range sessions {
			if tunnel := r.URL.Query().Get("tunnel"); tunnel == "" || tunnel == s.Tunnel {
				if r.URL.Query().Get("cookies") != "1" {
					s.Cookie, s.PeerCookie = "", nil
				}
				found = append(found, s)
			}
		}
		_ = json.NewEncoder(w).Encode(found)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.asked = append(f.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
		if f.refuse != nil {
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(f.refuse)
			return
		}
		_, _ = w.Write([]byte("{}"))
	})
	socket := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return socket
}

func TestL2TPAsks(t *testing.T) {
	for _, c := range []struct {
		words string
		want  []string
	}{
		{"l2tp add tunnel tunnel_id 7 peer_tunnel_id 8 encap ip local 10.1.1.1 remote 10.1.2.1",
			[]string{`POST /v1/tunnels {"encap":"ip","local":"10.1.1.1","name":"l2tp-7","peer":"10.1.2.1","ptid":8,"tid":7,"version":"l2tpv3"}`}},
		{"l2tp a tunnel tid 7 ptid 8 local 10.1.1.1 remote 10.1.2.1 udp_sport 5 udp_dport 6",
			[]string{`POST /v1/tunnels {"encap":"udp","local":"10.1.1.1:5","name":"l2tp-7","peer":"10.1.2.1:6","ptid":8,"tid":7,"udp_checksum":false,"version":"l2tpv3"}`}},
		{"l2tp add tunnel tid 7 ptid 8 local fd00::1 remote fd00::2 udp_sport 5 udp_dport 6 udp6_csum_rx off",
			[]string{`POST /v1/tunnels {"encap":"udp","local":"[fd00::1]:5","name":"l2tp-7","peer":"[fd00::2]:6","ptid":8,"tid":7,"udp6_checksum_tx":true,"udp6_zero_checksum_rx":true,"version":"l2tpv3"}`}},
		{"l2tp add session name l2tp4 tunnel_id 1 session_id 20 peer_session_id 21 cookie 01020304 l2spec_type none",
			[]string{`POST /v1/tunnels/l2tp-1/sessions {"interface_name":"l2tp4","l2spec_type":"none","name":"l2tp4","pseudowire":"eth","psid":21,"sid":20,"tx_cookie":"01020304"}`}},
		{"l2tp add session tunnel_id 3 session_id 20 peer_session_id 21 peer_cookie 0102030405060708",
			[]string{`POST /v1/tunnels/file/sessions {"interface_name":"l2tpeth1","l2spec_type":"default","name":"l2tpeth1","pseudowire":"eth","psid":21,"rx_cookie":"0102030405060708","sid":20}`}},
		{"l2tp del tunnel tunnel_id 1", []string{"DELETE /v1/tunnels/l2tp-1"}},
		{"l2tp del session tunnel_id 3 session_id 30", []string{"DELETE /v1/tunnels/file/sessions/a"}},
		{"-o l2tp del session tunnel_id 3 session_id 30", []string{"DELETE /v1/tunnels/file/sessions/a"}},
	} {
		f := &fakeControl{}
		t.Setenv(controlEnv, f.listen(t))
		status, out, errs := call(t, strings.Fields(c.words)...)
		if status != statusSuccess || out+errs != "" {
			t.Errorf("%s: status %d and\n%s%s, want nothing", c.words, status, out, errs)
		}
		if !reflect.DeepEqual(f.asked, c.want) {
			t.Errorf("%s: asks\n%q, want\n%q", c.words, f.asked, c.want)
		}
	}
}

func TestL2TPPrints(t *testing.T) {
	const tunnels = "Tunnel 1, encap UDP\n  From 192.0.2.1 to 192.0.2.2\n  Peer tunnel 2\n  UDP source / dest ports: 5000/6000\n  UDP checksum: disabled\n"
	const tunnel3 = "Tunnel 3, encap IP\n  From 2001:db8::1 to 2001:db8::2\n  Peer tunnel 4\n"
	const session = "Session 10 in tunnel 1\n  Peer session 11, tunnel 2\n  interface name: l2tpeth0\n  offset 0, peer offset 0\n  cookie 01020304  peer cookie 1112131415161718\n"
	const session30 = "Session 30 in tunnel 3\n  Peer session 31, tunnel 4\n  offset 0, peer offset 0\n\n"
	const usage = "Usage: xwire"
	refused := &api.Error{Code: api.CodeTunnelExists, Text: "tunnel l2tp-7 exists already"}
	for _, c := range []struct {
		words    string
		refuse   *api.Error
		status   int
		out, err string // of err, the beginning
	}{
		{words: "l2tp show tunnel", out: tunnels + tunnel3},
		{words: "l2tp list tunnel tunnel_id 3", out: tunnel3},
		{words: "l2tp show session", out: session + session30},
		{words: "l2tp show session tunnel_id 3", out: session30},
		{words: "l2tp show session session_id 10", out: session},
		{words: "l2tp show session tunnel_id 77"},
		{words: "-j l2tp show session tunnel_id 3", out: `[{"session_id":30,"tunnel_id":3,"peer_session_id":31,"peer_tunnel_id":4}]` + "\n"},
		{words: "-json l2tp show session tunnel_id 77", out: "[]\n"},
		{words: "l2tp show session tunnel_id 77 --json", out: "[]\n"},
		{words: "-p -j l2tp show tunnel tunnel_id 77", out: "[ ]\n"},
		{words: "l2tp add session tunnel_id 77 session_id 1 peer_session_id 2", status: statusFailure, err: "RTNETLINK answers: No such device\nxwire: there is no tunnel of tunnel_id 77\n"},
		{words: "l2tp del session tunnel_id 1 session_id 11", status: statusFailure, err: "RTNETLINK answers: No such device\nxwire: there is no session of session_id 11 in tunnel 1\n"},
		{words: "l2tp del tunnel tunnel_id 5", status: statusFailure, err: "RTNETLINK answers: No such device\n"},
		{words: "l2tp add tunnel tid 7 ptid 8 encap ip local 10.1.1.1 remote 10.1.2.1", refuse: refused, status: statusFailure,
			err: "RTNETLINK answers: File exists\nxwire: tunnel l2tp-7 exists already\n"},
		{words: "l2tp add tunnel tunnel_id -1", status: statusUsage, err: "Error: argument \"-1\" is wrong: invalid ID\n"},
		{words: "l2tp add tunnel", status: statusUsage, err: "Error: argument \"tunnel_id\" is required\n"},
		{words: "l2tp add tunnel bogus", status: statusUsage, err: "Unknown command: bogus\n" + usage},
		{words: "l2tp", status: statusUsage, err: usage},
		{words: "l2tp show tunnel --colour", status: statusUsage, err: "xwire: option --colour is not known"},
		{words: "l2tp show tunnel --control", status: statusUsage, err: "xwire: --control needs a value"},
		{words: "l2tp show tunnel --control /nonexistent/c.sock", status: statusFailure, err: "xwire: ask xwire on /nonexistent/c.sock"},
		{words: "-n no-such-namespace l2tp show tunnel", status: statusFailure, err: "xwire: find network namespace no-such-namespace"},
		{words: "-netns /proc/self/ns/net l2tp show tunnel tunnel_id 3", out: tunnel3},
		{words: "-netns /proc/self/ns/pid l2tp show tunnel tunnel_id 3", status: statusFailure, err: "xwire: the xwire of "},
	} {
		f := &fakeControl{refuse: c.refuse}
		t.Setenv(controlEnv, f.listen(t))
		status, out, errs := call(t, strings.Fields(c.words)...)
		if status != c.status || out != c.out || !strings.HasPrefix(errs, c.err) || c.err == "" && errs != "" {
			t.Errorf("%s: status %d and\n%s--\n%s\nwant %d and\n%s--\n%s", c.words, status, out, errs, c.status, c.out, c.err)
		}
	}
}
