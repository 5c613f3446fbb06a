package appliance

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"xwire/appliance/api"
	"xwire/appliance/capture"
	"xwire/pw"
)

// captures are those that are being read, by the number that their readers were given.
type captures struct {
	mu   sync.Mutex
	last uint64
	stop map[uint64]chan struct{}
}

// begin gives a capture a number, and what is closed when its reader wants no more.
func (c *captures) begin() (id uint64, stop <-chan struct{}, end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	id = c.last
	ch := make(chan struct{})
	if c.stop == nil {
		c.stop = make(map[uint64]chan struct{})
	}
	c.stop[id] = ch
	return id, ch, func() { c.finish(id) }
}

// finish ends a capture; false: there is none of that number any more.
func (c *captures) finish(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, ok := c.stop[id]
	if ok {
		close(ch)
		delete(c.stop, id)
	}
	return ok
}

// captureFilter turns a request into what is wanted.
func (a *Appliance) captureFilter(r *http.Request) (f capture.Filter, e *api.Error) {
	q := r.URL.Query()
	f = capture.Filter{Port: -1, Inner: q.Get("inner") == "1", Outer: q.Get("outer") == "1", Drops: q.Get("drops") == "1"}
	if snap := q.Get("snaplen"); snap != "" {
		n, err := strconv.Atoi(snap)
		if err != nil || n < 0 {
			return f, &api.Error{Code: api.CodeInvalidRequest, Text: fmt.Sprintf("snaplen %q: must be a number of bytes", snap)}
		}
		f.Snap = n
	}
	of := q.Get("of")
	if of == "" {
		return f, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.portNamed(of); p != nil {
		f.Port = int(p.index)
		return f, nil
	}
	s, e := a.sessionCalled(of)
	if e != nil {
		if p := a.shownPort(of); p != nil {
			f.Port = int(p.index)
			return f, nil
		}
		return f, e
	}
	f.Session = s.id
	return f, nil
}

// shownPort finds a port as Ports names it: the trunk too, unless a file gave a port its name. The
// caller holds mu.
func (a *Appliance) shownPort(name string) *port {
	if p := a.portNamed(name); p != nil {
		return p
	}
	if p := a.trunkPort(); p != nil && p.Name == name {
		return p
	}
	return nil
}

// sessionCalled finds a session that stands, by tunnel/session or by its bare name where that is unique.
func (a *Appliance) sessionCalled(name string) (*session, *api.Error) {
	var found *session
	if strings.Contains(name, "/") {
		found = a.sessionAt(name)
	} else {
		for s := range a.eachSession {
			if s.name() != name {
				continue
			}
			if found != nil {
				return nil, &api.Error{Code: api.CodeAmbiguousSession, Text: fmt.Sprintf("several tunnels have a session %q: name it TUNNEL/%s", name, name)}
			}
			found = s
		}
	}
	switch {
	case found == nil:
		return nil, &api.Error{Code: api.CodeNoSuchSession, Text: fmt.Sprintf("there is no session and no port %q", name)}
	case !found.standing:
		return nil, &api.Error{Code: api.CodeSessionWaits, Text: fmt.Sprintf("session %s does not carry frames: %s", found.path(), found.reason())}
	}
	return found, nil
}

func refuseCapture(w http.ResponseWriter, e *api.Error) {
	status := http.StatusNotFound
	switch e.Code {
	case api.CodeInvalidRequest:
		status = http.StatusBadRequest
	case api.CodeAmbiguousSession, api.CodeSessionWaits:
		status = http.StatusConflict
	case api.CodeTooManyCaptures:
		status = http.StatusTooManyRequests
	}
	refuse(w, status, e.Code, e.Text)
}

// serveCapture streams frames as pcapng until the reader has enough.
func (a *Appliance) serveCapture(w http.ResponseWriter, r *http.Request) {
	f, e := a.captureFilter(r)
	if e != nil {
		refuseCapture(w, e)
		return
	}
	count := uint64(0)
	if text := r.URL.Query().Get("count"); text != "" {
		var err error
		if count, err = strconv.ParseUint(text, 10, 64); err != nil {
			refuse(w, http.StatusBadRequest, api.CodeInvalidRequest, fmt.Sprintf("count %q: must be a number of frames", text))
			return
		}
	}
	c, ok := a.taps.Start(f)
	if !ok {
		refuseCapture(w, &api.Error{Code: api.CodeTooManyCaptures, Text: "too many captures and traces run already; end one"})
		return
	}
	defer c.Close()
	id, stop, end := a.captures.begin()
	defer end()

	h := w.Header()
	h.Set("Content-Type", "application/x-pcapng")
	h.Set("Xwire-Capture", strconv.FormatUint(id, 10))
	h.Set("Trailer", "Xwire-Frames, Xwire-Lost")
	out := capture.NewWriter(w, &captureNames{a: a}, a.o.Version)
	if out.Begin() != nil {
		return
	}
	control := http.NewResponseController(w)
	frames := uint64(0)
	for done := false; !done; {
		if control.Flush() != nil {
			return
		}
		select {
		case <-c.Ready():
		case <-r.Context().Done():
			return
		case <-stop:
			c.Close()
			done = true
		}
		var err error
		c.Read(func(rec *capture.Record) bool {
			err = out.Write(rec)
			frames++
			return err == nil && (count == 0 || frames < count)
		})
		if err != nil || out.Flush() != nil {
			return
		}
		done = done || count != 0 && frames >= count
	}
	c.Close()
	if out.End(c.Lost()) != nil {
		return
	}
	h.Set("Xwire-Frames", strconv.FormatUint(frames, 10))
	h.Set("Xwire-Lost", strconv.FormatUint(c.Lost(), 10))
}

// serveStop ends a capture, so that its stream gets its end.
func (a *Appliance) serveStop(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil || !a.captures.finish(id) {
		refuse(w, http.StatusNotFound, api.CodeNoSuchCapture, fmt.Sprintf("there is no capture %s", r.PathValue("id")))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// captureNames knows what the numbers in records stand for. One reader has it for itself.
type captureNames struct {
	a        *Appliance
	sessions map[pw.SessionID]string
	asked    time.Time // when sessions was made
}

func (n *captureNames) Port(index uint16) (name, iface string) {
	n.a.mu.Lock()
	defer n.a.mu.Unlock()
	if int(index) >= len(n.a.ports) {
		return fmt.Sprintf("port %d", index), ""
	}
	p := n.a.ports[index]
	return p.Name, p.Interface
}

func (n *captureNames) Session(r *capture.Record) string {
	if r.Session == 0 {
		return ""
	}
	text := n.session(r.Session)
	if r.Other != 0 {
		text += " to " + n.session(r.Other)
	}
	return text
}

// session gives tunnel/session. Ids are used again, so that what is known is forgotten now and then.
func (n *captureNames) session(id pw.SessionID) string {
	const old, again = 10 * time.Second, time.Second
	name, ok := n.sessions[id]
	if age := time.Since(n.asked); age > old || !ok && age > again {
		n.asked = time.Now()
		n.a.mu.Lock()
		n.sessions = make(map[pw.SessionID]string, n.a.count)
		for s := range n.a.eachSession {
			if s.standing {
				n.sessions[s.id] = s.path()
			}
		}
		n.a.mu.Unlock()
		name, ok = n.sessions[id]
	}
	if !ok {
		return fmt.Sprintf("session %d", id)
	}
	return name
}
