package appliance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"xwire/appliance/api"
)

// route is what is served at a path by a method.
type route struct {
	serve  http.HandlerFunc
	flags  []string // query parameters that are 0 or 1
	values []string // other query parameters
}

// routes are all that the control socket serves. What they take and give stands in package api's
// operations, which a test compares.
func (a *Appliance) routes() map[string]route {
	session := route{serve: a.serveSession, flags: []string{"cookies"}}
	return map[string]route{
		"GET /openapi.json":                   {serve: serveDescription},
		"GET /v1/status":                      {serve: func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Status()) }},
		"GET /v1/tunnels":                     {serve: a.serveTunnels, flags: []string{"config"}},
		"GET /v1/sessions":                    {serve: a.serveSessions, flags: []string{"errors", "config", "cookies"}, values: []string{"tunnel"}},
		"GET /v1/sessions/{session}":          session,
		"GET /v1/sessions/{tunnel}/{session}": session,
		"GET /v1/ports":                       {serve: func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Ports()) }},
		"GET /v1/drops":                       {serve: func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Drops()) }},
		"GET /v1/workers":                     {serve: func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Workers()) }},
		"GET /v1/capture":                     {serve: a.serveCapture, flags: []string{"inner", "outer", "drops"}, values: []string{"of", "count", "snaplen"}},
		"DELETE /v1/captures/{id}":            {serve: a.serveStop},
		"GET /v1/trace":                       {serve: a.serveTrace, values: []string{"of", "count"}},
		"POST /v1/trace":                      {serve: a.serveTraceFrame},

		"POST /v1/tunnels":                               {serve: a.createObject},
		"GET /v1/tunnels/{tunnel}":                       {serve: a.serveTunnel},
		"PATCH /v1/tunnels/{tunnel}":                     {serve: a.changeObject},
		"DELETE /v1/tunnels/{tunnel}":                    {serve: a.deleteObject},
		"GET /v1/tunnels/{tunnel}/sessions":              {serve: a.serveTunnelSessions, flags: []string{"errors", "config", "cookies"}},
		"POST /v1/tunnels/{tunnel}/sessions":             {serve: a.createObject},
		"GET /v1/tunnels/{tunnel}/sessions/{session}":    session,
		"PATCH /v1/tunnels/{tunnel}/sessions/{session}":  {serve: a.changeObject},
		"DELETE /v1/tunnels/{tunnel}/sessions/{session}": {serve: a.deleteObject},
		"GET /v1/config":                                 {serve: a.serveConfig},
		"POST /v1/reload":                                {serve: a.serveReload},
		"POST /v1/confirm":                               {serve: a.serveConfirm},
		"GET /v1/events":                                 {serve: a.serveEvents},
	}
}

// control answers the paths that package api documents.
func (a *Appliance) control() http.Handler {
	mux := http.NewServeMux()
	for pattern, served := range a.routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if e := served.queryFault(r.URL.RawQuery); e != nil {
				refuse(w, http.StatusBadRequest, e.Code, e.Text)
				return
			}
			served.serve(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		methods := methodsOf(mux, r)
		if methods == "" {
			refuse(w, http.StatusNotFound, api.CodeNoSuchPath, r.URL.Path+" is not served")
			return
		}
		w.Header().Set("Allow", methods)
		refuse(w, http.StatusMethodNotAllowed, api.CodeMethodNotAllowed, fmt.Sprintf("%s is not done by %s, but by %s", r.URL.Path, r.Method, methods))
	})
	return mux
}

// methodsOf are the methods that a path is served by, as the header Allow has them.
func methodsOf(mux *http.ServeMux, r *http.Request) string {
	var served []string
	other := *r
	for _, other.Method = range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, pattern := mux.Handler(&other); pattern != "/" {
			served = append(served, other.Method)
		}
	}
	return strings.Join(served, ", ")
}

// queryFault says what in a request's query is none of the route's: a parameter that is ignored would
// leave its sender with an answer to another question.
func (v route) queryFault(text string) *api.Error {
	query, err := url.ParseQuery(text)
	if err != nil {
		return &api.Error{Code: api.CodeInvalidRequest, Text: "read query: " + err.Error()}
	}
	for name, values := range query {
		switch {
		case slices.Contains(v.values, name):
		case !slices.Contains(v.flags, name):
			return &api.Error{Code: api.CodeUnknownParameter, Text: fmt.Sprintf("query parameter %q is unknown here; known: %s", name, v.known())}
		case values[0] != "0" && values[0] != "1":
			return &api.Error{Code: api.CodeInvalidRequest, Text: fmt.Sprintf("query parameter %s is %q: must be 1 or 0", name, values[0])}
		}
	}
	return nil
}

// known names the query parameters of a route.
func (v route) known() string {
	if len(v.flags)+len(v.values) == 0 {
		return "none"
	}
	return strings.Join(slices.Concat(v.values, v.flags), ", ")
}
