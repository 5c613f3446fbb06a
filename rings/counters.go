package rings

import "golang.org/x/sys/unix"

// maxPorts is the number of port indexes. Counters of frames from no port stand at maxPorts.
const maxPorts = 1024

// portCounters is one worker's share of the counters of one port.
type portCounters struct {
	received    counter // frames that came from the port's RX rings
	injected    counter // frames that came from no ring, in the port's name
	taken       counter // of both: given to the handler
	given       counter // frames that came back from the handler
	returned    counter // of these: given back to the pool (the handler's drops)
	sent        counter // frames received on this port and handed to a TX ring
	transmitted counter // frames handed to this port's TX rings
	busy        counter // of these: refused by the driver and lost
	drops       [NumDrops]counter
	_           [64]byte
}

// workerCounters are the counters of a worker that concern no port.
type workerCounters struct {
	rounds     counter
	batches    counter
	frames     counter // in all batches
	polls      counter // times parked
	wakeups    counter // times another worker or the control side ended a poll
	kicks      counter // system calls to wake the kernel
	suppressed counter // wake-ups the kernel did not need
	busy       counter // nanoseconds not parked
	_          [64]byte
}

// account holds the counters of one port index. It outlives the port, so that what was counted is
// not lost when the port is removed and added again.
type account struct {
	workers []*portCounters    // one a worker
	closed  unix.XDPStatistics // of sockets that are closed
}

func (a *account) sum(of func(*portCounters) *counter) (n uint64) {
	for _, c := range a.workers {
		n += of(c).load()
	}
	return n
}

func addStatistics(sum *unix.XDPStatistics, s unix.XDPStatistics) {
	sum.Rx_dropped += s.Rx_dropped
	sum.Rx_invalid_descs += s.Rx_invalid_descs
	sum.Tx_invalid_descs += s.Tx_invalid_descs
	sum.Rx_ring_full += s.Rx_ring_full
	sum.Rx_fill_ring_empty_descs += s.Rx_fill_ring_empty_descs
	sum.Tx_ring_empty_descs += s.Tx_ring_empty_descs
}
