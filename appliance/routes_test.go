package appliance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xwire/appliance/api"
)

// TestWrongQuestion: what is asked in a way that is not served is told what is.
func TestWrongQuestion(t *testing.T) {
	h := new(Appliance).control()
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
		code, text   string
	}{
		{"GET", "/v1/sessions?tunnel=a&cookie=1", 400, "", api.CodeUnknownParameter, `"cookie" is unknown here; known: tunnel, errors, config, cookies`},
		{"GET", "/v1/status?verbose=1", 400, "", api.CodeUnknownParameter, `"verbose" is unknown here; known: none`},
		{"GET", "/v1/capture?drops=yes", 400, "", api.CodeInvalidRequest, `drops is "yes"`},
		{"PUT", "/v1/tunnels", 405, "GET, HEAD, POST", api.CodeMethodNotAllowed, "/v1/tunnels is not done by PUT"},
		{"GET", "/v1/reload", 405, "POST", api.CodeMethodNotAllowed, "but by POST"},
		{"POST", "/v1/tunnels/a/sessions/b", 405, "GET, HEAD, PATCH, DELETE", api.CodeMethodNotAllowed, ""},
		{"OPTIONS", "/v1/captures/1?x=1", 405, "DELETE", api.CodeMethodNotAllowed, ""},
		{"GET", "/v1/tunnel", 404, "", api.CodeNoSuchPath, "/v1/tunnel is not served"},
		{"GET", "/", 404, "", api.CodeNoSuchPath, ""},
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), c.method, c.path, http.NoBody))
		var e api.Error
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
		}
		if rec.Code != c.status || rec.Header().Get("Allow") != c.allow || e.Code != c.code || !strings.Contains(e.Text, c.text) {
			t.Errorf("%s %s: %d, Allow %q, %s: %s", c.method, c.path, rec.Code, rec.Header().Get("Allow"), e.Code, e.Text)
		}
	}
}
