package pw

// extraCounters are one worker's counts for one session slot that only a session with an extra has:
// a cache line, in chunks that are there where one is.
type extraCounters struct {
	rxECN, txRate, rxRate, rxStorm counter
	rxSeqDiscards, rxOOSPackets    counter
	_                              [2]counter
}

// addExtra sums one worker's counts of a slot into c.
func (f *Forwarder) addExtra(slot uint32, c *Counters) {
	if !f.extraCounters.has(slot) {
		return
	}
	s := f.extraCounters.at(slot)
	c.RxECNDiscards += s.rxECN.load()
	c.TxRateDiscards += s.txRate.load()
	c.RxRateDiscards += s.rxRate.load()
	c.RxStormDiscards += s.rxStorm.load()
	c.RxSeqDiscards += s.rxSeqDiscards.load()
	c.RxOOSPackets += s.rxOOSPackets.load()
}

// zeroExtra may be called only while no worker can reach the slot.
func (f *Forwarder) zeroExtra(slot uint32) {
	if !f.extraCounters.has(slot) {
		return
	}
	s := f.extraCounters.at(slot)
	for _, c := range []*counter{&s.rxECN, &s.txRate, &s.rxRate, &s.rxStorm, &s.rxSeqDiscards, &s.rxOOSPackets} {
		c.store(0)
	}
}
