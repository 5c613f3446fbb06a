package appliance

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"xwire/appliance/api"
	"xwire/appliance/capture"
	"xwire/pw"
)

// tracer makes traces of records. One reader has it for itself.
type tracer struct {
	a     *Appliance
	names captureNames
	clock *capture.Clock
}

func (a *Appliance) newTracer() *tracer {
	return &tracer{a: a, names: captureNames{a: a}, clock: capture.NewClock()}
}

// These are what pw.Explain asks for.
func (t *tracer) PortName(index uint16) string {
	name, _ := t.names.Port(index)
	return name
}

func (t *tracer) SessionName(id pw.SessionID) string { return t.names.session(id) }

func (t *tracer) TunnelName(id pw.TunnelID) string {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	for _, v := range t.a.tunnels {
		if v.id == id && v.Enabled {
			return v.Name
		}
	}
	return fmt.Sprintf("tunnel %d", id)
}

// explain is the way of a frame up to its end.
func (t *tracer) explain(frame []byte, port uint16) (v api.Trace, x pw.Explanation) {
	x = t.a.table.Explain(frame, port, t)
	v = api.Trace{Port: t.PortName(port), Way: x.Way.String(), Frame: hex.EncodeToString(frame)}
	if x.Session != 0 {
		v.Session = t.SessionName(x.Session)
	}
	for _, s := range x.Steps {
		v.Steps = append(v.Steps, api.TraceStep{Step: s.What, OK: s.OK, Text: s.Text})
	}
	return v, x
}

// foretell says what would become of a frame.
func (t *tracer) foretell(frame []byte, port uint16) api.Trace {
	v, x := t.explain(frame, port)
	v.Time, v.Worker = time.Now(), -1
	for _, o := range x.Out {
		t.sent(&v, o.Port, o.Frame)
	}
	switch {
	case len(x.Out) > 0:
		v.Outcome = "sent"
	case len(v.Steps) > 0 && !v.Steps[len(v.Steps)-1].OK:
		v.Outcome, v.Reason = "dropped", x.Drop.String()
	default:
		v.Outcome = "held"
	}
	return v
}

func (t *tracer) sent(v *api.Trace, port uint16, frame []byte) {
	v.Steps = append(v.Steps, api.TraceStep{Step: "sent", OK: true, Text: "port " + t.PortName(port) + ", " + pw.Describe(frame)})
}

// tell says what became of a frame: received, and what was sent of it.
func (t *tracer) tell(received *capture.Record, sent []capture.Record) api.Trace {
	v, x := t.explain(received.Data, received.Port)
	v.Time, v.Worker = t.clock.Time(received.Time), int(received.Worker)
	foretold := len(v.Steps) > 0 && !v.Steps[len(v.Steps)-1].OK
	switch {
	case received.Drop != "":
		v.Outcome, v.Reason = "dropped", received.Drop
		if !foretold || x.Drop.String() != received.Drop {
			t.correct(&v, foretold)
			v.Steps = append(v.Steps, api.TraceStep{Step: "forward", Text: help(received.Drop)})
		}
	case received.Held && len(sent) == 0:
		v.Outcome = "held"
		t.correct(&v, foretold)
		v.Steps = append(v.Steps, api.TraceStep{Step: "held", OK: true, Text: "it waits for other frames"})
	default:
		v.Outcome = "sent"
		t.correct(&v, foretold)
		for i := range sent {
			t.sent(&v, sent[i].Port, sent[i].Data)
		}
	}
	return v
}

// correct takes back an end that was foretold and did not come: things have changed since the frame came.
func (t *tracer) correct(v *api.Trace, foretold bool) {
	if foretold {
		v.Steps = v.Steps[:len(v.Steps)-1]
	}
}

func help(reason string) string {
	for _, d := range pw.AllDrops() {
		if d.String() == reason {
			return d.Help()
		}
	}
	return reason
}

// serveTrace writes the ways of the next frames, a line each.
func (a *Appliance) serveTrace(w http.ResponseWriter, r *http.Request) {
	f, e := a.captureFilter(r)
	if e == nil && r.URL.Query().Get("of") == "" {
		e = &api.Error{Code: api.CodeInvalidRequest, Text: "of names no session and no port"}
	}
	if e != nil {
		refuseCapture(w, e)
		return
	}
	count, err := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil || count < 1 {
		refuse(w, http.StatusBadRequest, api.CodeInvalidRequest, fmt.Sprintf("count %q: must be a number of frames", r.URL.Query().Get("count")))
		return
	}
	// What passes a port is also sent by it; a trace begins where a frame is received.
	port := f.Port
	f.Port = -1
	c, ok := a.taps.Start(f)
	if !ok {
		refuseCapture(w, &api.Error{Code: api.CodeTooManyCaptures, Text: "too many captures and traces run already; end one"})
		return
	}
	defer c.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	if control.Flush() != nil {
		return
	}
	t := a.newTracer()
	enc := json.NewEncoder(w)
	for count > 0 {
		select {
		case <-c.Ready():
		case <-r.Context().Done():
			return
		}
		c.Frames(func(received *capture.Record, sent []capture.Record) bool {
			if port >= 0 && int(received.Port) != port {
				return true
			}
			count--
			err = enc.Encode(t.tell(received, sent))
			return err == nil && count > 0
		})
		if err != nil || control.Flush() != nil {
			return
		}
	}
}

// serveTraceFrame tells what would become of a frame.
func (a *Appliance) serveTraceFrame(w http.ResponseWriter, r *http.Request) {
	var q api.TraceRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, api.CodeInvalidRequest, "read request: "+err.Error())
		return
	}
	frame, err := hex.DecodeString(string(bytes.TrimSpace([]byte(q.Frame))))
	if err != nil || len(frame) > 1<<16 {
		refuse(w, http.StatusBadRequest, api.CodeInvalidRequest, "frame: must be at most 65536 bytes in hexadecimal digits")
		return
	}
	a.mu.Lock()
	p := a.shownPort(q.Port)
	a.mu.Unlock()
	if p == nil {
		refuse(w, http.StatusNotFound, api.CodeNoSuchPort, fmt.Sprintf("there is no port %q", q.Port))
		return
	}
	answer(w, a.newTracer().foretell(frame, p.index))
}
