package pw

import "sync/atomic"

// Counters are a session's. The first ten carry the kernel's names; the byte counters count the
// L2TP header (over UDP including its flags word) and the payload, without UDP and IP, as the
// kernel's do.
type Counters struct {
	TxPackets        uint64 // encapsulated and given to a core port
	TxBytes          uint64
	TxErrors         uint64 // for this session, but could not be encapsulated
	RxPackets        uint64 // passed cookie and sublayer, delivered or not
	RxBytes          uint64
	RxSeqDiscards    uint64
	RxOOSPackets     uint64
	RxErrors         uint64 // every frame of this session that was not delivered, whatever the reason
	RxCookieDiscards uint64
	RxInvalid        uint64    // tunnels only: wrong version, or too short for cookie and sublayer
	RxCookie         [2]uint64 // frames accepted by the first and by the second rx cookie
	RxOAM            uint64    // dropped for the V bit
	RxFragments      uint64    // dropped for the B or E bit
	TxRateDiscards   uint64    // dropped for Limits.Tx
	RxRateDiscards   uint64    // dropped for Limits.Rx
	RxStormDiscards  uint64    // dropped for a limit of broadcast, multicast or unknown unicast
	RxECNDiscards    uint64    // dropped for congestion that the packet inside cannot tell of
	SublayerBits     uint64    // accepted with reserved bits set in the sublayer
	Suspect          uint64    // frames that look as if the peer's settings were different; see Suspicion
}

// rareCounters are the counts of a session slot that stay as they are while frames are forwarded as
// usual: a cache line. Workers share them, by atomic additions; what they count of frames forwarded
// is in each one's copy of session.
type rareCounters struct {
	txErrors, rxErrors, rxCookieDiscards, rxOAM, rxFragments, sublayerBits, suspect sharedCounter

	suspicion sharedCounter // time, its low 16 bits a Suspicion
}

// sharedCounter is written by any worker.
type sharedCounter struct{ atomic.Uint64 }

func (c *sharedCounter) add(n uint64) { c.Add(n) }

func (c *counter) load() uint64   { return atomic.LoadUint64((*uint64)(c)) }
func (c *counter) store(n uint64) { atomic.StoreUint64((*uint64)(c), n) }

// addTo sums the counts into c.
func (r *rareCounters) addTo(c *Counters) {
	c.TxErrors += r.txErrors.Load()
	c.RxErrors += r.rxErrors.Load()
	c.RxCookieDiscards += r.rxCookieDiscards.Load()
	c.RxOAM += r.rxOAM.Load()
	c.RxFragments += r.rxFragments.Load()
	c.SublayerBits += r.sublayerBits.Load()
	c.Suspect += r.suspect.Load()
}

// zero may be called only while no worker can reach the slot.
func (r *rareCounters) zero() {
	for _, c := range []*sharedCounter{&r.txErrors, &r.rxErrors, &r.rxCookieDiscards, &r.rxOAM, &r.rxFragments,
		&r.sublayerBits, &r.suspect, &r.suspicion} {
		c.Store(0)
	}
}

// add sums two sessions' counts.
func (c *Counters) add(o *Counters) {
	c.TxPackets += o.TxPackets
	c.TxBytes += o.TxBytes
	c.TxErrors += o.TxErrors
	c.RxPackets += o.RxPackets
	c.RxBytes += o.RxBytes
	c.RxSeqDiscards += o.RxSeqDiscards
	c.RxOOSPackets += o.RxOOSPackets
	c.RxErrors += o.RxErrors
	c.RxCookieDiscards += o.RxCookieDiscards
	c.RxInvalid += o.RxInvalid
	c.RxCookie[0] += o.RxCookie[0]
	c.RxCookie[1] += o.RxCookie[1]
	c.RxOAM += o.RxOAM
	c.RxFragments += o.RxFragments
	c.TxRateDiscards += o.TxRateDiscards
	c.RxRateDiscards += o.RxRateDiscards
	c.RxStormDiscards += o.RxStormDiscards
	c.RxECNDiscards += o.RxECNDiscards
	c.SublayerBits += o.SublayerBits
	c.Suspect += o.Suspect
}

// portCounters are one worker's counts for the frames that one port received.
type portCounters struct {
	forwarded   counter
	reassembled counter // packets
	merged      counter // fragments that went into these, or will, but for the first ones
	drops       [NumDrops]counter
}

// rare is where the session's rare counts are.
func (f *Forwarder) rare(d *session) *rareCounters { return f.table.rare.at(d.slot) }
