package api

import "time"

// Error is the body of an answer that is not a success. Code is stable, Text is for people.
type Error struct {
	Code   string  `json:"code"`
	Text   string  `json:"text"`
	Errors []Fault `json:"errors,omitempty"` // each thing that is wrong, where there may be several
}

func (e *Error) Error() string { return e.Text }

// Status tells of the process as a whole.
type Status struct {
	Version       string     `json:"version"`
	PID           int        `json:"pid"`
	Started       time.Time  `json:"started"`
	UptimeSeconds float64    `json:"uptime_seconds"`
	Config        string     `json:"config"`
	Kept          string     `json:"kept,omitempty"`           // runs instead of Config
	Instead       string     `json:"instead,omitempty"`        // why Config does not run: errors | not confirmed
	Confirm       *time.Time `json:"confirm_before,omitempty"` // what the last reload did is rolled back then, unless confirmed
	Ready         bool       `json:"ready"`
	Ports         int        `json:"ports"`
	PortsUp       int        `json:"ports_up"`
	Tunnels       int        `json:"tunnels"`
	TunnelsUp     int        `json:"tunnels_up"`
	Sessions      int        `json:"sessions"`
	Workers       int        `json:"workers"`
	ResidentBytes uint64     `json:"resident_bytes"`
	Waiting       []string   `json:"waiting,omitempty"` // what is not up, and why
	Arena         Arena      `json:"arena"`
}

// Arena is the memory of frames.
type Arena struct {
	ChunkBytes int  `json:"chunk_bytes"`
	Chunks     int  `json:"chunks"`
	HugePages  bool `json:"huge_pages"`
	Quarantine int  `json:"quarantine_frames"` // out of use: drivers of closed ports did not let go of them
}

// Statistics has the kernel's ten names (L2TP_ATTR_STATS). Bytes count the L2TP header and the
// payload, without outer UDP and IP.
type Statistics struct {
	TxPackets        uint64 `json:"tx_packets"`
	TxBytes          uint64 `json:"tx_bytes"`
	TxErrors         uint64 `json:"tx_errors"`
	RxPackets        uint64 `json:"rx_packets"`
	RxBytes          uint64 `json:"rx_bytes"`
	RxSeqDiscards    uint64 `json:"rx_seq_discards"`
	RxOOSPackets     uint64 `json:"rx_oos_packets"`
	RxErrors         uint64 `json:"rx_errors"`
	RxCookieDiscards uint64 `json:"rx_cookie_discards"`
	RxInvalid        uint64 `json:"rx_invalid"`
}

// NextHop is where a tunnel's packets leave.
type NextHop struct {
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	Port      string     `json:"port,omitempty"`
	Interface string     `json:"interface,omitempty"`
	Lladdr    string     `json:"lladdr,omitempty"`
	VLANs     []int      `json:"vlans,omitempty"`
	MTU       int        `json:"mtu,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
}

// Tunnel is one tunnel. Checksum and its siblings are as in `ip -j l2tp show tunnel`.
type Tunnel struct {
	Name         string `json:"name"`
	Description  string `json:"description,omitempty"`
	Enabled      bool   `json:"enabled"`
	TunnelID     uint32 `json:"tunnel_id"`
	PeerTunnel   uint32 `json:"peer_tunnel"`
	Version      string `json:"version"`
	Encap        string `json:"encap"`
	Local        string `json:"local"`
	Peer         string `json:"peer"`
	LocalPort    uint16 `json:"local_port,omitempty"`
	PeerPort     uint16 `json:"peer_port,omitempty"`
	VRF          string `json:"vrf,omitempty"`
	TTL          uint8  `json:"ttl"` // or hop limit
	DF           bool   `json:"df"`
	TOS          string `json:"tos"`                     // or traffic class: "0x00" to "0xff"
	AnyPeerPort  *bool  `json:"any_peer_port,omitempty"` // UDP
	Checksum     *bool  `json:"checksum,omitempty"`
	ChecksumTx   *bool  `json:"checksum_tx,omitempty"`
	ChecksumRx   *bool  `json:"checksum_rx,omitempty"`
	Keyed        bool   `json:"keyed,omitempty"`
	Unknown      string `json:"unknown"` // data messages of sessions that are none of ours: drop | kernel
	SessionCount int    `json:"session_count"`
	Origin       string `json:"origin"`           // file | api
	Config       Keys   `json:"config,omitempty"` // every key with its value, where one tunnel is asked for, or config=1

	HelloTimeout int64  `json:"hello_timeout,omitempty"` // ms; 0: HELLOs are answered, not sent
	OnDown       string `json:"on_down"`                 // none | ac-down

	State   string     `json:"state"` // of the peer: up | down | unknown (hello_timeout is not set, or nothing was answered yet) | disabled
	Reason  string     `json:"reason,omitempty"`
	Since   *time.Time `json:"since,omitempty"` // of the last change of State
	Hello   Hello      `json:"hello"`
	PathMTU int        `json:"path_mtu,omitempty"` // bytes, largest outer packet: by the route, or by a router behind it that told within the last ten minutes
	NextHop NextHop    `json:"next_hop"`
	Statistics
}

// Hello is the exchange of control messages on a static tunnel that State follows from.
type Hello struct {
	Heard    *time.Time `json:"heard,omitempty"`
	Sent     uint64     `json:"sent"`
	Received uint64     `json:"received"`
}

// Session is one session: a pseudowire and its attachment circuit.
type Session struct {
	Name          string `json:"name"`
	Tunnel        string `json:"tunnel"`
	Description   string `json:"description,omitempty"`
	Enabled       bool   `json:"enabled"`
	SessionID     uint32 `json:"session_id"`
	TunnelID      uint32 `json:"tunnel_id"`
	PeerSessionID uint32 `json:"peer_session_id"`
	PeerTunnelID  uint32 `json:"peer_tunnel_id"`
	Pseudowire    string `json:"pseudowire"`
	L2SpecType    string `json:"l2spec_type"`

	Interface string `json:"interface,omitempty"` // the local interface, where that is the AC
	Port      string `json:"port,omitempty"`      // the port, where that is the AC
	Switched  string `json:"switched,omitempty"`  // tunnel/session, where another session is the AC
	VLAN      string `json:"vlan,omitempty"`
	PWVLAN    string `json:"pw_vlan,omitempty"`

	PPPoESessionID uint16 `json:"pppoe_session_id,omitempty"`
	PPPoEPeerMAC   string `json:"pppoe_peer_mac,omitempty"`

	MTU          int    `json:"mtu,omitempty"`
	Oversize     string `json:"oversize"` // fragment | drop | pw
	AnswerTooBig bool   `json:"icmp_too_big"`
	MSSClamp     string `json:"mss_clamp,omitempty"` // "path": to what fits it, or bytes

	Marking
	Limits
	CookieBytes     int      `json:"cookie_bytes"`
	PeerCookieBytes int      `json:"peer_cookie_bytes"`
	Cookie          string   `json:"cookie,omitempty"`       // what we send
	PeerCookie      []string `json:"peer_cookie,omitempty"`  // what we accept
	CookieFrames    []uint64 `json:"rx_cookie_frames"`       // accepted frames for each cookie of peer_cookie
	State           string   `json:"state"`                  // up | waiting | disabled
	Reason          string   `json:"reason,omitempty"`       // of waiting
	Suspect         uint64   `json:"suspect"`                // frames that look as if the peer is set up otherwise
	Suspicion       string   `json:"suspicion,omitempty"`    // what they look like
	SublayerBits    uint64   `json:"rx_sublayer_bits"`       // frames with unknown bits in the sublayer
	OAM             uint64   `json:"rx_oam_discards"`        // frames with the V bit
	TxRateDiscards  uint64   `json:"tx_rate_discards"`       // frames above rate into the pseudowire
	RxRateDiscards  uint64   `json:"rx_rate_discards"`       // frames above rate out of it
	StormDiscards   uint64   `json:"rx_storm_discards"`      // frames above a limit of broadcast, multicast or unknown unicast
	ECNDiscards     uint64   `json:"rx_ecn_discards"`        // frames that could not tell of congestion on the way
	Fragments       uint64   `json:"rx_fragment_discards"`   // frames with the B or E bit that were not put together
	SendSeq         bool     `json:"send_seq"`               // numbers are sent now
	RecvSeq         bool     `json:"recv_seq"`               // numbers are required
	LNSMode         *bool    `json:"lns_mode,omitempty"`     // false: numbers are sent while the peer sends them; true: they are required while we send them; absent: each as it is set
	ReorderTimeout  int64    `json:"reorder_timeout"`        // ms
	ResyncAfter     int64    `json:"resync_after,omitempty"` // where it is not the usual number
	NS              *uint32  `json:"ns,omitempty"`           // number of the next packet sent, where numbers count
	NR              *uint32  `json:"nr,omitempty"`           // expected next
	SeqLost         uint64   `json:"rx_seq_lost"`            // numbers that did not come in their turn
	SeqResyncs      uint64   `json:"rx_seq_resyncs"`         // times that the peer began its numbers anew
	Rates           *Rates   `json:"rates,omitempty"`        // with show --rates
	Origin          string   `json:"origin"`                 // file | api
	Config          Keys     `json:"config,omitempty"`       // every key with its value, where one session is asked for, or config=1; cookies only if they are asked for
	Statistics
}

// Rates are per second over the interval that the command measured.
type Rates struct {
	TxPackets float64 `json:"tx_packets_per_second"`
	TxBytes   float64 `json:"tx_bytes_per_second"`
	RxPackets float64 `json:"rx_packets_per_second"`
	RxBytes   float64 `json:"rx_bytes_per_second"`
}

// Port is one interface given to xwire. Received = Sent + Held + the sum of Drops, where Received
// has all frames that came here, Sent those of them that were given to some port to send, and
// Drops those that were not, the kernel's own XDP drops included. Transmitted counts the frames
// that this port was given to send, wherever they came from.
type Port struct {
	Name         string            `json:"name"`
	Description  string            `json:"description,omitempty"`
	Interface    string            `json:"interface"`
	Ifindex      int               `json:"ifindex,omitempty"`
	Index        int               `json:"index"`
	State        string            `json:"state"` // up | down | waiting
	Reason       string            `json:"reason,omitempty"`
	Mode         string            `json:"mode,omitempty"` // granted: zerocopy | copy | skb
	BusyPoll     bool              `json:"busy_poll"`      // asked for
	Driver       string            `json:"driver,omitempty"`
	MTU          int               `json:"mtu,omitempty"`
	MaxFrame     int               `json:"max_frame,omitempty"` // bytes, with the Ethernet header, that there is room for, whatever the MTU
	MultiBuffer  bool              `json:"multi_buffer"`        // frames may have several buffers
	Queues       []Queue           `json:"queues,omitempty"`
	Received     uint64            `json:"received"`
	Sent         uint64            `json:"sent"`
	Held         uint64            `json:"held"`
	Drops        map[string]uint64 `json:"drops"`
	Transmitted  uint64            `json:"transmitted"`
	Reassembled  uint64            `json:"reassembled"`            // packets that came in outer fragments and were put together: each is one in Received
	ToKernel     map[string]uint64 `json:"to_kernel,omitempty"`    // about our tunnels or circuits, but the kernel's, by reason; in none of the counts above
	ControlHeard uint64            `json:"control_heard"`          // control messages over UDP to our tunnels, which the appliance reads; in none of the counts above
	Spliced      map[string]uint64 `json:"splice_drops,omitempty"` // of the trunk: dropped between it and local interfaces, by reason; in none of the counts above
	Changes      []string          `json:"changes,omitempty"`      // NIC settings that we hold changed
}

// Queue is one queue of a port with the kernel's XDP_STATISTICS.
type Queue struct {
	Queue           uint32 `json:"queue"`
	Worker          int    `json:"worker"`
	RxDropped       uint64 `json:"rx_dropped"`
	RxInvalidDescs  uint64 `json:"rx_invalid_descs"`
	TxInvalidDescs  uint64 `json:"tx_invalid_descs"`
	RxRingFull      uint64 `json:"rx_ring_full"`
	RxFillRingEmpty uint64 `json:"rx_fill_ring_empty_descs"`
	TxRingEmpty     uint64 `json:"tx_ring_empty_descs"`
}

// Drop is one reason not to forward, summed over ports.
type Drop struct {
	Reason string            `json:"reason"`
	Help   string            `json:"help"`
	Frames uint64            `json:"frames"`
	Ports  map[string]uint64 `json:"ports"`
}

// Worker is one worker and what its rounds did.
type Worker struct {
	Index          int     `json:"index"`
	CPU            int     `json:"cpu"`
	Parked         bool    `json:"parked"`
	Rounds         uint64  `json:"rounds"`
	Batches        uint64  `json:"batches"`
	Frames         uint64  `json:"frames"`
	FramesPerBatch float64 `json:"frames_per_batch"`
	Polls          uint64  `json:"polls"`
	Wakeups        uint64  `json:"wakeups"`
	Kicks          uint64  `json:"tx_kicks"`
	KicksSaved     uint64  `json:"tx_kicks_suppressed"`
	BusySeconds    float64 `json:"busy_seconds"`
	OAM            uint32  `json:"oam_messages"`      // VCCV messages handed to the appliance
	OAMLost        uint64  `json:"oam_messages_lost"` // not handed over: too many at once, or too long
}
