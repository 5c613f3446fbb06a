package config

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// Key describes one key of the configuration. The table below is the only place where keys,
// their defaults and their meaning stand: the parser, `xwire check --defaults` and the tests all
// read it.
type Key struct {
	Table    string // "appliance", "port", "tunnel", "session" or "" for the top of a file
	Name     string
	Type     string // as TOML, in words
	Default  any    // string, int64 or bool, applied by the parser; nil: none, see Doc
	Must     bool   // an object without it is refused
	NoEffect bool   // accepted so that ql2tpd's files load, not acted on in this version: a warning
	Alias    string // another name of the same key; giving both is an error
	Example  string // a value, as TOML, for the message that a key with Must is missing
	Doc      string
}

// Keys lists every key, in the order in which a manual should.
func Keys() []Key { return append([]Key(nil), keys...) }

var keys = []Key{
	{Table: "", Name: "include", Type: "array of file patterns", Doc: "more files of the same kind, relative to this one; a name may stand in one file only"},

	{Table: "appliance", Name: "cpus", Type: "array of integers", Doc: "one worker per CPU, repeats allowed; absent: one for each queue of the core port, on the NIC's NUMA node, never all CPUs"},
	{Table: "appliance", Name: "control", Type: "string", Default: "/run/xwire/control.sock", Doc: "path of the control socket"},
	{Table: "appliance", Name: "control_group", Type: "string", Default: "", Doc: "the group, by name or number, whose members may read and change everything through the control socket; empty: only its owner may"},
	{Table: "appliance", Name: "metrics", Type: `string "host:port"`, Default: "", Doc: "where Prometheus may ask; empty: off"},
	{Table: "appliance", Name: "metrics_sessions", Type: `"all" | "none"`, Default: "all", Doc: "whether each session has metrics of its own"},
	{Table: "appliance", Name: "unknown", Type: `"drop" | "kernel"`, Default: "drop", Doc: "data messages to a tunnel's local address and port with a session id that is none of ours: dropped and counted, or left to the kernel, whose own L2TP or a daemon may then use the same address and port"},
	{Table: "appliance", Name: "start", Type: `"degraded" | "strict"`, Default: "degraded", Doc: "degraded: run with the ports that are there and go on trying; strict: all or nothing"},

	{Table: "port", Name: "interface", Type: "string", Must: true, Example: `"ens1f0"`, Doc: "the network interface; one port each"},
	{Table: "port", Name: "description", Type: "string", Default: "", Doc: "free text, 255 bytes"},
	{Table: "port", Name: "queues", Type: "array of integers", Doc: "the queues to bind; absent: all"},
	{Table: "port", Name: "mode", Type: `"auto" | "zerocopy" | "copy" | "skb"`, Default: "auto", Doc: "how its sockets are bound; auto: the best that the driver grants"},
	{Table: "port", Name: "spread", Type: `"auto" | "off"`, Default: "auto", Doc: "auto: with fewer queues than workers, the sessions of received frames are spread over all workers; off: the worker that receives a frame processes it"},
	{Table: "port", Name: "busy_poll", Type: "boolean", Default: false, Doc: "workers run the driver's receiving in their own time (SO_PREFER_BUSY_POLL) while frames come, instead of the interrupt's CPU"},
	{Table: "port", Name: "l2cp", Type: `"tunnel" | "drop" | "host"`, Default: "tunnel", Doc: "what becomes of STP, LACP and LLDP frames of an attached port"},
	{Table: "port", Name: "qinq_tpid", Type: "integer", Default: int64(0x88a8), Doc: "EtherType of the S-tags sent: 0x88a8, 0x8100 or 0x9100"},

	{Table: "tunnel", Name: "description", Type: "string", Default: "", Doc: "free text, 255 bytes"},
	{Table: "tunnel", Name: "enabled", Type: "boolean", Default: true, Doc: "false: checked, not run, and free to share ids, VLANs and names with others"},
	{Table: "tunnel", Name: "version", Type: `"l2tpv3" | "l2tpv2"`, Default: "l2tpv3", Doc: "protocol version; l2tpv2: over UDP, PPP pseudowires, ids of 1 to 65535"},
	{Table: "tunnel", Name: "encap", Type: `"udp" | "ip"`, Default: "udp", Doc: "UDP, or IP protocol 115"},
	{Table: "tunnel", Name: "local", Type: "string", Must: true, Example: `"192.0.2.1"`, Doc: `our address: "192.0.2.1", "192.0.2.1:1701", "2001:db8::1", "[2001:db8::1]:1701"; UDP port 1701 if absent; ":0" is taken with encap = "ip"`},
	{Table: "tunnel", Name: "peer", Type: "string", Must: true, Example: `"198.51.100.7"`, Doc: "the peer's address, written like local"},
	{Table: "tunnel", Name: "tid", Type: "integer", Must: true, Example: "1", Doc: "our tunnel id, 1 to 4294967295, unique"},
	{Table: "tunnel", Name: "ptid", Type: "integer", Must: true, Example: "1", Doc: "the peer's tunnel id"},
	{Table: "tunnel", Name: "vrf", Type: "string", Default: "", Doc: "VRF device whose table routes to the peer; empty: the main table"},
	{Table: "tunnel", Name: "keyed", Type: "boolean", Default: false, Doc: "keyed IPv6 tunnel (RFC 8159): its one session has every packet between the two addresses, whatever the session id; encap = \"ip\", cookies of 8 bytes; tid, ptid and sid may be absent, psid is 4294967295 then"},
	{Table: "tunnel", Name: "unknown", Type: `"drop" | "kernel"`, Doc: "as in [appliance], for this tunnel's local address and port; absent: as there"},
	{Table: "tunnel", Name: "udp_checksum", Type: "boolean", Default: false, Doc: "send UDP checksums over IPv4"},
	{Table: "tunnel", Name: "udp6_checksum_tx", Type: "boolean", Default: true, Doc: "send UDP checksums over IPv6"},
	{Table: "tunnel", Name: "udp6_zero_checksum_rx", Type: "boolean", Default: false, Doc: "accept UDP without a checksum over IPv6"},
	{Table: "tunnel", Name: "hello_timeout", Type: "integer", Default: int64(0), Doc: "ms without a control message from the peer before a HELLO asks whether it is there; 0: never, but the peer's are answered"},
	{Table: "tunnel", Name: "retry_timeout", Type: "integer", Default: int64(1000), Doc: "ms before a HELLO that was not acknowledged is sent again; doubled each time, up to 8000"},
	{Table: "tunnel", Name: "max_retries", Type: "integer", Default: int64(3), Doc: "how often one HELLO is sent before the peer is down"},
	{Table: "tunnel", Name: "window_size", Type: "integer", Default: int64(4), Doc: "control messages in flight"},
	{Table: "tunnel", Name: "ttl", Type: "integer", Default: int64(64), Doc: "TTL or hop limit of its packets, 1 to 255"},
	{Table: "tunnel", Name: "tos", Type: "integer", Default: int64(0), Doc: "TOS or traffic class of its packets, 0 to 255"},
	{Table: "tunnel", Name: "df", Type: "boolean", Default: false, Doc: "\"don't fragment\" in its IPv4 packets, and in fragments that we send"},
	{Table: "tunnel", Name: "any_peer_port", Type: "boolean", Default: false, Doc: "take UDP packets from every port of the peer's address, as its source_port = \"flow\" needs"},
	{Table: "tunnel", Name: "on_down", Type: `"none" | "ac-down"`, Default: "none", Doc: "what becomes of the attachment circuits while the peer is down: nothing; or local interfaces lose their carrier, ports with vlan = \"all\" are set down, and nothing is sent into the tunnel"},
	{Table: "tunnel", Name: "host_name", Type: "string", NoEffect: true, Doc: "name told to the peer"},
	{Table: "tunnel", Name: "framing_caps", Type: `array of "sync", "async"`, NoEffect: true, Doc: "L2TPv2 framing capabilities"},

	{Table: "session", Name: "description", Type: "string", Default: "", Doc: "free text, 255 bytes"},
	{Table: "session", Name: "enabled", Type: "boolean", Default: true, Doc: "false: checked, not run, and free to share ids, VLANs and names with others"},
	{Table: "session", Name: "pseudowire", Type: `"eth" | "vlan" | "ppp" | "pppac"`, Default: "eth", Doc: "Ethernet port or Ethernet VLAN pseudowire, or PPP: ppp and pppac are the same, and end in a PPPoE session or in another session"},
	{Table: "session", Name: "sid", Type: "integer", Must: true, Example: "100", Doc: "our session id, 1 to 4294967295; unique for a pair of addresses and ports"},
	{Table: "session", Name: "psid", Type: "integer", Must: true, Example: "200", Doc: "the peer's session id"},
	{Table: "session", Name: "tx_cookie", Type: "hex string or byte array", Alias: "cookie", Doc: "what we send: 4 or 8 bytes; absent: none"},
	{Table: "session", Name: "rx_cookie", Type: "hex string, byte array, or array of two of them", Alias: "peer_cookie", Doc: "what we accept: 4 or 8 bytes, two of one length while a cookie is changed; absent: none"},
	{Table: "session", Name: "cookie_file", Type: "string", Doc: "file of mode 0600, relative to this one, with tx_cookie and rx_cookie under the same table header"},
	{Table: "session", Name: "l2spec_type", Type: `"none" | "default"`, Default: "none", Doc: "L2-specific sublayer; Linux, VyOS and tunneldigger peers mean \"default\" unless told, so check warns when it is absent"},
	{Table: "session", Name: "attach", Type: "string", Doc: "the attachment circuit: a port, or \"tunnel/session\" to switch between two sessions; absent: a local interface"},
	{Table: "session", Name: "vlan", Type: `"all" | "untagged" | 100 | "100-199" | "100.20"`, Doc: "which frames of the port; needed with attach. S-VLAN before C-VLAN; no overlaps on a port"},
	{Table: "session", Name: "pw_vlan", Type: `"keep" | "none" | 300`, Default: "keep", Doc: "the matched tags inside the pseudowire: kept, taken off, or replaced by one tag"},
	{Table: "session", Name: "interface_name", Type: "string", Doc: "of the local interface, 15 bytes; absent: l2tpethN with N the sid, l2tpxH with H the sid in hex above 99999999, l2tp-H with H a hash of tunnel and session names where that name is taken"},
	{Table: "session", Name: "mtu", Type: "integer", Default: int64(0), Doc: "of the local interface, 68 to 3500; 0: as the kernel computes it for l2tpethN"},
	{Table: "session", Name: "oversize", Type: `"fragment" | "drop" | "pw"`, Default: "fragment", Doc: "a frame whose packet is larger than the path's MTU is sent in IP fragments, as the kernel sends it, dropped and counted, or cut up inside the pseudowire (RFC 4623), in both directions, which needs send_seq"},
	{Table: "session", Name: "icmp_too_big", Type: "boolean", Default: false, Doc: "an IPv4 packet with \"don't fragment\", or one of IPv6, that is too large for the path is dropped and its sender told by ICMP, whatever oversize says"},
	{Table: "session", Name: "mss_clamp", Type: "boolean or integer", Default: false, Doc: "lower the MSS that TCP connections inside announce, in both directions: true: to what fits the path whole, or to a number of bytes"},
	{Table: "session", Name: "seqnum", Type: "boolean", Doc: "sequence numbers: send_seq and recv_seq at once, where these are absent"},
	{Table: "session", Name: "send_seq", Type: "boolean", Default: false, Doc: "number the packets sent; needs l2spec_type = \"default\", as all about sequence numbers does"},
	{Table: "session", Name: "recv_seq", Type: "boolean", Default: false, Doc: "drop packets without a number. Numbers that come are looked at where any of these keys is set: newer packets are accepted at once, older and repeated ones dropped, what is missing counted"},
	{Table: "session", Name: "lns_mode", Type: "boolean", Doc: "who decides about numbers; true: we, and while we send them we require them; false: the peer, and we send them while it does, as the kernel does; absent: each direction as it is set"},
	{Table: "session", Name: "reorder_timeout", Type: "integer", Default: int64(0), Doc: "ms, to 10000, that a packet waits for those before it, then it is delivered; at most 64 wait; 0: none"},
	{Table: "session", Name: "resync_after", Type: "integer", Doc: "1 to 255: after how many old packets in order the peer is taken to have begun anew (RFC 3931 appendix C); absent: 4"},
	{Table: "session", Name: "rate", Type: "integer or string", Doc: "bits a second that each direction may carry, \"10M\" for 10000000, to 1T; bytes of the frame inside the pseudowire count, and what is more is dropped; 0 or absent: any"},
	{Table: "session", Name: "burst", Type: "integer or string", Doc: "bytes that may come at once, \"64Ki\" for 65536, at least the longest frame; absent: 100 ms of the rate, 16384 at least"},
	{Table: "session", Name: "rate_tx", Type: "integer or string", Doc: "the rate into the pseudowire, if it is another; 0: any"},
	{Table: "session", Name: "rate_rx", Type: "integer or string", Doc: "the rate out of the pseudowire, if it is another; 0: any"},
	{Table: "session", Name: "broadcast_limit", Type: "integer", Doc: "broadcast frames a second, and as many at once, towards the customer; 0 or absent: any"},
	{Table: "session", Name: "multicast_limit", Type: "integer", Doc: "the same of multicast frames"},
	{Table: "session", Name: "unknown_unicast_limit", Type: "integer", Doc: "the same of frames to addresses from which the customer has not sent in the last five minutes; 1024 are remembered"},
	{Table: "session", Name: "ttl", Type: `integer or "inherit"`, Doc: "TTL or hop limit of its packets, 1 to 255, or that of the IPv4 or IPv6 packet inside; absent, and of other frames: the tunnel's"},
	{Table: "session", Name: "tos", Type: `integer or "inherit"`, Doc: "TOS or traffic class of its packets, 0 to 255, or the DSCP of the IPv4 or IPv6 packet inside, behind up to two VLAN tags; absent: the tunnel's"},
	{Table: "session", Name: "df", Type: `boolean or "inherit"`, Doc: "\"don't fragment\" in its IPv4 packets, or as the IPv4 packet inside has it, set for IPv6; absent, and of other frames: the tunnel's"},
	{Table: "session", Name: "pcp_to_dscp", Type: "boolean or array of 8 integers", Doc: "the DSCP by the 802.1p priority of the customer's outermost VLAN tag, true: class selectors 0, 8, ... 56; frames without a tag as tos says; absent: no"},
	{Table: "session", Name: "ecn", Type: `"none" | "rfc6040"`, Doc: "rfc6040: the congestion field is copied from inside on encap and combined on decap; both ends should; absent: none"},
	{Table: "session", Name: "flow_label", Type: `"fixed" | "flow"`, Doc: "flow: the IPv6 flow label is a hash of the flow inside, so that the core spreads a tunnel over its paths; absent: fixed"},
	{Table: "session", Name: "source_port", Type: `"fixed" | "flow"`, Doc: "flow: the same for the UDP source port, 49152 to 65535; the peer must take any (xwire: any_peer_port = true; Linux does not); absent: fixed"},
	{Table: "session", Name: "pppoe_session_id", Type: "integer", Doc: "1 to 65534: the PPPoE session of a ppp or pppac pseudowire, of the port in attach (in vlan; absent: untagged), or of the local interface, where a PPPoE server may end it"},
	{Table: "session", Name: "pppoe_peer_mac", Type: "byte array or string", Doc: "\"02:00:00:00:00:01\": the other end of the PPPoE session on the port; on a local interface the client that its PPPoE server sees"},
}

// defaultTunnelPort is the UDP port of an address that names none (RFC 3931 section 4.1.2.1).
const defaultTunnelPort = 1701

// table is the keys of one kind of table by name. A key's place is its bit in keySet.
type table struct {
	keys  []Key
	index map[string]int // aliases too
	names []string       // for suggestions, aliases too
}

var tables = func() map[string]*table {
	m := map[string]*table{}
	for _, k := range keys {
		t := m[k.Table]
		if t == nil {
			t = &table{index: map[string]int{}}
			m[k.Table] = t
		}
		for _, n := range []string{k.Name, k.Alias} {
			if n != "" {
				t.index[n] = len(t.keys)
				t.names = append(t.names, n)
			}
		}
		t.keys = append(t.keys, k)
	}
	return m
}()

// keySet is a set of the keys of one table.
type keySet uint64

func (t *table) bit(name string) keySet        { return 1 << t.index[name] }
func (s keySet) has(bit keySet) bool           { return s&bit != 0 }
func (t *table) holds(s keySet, n string) bool { return s.has(t.bit(n)) }

// WriteDefaults prints every key with its default as a table.
func WriteDefaults(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TABLE\tKEY\tTYPE\tDEFAULT\tMEANING")
	for _, k := range keys {
		table, name, def, doc := "["+k.Table+"]", k.Name, "", k.Doc
		switch k.Table {
		case "":
			table = "(top)"
		case "port", "tunnel":
			table = "[" + k.Table + ".NAME]"
		case "session":
			table = "[tunnel.NAME.session.NAME]"
		}
		if k.Alias != "" {
			name += ", " + k.Alias
		}
		switch v := k.Default.(type) {
		case string:
			def = strconv.Quote(v)
		case nil:
			def = "-"
			if k.Must {
				def = "mandatory"
			}
		default:
			def = fmt.Sprint(v)
			if k.Name == "qinq_tpid" {
				def = fmt.Sprintf("%#x", v)
			}
		}
		if k.NoEffect {
			doc += " (ql2tpd's; no effect in this version)"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", table, name, k.Type, def, doc)
	}
	return tw.Flush()
}
