package appliance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/appliance/capture"
)

// TestEveryCode: each code that is described is answered when it should be, with its status, and reads
// that succeed are answered as described.
func TestEveryCode(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, _ := rig(t, requestText+"[tunnel.other]\nencap = \"ip\"\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.3\"\ntid = 2\nptid = 2\n[tunnel.other.session.one]\nenabled = false\nsid = 5\npsid = 5\nl2spec_type = \"none\"\n"+
		"[tunnel.other.session.waits]\nenabled = false\nsid = 6\npsid = 6\nl2spec_type = \"none\"\n")
	w, _ := witnessed(t, a)
	ask := func(method, path, body string) (int, api.Error) {
		t.Helper()
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		var e api.Error
		if rec.Code/100 != 2 && json.Unmarshal(rec.Body.Bytes(), &e) != nil {
			t.Errorf("%s %s: %s", method, path, rec.Body)
		}
		return rec.Code, e
	}
	const sessions, frame = "/v1/tunnels/file/sessions", `{"port": "core0", "frame": "ffffffffffff0200000000010800"}`
	for _, path := range []string{
		"/openapi.json", "/v1/status", "/v1/config", "/v1/ports", "/v1/drops", "/v1/workers", "/v1/tunnels", "/v1/tunnels?config=1", "/v1/tunnels/file", "/v1/sessions", "/v1/sessions?config=1", "/v1/sessions?cookies=1&errors=1&tunnel=file", "/v1/sessions?cookies=0",
		"/v1/sessions/file/one", sessions, sessions + "/one?cookies=1", "/v1/sessions/waits",
	} {
		if status, e := ask(http.MethodGet, path, ""); status != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, status, e.Text)
		}
	}
	if status, e := ask(http.MethodPost, "/v1/trace", frame); status != http.StatusOK {
		t.Errorf("POST /v1/trace: %d %s", status, e.Text)
	}
	faults := []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/v2/status", "", 404, api.CodeNoSuchPath},
		{"PUT", "/v1/status", "", 405, api.CodeMethodNotAllowed},
		{"GET", "/v1/tunnels?conf=1", "", 400, api.CodeUnknownParameter},
		{"POST", "/v1/confirm?within=60", "", 400, api.CodeUnknownParameter},
		{"GET", "/v1/sessions?cookies=true", "", 400, api.CodeInvalidRequest},
		{"GET", "/v1/status?%zz", "", 400, api.CodeInvalidRequest},
		{"POST", "/v1/trace", `{"port": "core0", "frames": ""}`, 400, api.CodeInvalidRequest},
		{"POST", "/v1/tunnels", "{", 400, api.CodeInvalidRequest},
		{"POST", "/v1/reload", `{"dry": true}`, 400, api.CodeInvalidRequest},
		{"POST", "/v1/reload", `{"confirm_within_seconds": -1}`, 400, api.CodeInvalidRequest},
		{"POST", "/v1/trace", `{"port": "core0", "frame": "xyz"}`, 400, api.CodeInvalidRequest},
		{"GET", "/v1/trace", "", 400, api.CodeInvalidRequest},
		{"GET", "/v1/trace?of=core0&count=x", "", 400, api.CodeInvalidRequest},
		{"GET", "/v1/capture?snaplen=-1", "", 400, api.CodeInvalidRequest},
		{"GET", "/v1/capture?count=x", "", 400, api.CodeInvalidRequest},
		{"PATCH", sessions + "/one", `{"vlan": 4095}`, 422, api.CodeInvalidConfig},
		{"PATCH", "/v1/tunnels/file", `{"colour": "red"}`, 422, api.CodeInvalidConfig},
		{"GET", "/v1/tunnels/none", "", 404, api.CodeNoSuchTunnel},
		{"PATCH", "/v1/tunnels/none", "{}", 404, api.CodeNoSuchTunnel},
		{"DELETE", "/v1/tunnels/none", "", 404, api.CodeNoSuchTunnel},
		{"GET", "/v1/sessions?tunnel=none", "", 404, api.CodeNoSuchTunnel},
		{"GET", "/v1/tunnels/none/sessions", "", 404, api.CodeNoSuchTunnel},
		{"POST", "/v1/tunnels/none/sessions", `{"name": "x"}`, 404, api.CodeNoSuchTunnel},
		{"GET", "/v1/sessions/none", "", 404, api.CodeNoSuchSession},
		{"GET", sessions + "/none", "", 404, api.CodeNoSuchSession},
		{"PATCH", sessions + "/none", "{}", 404, api.CodeNoSuchSession},
		{"GET", "/v1/capture?of=none", "", 404, api.CodeNoSuchSession},
		{"GET", "/v1/sessions/one", "", 409, api.CodeAmbiguousSession},
		{"GET", "/v1/capture?of=one", "", 409, api.CodeAmbiguousSession},
		{"GET", "/v1/trace?of=waits&count=1", "", 409, api.CodeSessionWaits},
		{"POST", "/v1/trace", strings.Replace(frame, "core0", "core9", 1), 404, api.CodeNoSuchPort},
		{"DELETE", "/v1/captures/77", "", 404, api.CodeNoSuchCapture},
		{"DELETE", "/v1/captures/x", "", 404, api.CodeNoSuchCapture},
		{"POST", "/v1/tunnels", `{"name": "file", "local": "192.0.2.1", "peer": "192.0.2.9", "tid": 9, "ptid": 9}`, 409, api.CodeTunnelExists},
		{"POST", sessions, `{"name": "one", "sid": 9, "psid": 9}`, 409, api.CodeSessionExists},
		{"POST", sessions, `{"name": "two", "sid": 1, "psid": 9, "attach": "ac0", "vlan": 9}`, 409, api.CodeClash},
		{"POST", sessions, `{"name": "two", "sid": 9, "psid": 9, "interface_name": "far-ac0"}`, 409, api.CodeInterface},
		{"POST", "/v1/confirm", "", 409, api.CodeNothingWaits},
	}
	check := func(method, path, body string, status int, code string) {
		t.Helper()
		if got, e := ask(method, path, body); got != status || e.Code != code {
			t.Errorf("%s %s %s: %d %s (%s), want %d %s", method, path, body, got, e.Code, e.Text, status, code)
		}
	}
	for _, f := range faults {
		check(f.method, f.path, f.body, f.status, f.code)
	}

	for {
		c, ok := a.taps.Start(capture.Filter{Port: -1})
		if !ok {
			break
		}
		defer c.Close()
	}
	check("GET", "/v1/capture", "", 429, api.CodeTooManyCaptures)
	check("GET", "/v1/trace?of=core0&count=1", "", 429, api.CodeTooManyCaptures)

	// A folder that cannot be made: the mark of an unconfirmed reload has no place.
	state := a.o.StateDir
	a.o.StateDir = a.o.ConfigFile + "/state"
	check("POST", "/v1/reload", `{"confirm_within_seconds": 60}`, 500, api.CodeFailed)
	a.o.StateDir = state

	stopped := &Appliance{changer: newChanger()}
	close(stopped.changer.stopped)
	w.handler = stopped.control()
	check("POST", "/v1/confirm", "", 503, api.CodeStopping)
	check("POST", "/v1/reload", "", 503, api.CodeStopping)
	check("PATCH", "/v1/tunnels/file", "{}", 503, api.CodeStopping)

	text := w.Components.Schemas["Error"]["properties"].(map[string]any)["code"].(map[string]any)
	for _, name := range text["examples"].([]any) {
		if !w.codes[name.(string)] {
			t.Errorf("nothing here is answered with %s", name)
		}
	}
}
