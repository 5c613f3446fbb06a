package appliance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/api"
)

// mostEnding is how long a start waits for a process that holds the control socket, for that one may be on
// its way out: one that was killed answers until the kernel has taken its rings and programs down.
const mostEnding = 2 * time.Second

// listenControl takes the control socket. A socket file that nobody listens on any more is
// replaced; one that goes on answering belongs to another xwire and is left alone.
func listenControl(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	for begun := time.Now(); errors.Is(err, unix.EADDRINUSE); l, err = net.Listen("unix", path) {
		if c, dialErr := net.DialTimeout("unix", path, time.Second); dialErr == nil {
			c.Close()
			if time.Since(begun) > mostEnding {
				return nil, fmt.Errorf("listen on %s: another xwire answers there; stop it, or set [appliance] control", path)
			}
			time.Sleep(mostEnding / 40)
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove stale control socket: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("set mode of control socket: %w", err)
	}
	return l, nil
}

// groupID is the number of a group of the host, named or already a number; -1 of none.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, fmt.Errorf("find the group %q of the control socket: %w; make it (groupadd --system %[1]s), or set [appliance] control_group", name, err)
	}
	return strconv.Atoi(g.Gid)
}

// shareControl gives the control socket to a group, or to its owner alone. Connections that stand stay.
func shareControl(path, group string) error {
	gid, err := groupID(group)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	if gid < 0 {
		gid = os.Getegid()
	} else {
		mode = 0o660
	}
	// Never open to a group that it is not for.
	if err = os.Chmod(path, 0o600); err == nil {
		if err = os.Chown(path, -1, gid); err == nil {
			err = os.Chmod(path, mode)
		}
	}
	if err != nil {
		return fmt.Errorf("give the control socket to group %q: %w", group, err)
	}
	return nil
}

// serve runs an HTTP server until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func serveDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, api.OpenAPI())
}

func (a *Appliance) serveTunnels(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("config") == "1" {
		answer(w, a.TunnelConfigs())
		return
	}
	answer(w, a.Tunnels())
}

func sessionQuery(tunnel string, q url.Values) api.SessionQuery {
	return api.SessionQuery{Tunnel: tunnel, Errors: q.Get("errors") == "1", Cookies: q.Get("cookies") == "1", Config: q.Get("config") == "1"}
}

func (a *Appliance) serveSessions(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	tunnel := q.Get("tunnel")
	list, ok := a.Sessions(sessionQuery(tunnel, q))
	if !ok {
		refuse(w, http.StatusNotFound, api.CodeNoSuchTunnel, fmt.Sprintf("there is no tunnel %q", tunnel))
		return
	}
	answerList(w, list)
}

func (a *Appliance) serveSession(w http.ResponseWriter, r *http.Request) {
	tunnel, name := r.PathValue("tunnel"), r.PathValue("session")
	cookies := r.URL.Query().Get("cookies") == "1"
	s, matches := a.Session(tunnel, name, cookies)
	switch {
	case matches == 1:
		answer(w, s)
	case matches > 1:
		refuse(w, http.StatusConflict, api.CodeAmbiguousSession, fmt.Sprintf("%d tunnels have a session %q: name it TUNNEL/%s", matches, name, name))
	case tunnel != "":
		refuse(w, http.StatusNotFound, api.CodeNoSuchSession, fmt.Sprintf("there is no session %q in a tunnel %q", name, tunnel))
	default:
		refuse(w, http.StatusNotFound, api.CodeNoSuchSession, fmt.Sprintf("there is no session %q", name))
	}
}

func answer(w http.ResponseWriter, v any) { answerWith(w, http.StatusOK, v) }

func answerWith(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	out := newPatient(w)
	defer out.close()
	// A reader that went away is no business of ours.
	_ = json.NewEncoder(out).Encode(v)
}

// answerList writes a JSON array as its values come.
func answerList[T any](w http.ResponseWriter, list iter.Seq[T]) {
	w.Header().Set("Content-Type", "application/json")
	out := newPatient(w)
	defer out.close()
	b := bufio.NewWriterSize(out, 64<<10)
	defer b.Flush()
	enc := json.NewEncoder(b)
	separator := byte('[')
	for v := range list {
		b.WriteByte(separator)
		separator = ','
		if enc.Encode(v) != nil {
			return
		}
	}
	if separator == '[' {
		b.WriteByte('[')
	}
	b.WriteString("]\n")
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Error{Code: code, Text: text})
}
