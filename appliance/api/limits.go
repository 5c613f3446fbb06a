package api

// Limits is what a session may carry; its names are those of the configuration's keys, and what is
// absent is not limited.
type Limits struct {
	RateTx              int64  `json:"rate_tx,omitempty"`  // bits a second into the pseudowire
	BurstTx             int64  `json:"burst_tx,omitempty"` // bytes
	RateRx              int64  `json:"rate_rx,omitempty"`
	BurstRx             int64  `json:"burst_rx,omitempty"`
	BroadcastLimit      uint32 `json:"broadcast_limit,omitempty"` // frames a second
	MulticastLimit      uint32 `json:"multicast_limit,omitempty"`
	UnknownUnicastLimit uint32 `json:"unknown_unicast_limit,omitempty"`
}
