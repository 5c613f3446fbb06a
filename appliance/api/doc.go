// Package api is the control interface of a running xwire: the JSON shapes that it serves on its
// unix socket, and the client that the xwire command uses. Key names are those of `ip -j l2tp`
// and the kernel's L2TP statistics where these exist.
//
// The server speaks HTTP/1.1. Every path below answers GET with one JSON value:
//
//	/v1/status                        Status
//	/v1/tunnels                       []Tunnel
//	/v1/sessions?tunnel=&errors=1     []Session
//	/v1/sessions/{tunnel}/{session}   Session
//	/v1/ports                         []Port
//	/v1/drops                         []Drop
//	/v1/workers                       []Worker
//
// Cookies are secrets: they are given only with ?cookies=1. An error is answered with a status of
// 4xx or 5xx and an Error value.
package api
