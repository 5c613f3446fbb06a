// Package gol2tp joins go-l2tp (github.com/katalix/go-l2tp v0.1.8), which speaks L2TPv2's control
// protocol as a LAC, to xwire as its data plane. It is a module of its own, so that xwire itself
// does not depend on what go-l2tp depends on.
//
//	Plane   implements l2tp.DataPlane with requests to xwire's control socket
//	Daemon  dials the dynamic tunnels of a configuration, with their sessions, and dials them again
//
// Steering leaves control messages to the socket that go-l2tp has; xwire sees that a program has a
// socket for that peer and does not answer itself.
//
// What is worked around of go-l2tp v0.1.8:
//
//   - hello_timeout takes a healthy tunnel down after that time and seven seconds, because HELLOs
//     never count as acknowledged. It is not passed on: see keepalive.
//   - After StopCCN the data plane stays for 31 seconds. The daemon waits stopTime.
//   - A tunnel that was never up goes without an event, and a session that is made meanwhile waits
//     for ever: the daemon learns from the log that a tunnel is gone, and makes sessions when it is up.
//   - Closing a tunnel that is about to end by itself panics, or waits for ever: the daemon learns
//     that from the log too, and lets it end.
//   - A tunnel that ends before NewDynamicTunnel returns keeps its name: each try has its own.
//   - NewTunnel is told the configured addresses, not those in use: Plane asks the socket.
//   - Nothing is dialed again.
package gol2tp
