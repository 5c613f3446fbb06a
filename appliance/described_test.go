package appliance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"xwire/appliance/api"
)

// description is the OpenAPI document that the server gives.
type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct{ Name, In string }
		Responses  map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]map[string]any }
}

func described(t *testing.T) *description {
	t.Helper()
	var d description
	if err := json.Unmarshal([]byte(api.OpenAPI()), &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// TestRoutesAreDescribed: the document has the routes of the server with their query, and no others.
func TestRoutesAreDescribed(t *testing.T) {
	var got, want []string
	for path, methods := range described(t).Paths {
		for m, operation := range methods {
			var query []string
			for _, p := range operation.Parameters {
				if p.In == "query" {
					query = append(query, p.Name)
				}
			}
			slices.Sort(query)
			want = append(want, fmt.Sprint(strings.ToUpper(m), " ", path, query))
		}
	}
	for pattern, served := range new(Appliance).routes() {
		got = append(got, fmt.Sprint(pattern, slices.Sorted(slices.Values(slices.Concat(served.flags, served.values)))))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("served:\n%s\ndescribed (operations of package api):\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// witness serves what a handler does, and says where an answer is not as described.
type witness struct {
	*description
	t       *testing.T
	handler http.Handler
	mu      sync.Mutex
	codes   map[string]bool // that were answered
}

// witnessed serves an appliance's control paths on a socket that lasts as long as the test.
func witnessed(t *testing.T, a *Appliance) (*witness, *api.Client) {
	t.Helper()
	w := &witness{description: described(t), t: t, handler: a.control(), codes: make(map[string]bool)}
	socket := filepath.Join(t.TempDir(), "witness.sock")
	l, err := listenControl(socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: w}
	var ended sync.WaitGroup
	ended.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() { srv.Close(); ended.Wait() })
	return w, api.NewClient(socket)
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rec := &answered{ResponseWriter: rw, status: http.StatusOK}
	w.handler.ServeHTTP(rec, r)
	w.look(r, rec)
}

// look compares an answer with what is described.
func (w *witness) look(r *http.Request, rec *answered) {
	what := fmt.Sprintf("%s %s: %d", r.Method, r.URL.Path, rec.status)
	if rec.status/100 != 2 {
		var e api.Error
		if json.Unmarshal(rec.text.Bytes(), &e) != nil || e.Code == "" || e.Text == "" {
			w.t.Errorf("%s: an error without a code and a text: %s", what, &rec.text)
		}
		w.mu.Lock()
		w.codes[e.Code] = true
		w.mu.Unlock()
	}
	if r.Pattern == "/" {
		return // described in words
	}
	_, path, _ := strings.Cut(r.Pattern, " ")
	response, ok := w.Paths[path][strings.ToLower(r.Method)].Responses[fmt.Sprint(rec.status)]
	if !ok {
		w.t.Errorf("%s: this status is not described: %s", what, &rec.text)
		return
	}
	kind := rec.Header().Get("Content-Type")
	content, ok := response.Content[kind]
	if !ok && (kind != "" || response.Content != nil) {
		w.t.Errorf("%s: content of type %q is not described", what, kind)
	}
	switch kind {
	case "application/json", "application/x-ndjson":
		for dec := json.NewDecoder(&rec.text); dec.More(); {
			var v any
			if err := dec.Decode(&v); err != nil {
				return // a reader that went away
			}
			for _, fault := range w.faults(content.Schema, v, "") {
				w.t.Errorf("%s: %s", what, fault)
			}
		}
	}
}

// faults are the ways in which a value is not as a schema says. A property that no schema has is one.
func (w *witness) faults(schema map[string]any, v any, at string) (list []string) {
	if name, ok := schema["$ref"].(string); ok {
		name = name[strings.LastIndexByte(name, '/')+1:]
		return w.faults(w.Components.Schemas[name], v, at)
	}
	if all, ok := schema["allOf"].([]any); ok {
		list = w.faults(all[0].(map[string]any), v, at)
		code := v.(map[string]any)["code"]
		if !slices.Contains(all[1].(map[string]any)["properties"].(map[string]any)["code"].(map[string]any)["enum"].([]any), code) {
			list = append(list, fmt.Sprintf("%s: code %v is not described there", at, code))
		}
		return list
	}
	kinds, ok := schema["type"].([]any)
	if !ok {
		kinds = []any{schema["type"]}
	}
	if kind := kindOf(v); !slices.Contains(kinds, any(kind)) && (kind != "integer" || !slices.Contains(kinds, any("number"))) {
		return []string{fmt.Sprintf("%s: %v is of type %s, not %v", at, v, kind, kinds)}
	}
	if choices, ok := schema["enum"].([]any); ok && !slices.Contains(choices, v) {
		list = append(list, fmt.Sprintf("%s: %v is none of %v", at, v, choices))
	}
	switch v := v.(type) {
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, e := range v {
			if items != nil {
				list = append(list, w.faults(items, e, fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	case map[string]any:
		list = append(list, w.propertyFaults(schema, v, at)...)
	}
	return list
}

func (w *witness) propertyFaults(schema, v map[string]any, at string) (list []string) {
	properties, closed := schema["properties"].(map[string]any)
	others, open := schema["additionalProperties"].(map[string]any)
	for name, e := range v {
		switch p, ok := properties[name].(map[string]any); {
		case ok:
			list = append(list, w.faults(p, e, at+"."+name)...)
		case open:
			list = append(list, w.faults(others, e, at+"."+name)...)
		case closed:
			list = append(list, at+"."+name+": is not described")
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			list = append(list, fmt.Sprintf("%s.%v: is missing", at, name))
		}
	}
	return list
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// answered is an answer on its way, with a copy of it.
type answered struct {
	http.ResponseWriter
	status int
	text   bytes.Buffer
}

func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Write(b []byte) (int, error) {
	a.text.Write(b)
	return a.ResponseWriter.Write(b)
}
