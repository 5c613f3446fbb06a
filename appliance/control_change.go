package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"xwire/appliance/api"
	"xwire/config"
)

// mostBody is the most that a request may say: a tunnel with some thousand sessions.
const mostBody = 16 << 20

// answerError answers what a change failed with.
func answerError(w http.ResponseWriter, err error) {
	var r *refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, errStopping):
		r = refused(http.StatusServiceUnavailable, api.CodeStopping, "%v", err)
	default:
		r = refused(http.StatusInternalServerError, api.CodeFailed, "%v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(r.body)
}

// body reads a request's keys. Numbers become what a file has.
func body(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	defer expect(w)()
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody))
	dec.UseNumber()
	var v map[string]any
	err := dec.Decode(&v)
	if err == nil && dec.More() {
		err = errors.New("something follows the object")
	}
	var other *json.UnmarshalTypeError
	if err == nil && v == nil || errors.Is(err, io.EOF) || errors.As(err, &other) {
		err = errors.New("it must be an object of keys and values")
	}
	if err != nil {
		return nil, refused(http.StatusBadRequest, api.CodeInvalidRequest, "read request: %v", err)
	}
	return asFile(v).(map[string]any), nil
}

// asFile turns JSON's numbers into those of a file.
func asFile(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = asFile(e)
		}
	case []any:
		for i, e := range v {
			v[i] = asFile(e)
		}
	}
	return v
}

// named takes the name of a new object out of its keys.
func named(keys map[string]any) (string, error) {
	name, ok := keys["name"].(string)
	if !ok {
		return "", refused(http.StatusBadRequest, api.CodeInvalidRequest, `"name" is missing, or is no string`)
	}
	delete(keys, "name")
	if err := config.NewName(name); err != nil {
		return "", refused(http.StatusUnprocessableEntity, api.CodeInvalidConfig, "%v", err)
	}
	return name, nil
}

// createObject makes a tunnel, or under a tunnel's path one of its sessions.
func (a *Appliance) createObject(w http.ResponseWriter, r *http.Request) {
	m := config.Amendment{Tunnel: r.PathValue("tunnel")}
	var err error
	if m.Keys, err = body(w, r); err == nil {
		to := &m.Session
		if m.Tunnel == "" {
			to = &m.Tunnel
		}
		*to, err = named(m.Keys)
	}
	var object any
	if err == nil {
		object, err = a.amend(r.Context(), m, true)
	}
	answerObject(w, http.StatusCreated, object, err)
}

func (a *Appliance) changeObject(w http.ResponseWriter, r *http.Request) {
	m := config.Amendment{Tunnel: r.PathValue("tunnel"), Session: r.PathValue("session")}
	var object any
	var err error
	if m.Keys, err = body(w, r); err == nil {
		object, err = a.amend(r.Context(), m, false)
	}
	answerObject(w, http.StatusOK, object, err)
}

// answerObject tells what an amendment made of its object, or why it did not.
func answerObject(w http.ResponseWriter, status int, object any, err error) {
	if err != nil {
		answerError(w, err)
		return
	}
	answerWith(w, status, object)
}

func (a *Appliance) deleteObject(w http.ResponseWriter, r *http.Request) {
	m := config.Amendment{Tunnel: r.PathValue("tunnel"), Session: r.PathValue("session"), Remove: true}
	if _, err := a.amend(r.Context(), m, false); err != nil {
		answerError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *Appliance) serveTunnel(w http.ResponseWriter, r *http.Request) {
	v, ok := a.tunnelNow(r.PathValue("tunnel"))
	if !ok {
		refuse(w, http.StatusNotFound, api.CodeNoSuchTunnel, fmt.Sprintf("there is no tunnel %q", r.PathValue("tunnel")))
		return
	}
	answer(w, v)
}

func (a *Appliance) tunnelNow(name string) (v api.Tunnel, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.byName[name]
	if t == nil {
		return v, false
	}
	return a.apiTunnelConfig(t), true
}

func (a *Appliance) serveTunnelSessions(w http.ResponseWriter, r *http.Request) {
	list, ok := a.Sessions(sessionQuery(r.PathValue("tunnel"), r.URL.Query()))
	if !ok {
		refuse(w, http.StatusNotFound, api.CodeNoSuchTunnel, fmt.Sprintf("there is no tunnel %q", r.PathValue("tunnel")))
		return
	}
	answerList(w, list)
}

func (a *Appliance) serveReload(w http.ResponseWriter, r *http.Request) {
	var q api.ReloadRequest
	read := expect(w)
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil && !errors.Is(err, io.EOF) { // an empty body asks for nothing special
		refuse(w, http.StatusBadRequest, api.CodeInvalidRequest, fmt.Sprintf("read request: %v", err))
		return
	}
	read()
	v, err := a.Reload(r.Context(), q)
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, v)
}

func (a *Appliance) serveConfirm(w http.ResponseWriter, r *http.Request) {
	if err := a.Confirm(r.Context()); err != nil {
		answerError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *Appliance) serveConfig(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/toml")
	out := newPatient(w)
	defer out.close()
	_ = a.WriteConfig(out)
}

// sessionKeys are a session's keys as it has them, without its cookies unless they are asked for.
func sessionKeys(c *config.Session, cookies bool) api.Keys {
	keys := c.Keys()
	if !cookies {
		maps.DeleteFunc(keys, func(k string, _ any) bool { return slices.Contains(config.CookieKeys(), k) })
	}
	return keys
}

// eventBeat is how often a reader of events gets an empty line where nothing happens, so that one that has
// gone is noticed.
const eventBeat = 30 * time.Second

func (a *Appliance) serveEvents(w http.ResponseWriter, r *http.Request) {
	ch, leave := a.events.listen()
	defer leave()
	prefix, suffix, kind := "", "\n", "application/x-ndjson"
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		prefix, suffix, kind = "data: ", "\n\n", "text/event-stream"
	}
	w.Header().Set("Content-Type", kind)
	out := newPatient(w)
	beat := time.NewTicker(eventBeat)
	defer beat.Stop()
	for ok := out.flush() == nil; ok; {
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			_, err := io.WriteString(out, "\n")
			ok = err == nil && out.flush() == nil
		case e := <-ch:
			text, err := json.Marshal(e)
			if err == nil {
				_, err = io.WriteString(out, prefix+string(text)+suffix)
			}
			ok = err == nil
			if ok && len(ch) == 0 {
				ok = out.flush() == nil
			}
		}
	}
}
