package api

import "net/http"

// operation is what one method does at one path.
type operation struct {
	pattern string // "METHOD /path/{parameter}"
	id      string
	summary string
	query   []parameter
	body    any // a value of its type, or a schema's name
	status  int // of success; 0: 200
	answer  any // as body; nil: none
	media   []string
	codes   []string // beside those of every operation
}

type parameter struct{ name, kind, text string }

var (
	withCookies = parameter{"cookies", "flag", "cookies in clear"}
	withConfig  = parameter{"config", "flag", "each with its keys"}
	ofErrors    = parameter{"errors", "flag", "only sessions with errors, discards or a suspicion"}
	ofOne       = parameter{"of", "string", "a port, tunnel/session, or a session's bare name where that is unique"}
)

var (
	changing = []string{CodeInvalidConfig, CodeClash, CodeInterface, CodeStopping, CodeFailed}
	tapping  = []string{CodeNoSuchSession, CodeAmbiguousSession, CodeSessionWaits, CodeTooManyCaptures}
)

func with(list []string, more ...string) []string { return append(list[:len(list):len(list)], more...) }

var operations = []operation{
	{pattern: "GET /openapi.json", id: "getDescription", summary: "This document", answer: "object"},
	{pattern: "GET /v1/status", id: "getStatus", summary: "The process as a whole", answer: Status{}},
	{pattern: "GET /v1/config", id: "getConfig", summary: "What runs as a configuration file that loads, cookies in clear; tables that the API created come after the comment \"# created through the API\"", answer: "string", media: []string{"application/toml"}},
	{pattern: "GET /v1/ports", id: "listPorts", summary: "All ports", answer: []Port{}},
	{pattern: "GET /v1/drops", id: "listDrops", summary: "Every reason not to forward a frame, with its count", answer: []Drop{}},
	{pattern: "GET /v1/workers", id: "listWorkers", summary: "All workers", answer: []Worker{}},

	{pattern: "GET /v1/tunnels", id: "listTunnels", summary: "All tunnels, in the order of the configuration", query: []parameter{withConfig}, answer: []Tunnel{}},
	{pattern: "POST /v1/tunnels", id: "createTunnel", summary: "Add a tunnel, and its sessions if session has any: all stand, or none does", body: "NewTunnel", status: http.StatusCreated, answer: Tunnel{}, codes: with(changing, CodeTunnelExists)},
	{pattern: "GET /v1/tunnels/{tunnel}", id: "getTunnel", summary: "One tunnel with its keys", answer: Tunnel{}, codes: []string{CodeNoSuchTunnel}},
	{pattern: "PATCH /v1/tunnels/{tunnel}", id: "modifyTunnel", summary: "Change keys of a tunnel and leave the others as they are; counters go on. What the file has is as it says after the next reload", body: "TunnelKeys", answer: Tunnel{}, codes: with(changing, CodeNoSuchTunnel)},
	{pattern: "DELETE /v1/tunnels/{tunnel}", id: "deleteTunnel", summary: "Remove a tunnel with its sessions; one that the file has comes back at a reload", status: http.StatusNoContent, codes: with(changing, CodeNoSuchTunnel)},

	{pattern: "GET /v1/sessions", id: "listSessions", summary: "All sessions, in the order of the configuration", query: []parameter{{"tunnel", "string", "only those of this tunnel"}, ofErrors, withConfig, withCookies}, answer: []Session{}, codes: []string{CodeNoSuchTunnel}},
	{pattern: "GET /v1/sessions/{session}", id: "findSession", summary: "One session with its keys, by a name that is unique", query: []parameter{withCookies}, answer: Session{}, codes: []string{CodeNoSuchSession, CodeAmbiguousSession}},
	{pattern: "GET /v1/sessions/{tunnel}/{session}", id: "getSessionByPath", summary: "One session with its keys", query: []parameter{withCookies}, answer: Session{}, codes: []string{CodeNoSuchSession}},
	{pattern: "GET /v1/tunnels/{tunnel}/sessions", id: "listTunnelSessions", summary: "A tunnel's sessions", query: []parameter{ofErrors, withConfig, withCookies}, answer: []Session{}, codes: []string{CodeNoSuchTunnel}},
	{pattern: "POST /v1/tunnels/{tunnel}/sessions", id: "createSession", summary: "Add a session to a tunnel, of the file or not", body: "NewSession", status: http.StatusCreated, answer: Session{}, codes: with(changing, CodeNoSuchTunnel, CodeNoSuchSession, CodeSessionExists)},
	{pattern: "GET /v1/tunnels/{tunnel}/sessions/{session}", id: "getSession", summary: "One session with its keys", query: []parameter{withCookies}, answer: Session{}, codes: []string{CodeNoSuchSession}},
	{pattern: "PATCH /v1/tunnels/{tunnel}/sessions/{session}", id: "modifySession", summary: "Change keys of a session and leave the others as they are; counters go on. What the file has is as it says after the next reload", body: "SessionKeys", answer: Session{}, codes: with(changing, CodeNoSuchTunnel, CodeNoSuchSession)},
	{pattern: "DELETE /v1/tunnels/{tunnel}/sessions/{session}", id: "deleteSession", summary: "Remove a session; one that the file has comes back at a reload", status: http.StatusNoContent, codes: with(changing, CodeNoSuchTunnel, CodeNoSuchSession)},

	{pattern: "POST /v1/reload", id: "reload", summary: "Read the configuration file again and make what it says run; one with errors changes nothing", body: ReloadRequest{}, answer: Reload{}, codes: []string{CodeInvalidConfig, CodeStopping, CodeFailed}},
	{pattern: "POST /v1/confirm", id: "confirm", summary: "Keep what the last reload did, which would be rolled back otherwise", status: http.StatusNoContent, codes: []string{CodeNothingWaits, CodeStopping}},
	{pattern: "GET /v1/events", id: "followEvents", summary: "One event a line from now on, for as long as the reader stays; an empty line every 30 s in which nothing happens. With Accept: text/event-stream as server-sent events", answer: Event{}, media: []string{"application/x-ndjson", "text/event-stream"}},

	{pattern: "GET /v1/capture", id: "capture", summary: "Frames as pcapng until there are count, or the capture is deleted. Header Xwire-Capture has its id, trailers Xwire-Frames and Xwire-Lost its counts", query: []parameter{
		ofOne, {"inner", "flag", "frames inside the pseudowire"}, {"outer", "flag", "packets outside"}, {"drops", "flag", "what was dropped"}, {"count", "integer", "frames after which it ends; absent: when told"}, {"snaplen", "integer", "bytes of each frame; absent: all"},
	}, answer: "binary", media: []string{"application/x-pcapng"}, codes: tapping},
	{pattern: "DELETE /v1/captures/{id}", id: "endCapture", summary: "End a capture as it ought to end", status: http.StatusNoContent, codes: []string{CodeNoSuchCapture}},
	{pattern: "GET /v1/trace", id: "trace", summary: "The ways of the next frames of a session or port, one a line", query: []parameter{ofOne, {"count", "integer", "frames after which it ends"}}, answer: Trace{}, media: []string{"application/x-ndjson"}, codes: tapping},
	{pattern: "POST /v1/trace", id: "traceFrame", summary: "What would become of a frame; nothing is sent or counted", body: TraceRequest{}, answer: Trace{}, codes: []string{CodeNoSuchPort}},
}
