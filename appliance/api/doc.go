// Package api is the control interface of a running xwire: the JSON shapes that it serves on its
// unix socket, and the client that the xwire command uses. Key names are those of `ip -j l2tp`
// and the kernel's L2TP statistics where these exist.
//
// The server speaks HTTP/1.1, and gives all of this as an OpenAPI document at /openapi.json. Every path below answers GET with one JSON value:
//
//	/v1/status                        Status
//	/v1/tunnels                       []Tunnel
//	/v1/sessions?tunnel=&errors=1     []Session
//	/v1/sessions/{tunnel}/{session}   Session
//	/v1/ports                         []Port
//	/v1/drops                         []Drop
//	/v1/workers                       []Worker
//	/v1/tunnels/{tunnel}              Tunnel
//	/v1/tunnels/{tunnel}/sessions     []Session
//	/v1/tunnels/{tunnel}/sessions/{session}  Session
//	/v1/config                        the running configuration, as TOML
//	/v1/events                        one Event a line, for as long as the reader stays
//	/v1/capture?of=&inner=1&outer=1&drops=1&count=&snaplen=  pcapng; header Xwire-Capture: ID, trailers Xwire-Frames, Xwire-Lost
//	/v1/trace?of=&count=              one Trace a line, of the next frames of a session or port
//
// What changes something takes and gives JSON too. Keys and values are those of the configuration file:
//
//	POST   /v1/tunnels                         {"name": NAME, KEY: VALUE, ..., "session": {NAME: {KEY: VALUE}}} -> Tunnel
//	PATCH  /v1/tunnels/{tunnel}                {KEY: VALUE, ...}, null for the default -> Tunnel
//	DELETE /v1/tunnels/{tunnel}
//	POST   /v1/tunnels/{tunnel}/sessions       {"name": NAME, KEY: VALUE, ...} -> Session
//	PATCH  /v1/tunnels/{tunnel}/sessions/{session}  {KEY: VALUE, ...} -> Session
//	DELETE /v1/tunnels/{tunnel}/sessions/{session}
//	POST   /v1/reload                          ReloadRequest -> Reload
//	POST   /v1/confirm
//	POST   /v1/trace                           TraceRequest -> Trace; changes nothing
//	DELETE /v1/captures/{id}                   ends that capture's stream as it ought to end
//
// Cookies are secrets: they are given only with ?cookies=1. An error is answered with a status of
// 4xx or 5xx and an Error value; a query parameter that a path does not know is one, and so is a method
// that it is not served by (405, with the header Allow).
package api
