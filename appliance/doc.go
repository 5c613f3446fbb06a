// Package appliance builds and runs the whole: it takes a configuration, opens ports and local
// interfaces, fills the session table, keeps next hops as the kernel has them, and answers on
// the control socket. It owns every goroutine of the process.
//
//	config ──> Appliance ──> pw.Table          tunnels, sessions, next hops
//	               │    └──> rings.Fabric      arena, workers, ports
//	               ├── rings/steer             which frames come to us
//	               ├── appliance/nexthop       routes and neighbours, followed
//	               ├── appliance/liveness      HELLOs: are the peers there
//	               ├── appliance/trunk         local interfaces
//	               ├── appliance/host          NIC settings, put back
//	               └── appliance/api           control socket, metrics
//
// # Threads
//
// Workers are the fabric's. One goroutine, Appliance.supervise, opens and closes ports and moves
// next hops into the table; the control server only reads. What both touch stands behind
// Appliance.mu; workers never take it.
package appliance
