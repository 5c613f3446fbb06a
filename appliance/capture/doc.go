// Package capture shows frames to an operator: those that ports receive and send, and those that are
// dropped, with the reason.
//
//	rings' worker -> Tap -> pw.Forwarder
//	                  |
//	                  +-> a ring for each Capture and worker -> the goroutine that writes pcapng
//
// While nothing is captured, a Tap costs one load and one branch a batch. While something is, the
// worker looks at each frame by itself, and copies those that are asked for; it waits for nobody, and
// what a reader does not take in time is counted as lost. Other frames are processed as ever, but those
// that are looked at go one by one: a worker is slower meanwhile.
//
// What cannot be seen: frames that the steering program leaves to the kernel or drops, and those that
// the kernel drops for want of room. Frames that a session held and gave up by time-out, and outer
// fragments, are of no session here.
package capture
