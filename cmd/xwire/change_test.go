package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"xwire/appliance/api"
)

// TestChangeCommands: what a command line says is what is asked of the control socket.
func TestChangeCommands(t *testing.T) {
	var asked string
	socket := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = strings.TrimSpace(r.Method + " " + r.URL.Path + " " + string(body))
		if strings.Contains(asked, "refuse") {
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(api.Error{Code: api.CodeClash, Text: "it clashes"})
			return
		}
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_ = json.NewEncoder(w).Encode(api.Session{Name: "answered"})
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })

	for _, c := range []struct {
		args   string
		status int
		asked  string
	}{
		{"add oslo encap=ip tid=9 df=true", statusSuccess, `POST /v1/tunnels {"df":true,"encap":"ip","name":"oslo","tid":9}`},
		{"add oslo/b sid=0x10 vlan=107 rate=10M burst=65536", statusSuccess, `POST /v1/tunnels/oslo/sessions {"burst":65536,"name":"b","rate":"10M","sid":16,"vlan":"107"}`},
		{"set oslo/b rx_cookie=0102030405060708,1112131415161718 tx_cookie=1112131415161718 tos=inherit", statusSuccess,
			`PATCH /v1/tunnels/oslo/sessions/b {"rx_cookie":["0102030405060708","1112131415161718"],"tos":"inherit","tx_cookie":"1112131415161718"}`},
		{"set oslo/b peer_cookie=11121314 description=2026 tos=8 mss_clamp=true", statusSuccess, `PATCH /v1/tunnels/oslo/sessions/b {"description":"2026","mss_clamp":true,"peer_cookie":"11121314","tos":8}`},
		{"set oslo vrf= peer=2001:db8::1", statusSuccess, `PATCH /v1/tunnels/oslo {"peer":"2001:db8::1","vrf":null}`},
		{`set oslo/b pcp_to_dscp=[0,8,16,24,32,40,46,56] rx_cookie=["01020304"]`, statusSuccess, `PATCH /v1/tunnels/oslo/sessions/b {"pcp_to_dscp":[0,8,16,24,32,40,46,56],"rx_cookie":["01020304"]}`},
		{"set oslo/b colour=red", statusSuccess, `PATCH /v1/tunnels/oslo/sessions/b {"colour":"red"}`}, // xwire knows better
		{"delete oslo/b", statusSuccess, "DELETE /v1/tunnels/oslo/sessions/b"},
		{"delete oslo", statusSuccess, "DELETE /v1/tunnels/oslo"},
		{"set refuse ttl=1", statusFailure, `PATCH /v1/tunnels/refuse {"ttl":1}`},
		{"set oslo", statusUsage, ""},
		{"set oslo ttl", statusUsage, ""},
		{"set oslo ttl=1 ttl=2", statusUsage, ""},
		{"set oslo/ ttl=1", statusUsage, ""},
		{"delete oslo ttl=1", statusUsage, ""},
	} {
		asked = ""
		status, out, errs := call(t, append(strings.Fields(c.args), "--control", socket)...)
		if status != c.status || asked != c.asked || out != "" {
			t.Errorf("xwire %s: status %d, asks %s, prints %s%s; want %d, %s", c.args, status, asked, out, errs, c.status, c.asked)
		}
	}
	status, out, _ := call(t, "set", "oslo/b", "ttl=1", "--json", "--control", socket)
	if status != statusSuccess || !strings.Contains(out, `"answered"`) {
		t.Errorf("--json: status %d, %s", status, out)
	}
	if _, _, errs := call(t, "set", "oslo/b", "ttl=1", "c0ffee00", "--control", socket); strings.Contains(errs, "c0ffee") {
		t.Errorf("what may be a cookie is repeated: %s", errs)
	}
	list, err := lines(strings.NewReader("# of today\nrx_cookie = 0102030405060708\n\nttl=3\n"))
	if err != nil || strings.Join(list, "|") != "rx_cookie = 0102030405060708|ttl=3" {
		t.Errorf("standard input: %q, %v", list, err)
	}
	keys, err := keysOf("session", list)
	if text, _ := json.Marshal(keys); err != nil || string(text) != `{"rx_cookie":"0102030405060708","ttl":3}` {
		t.Errorf("standard input: %s, %v", text, err)
	}
}
