package appliance

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"xwire/appliance/api"
)

// A metric is one Prometheus family and the value that it takes from T.
type metric[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*T) float64
}

func newMetric[T any](name, help string, kind prometheus.ValueType, labels []string, value func(*T) float64) metric[T] {
	return metric[T]{prometheus.NewDesc("xwire_"+name, help, labels, nil), kind, value}
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

var (
	quarantine = prometheus.NewDesc("xwire_arena_quarantine_frames", "Frames out of use because drivers of closed ports did not let go of them.", nil, nil)

	buildInfo = prometheus.NewDesc("xwire_build_info", "Always 1; the labels tell the version.", []string{"version"}, nil)

	sessionMetrics = func() []metric[api.Session] {
		l := []string{"tunnel", "session"}
		c := func(name, help string, value func(*api.Session) uint64) metric[api.Session] {
			return newMetric("session_"+name, help, counter, l, func(s *api.Session) float64 { return float64(value(s)) })
		}
		return []metric[api.Session]{
			newMetric("session_up", "1 if the session can carry frames.", gauge, l, func(s *api.Session) float64 { return flag(s.State == "up") }),
			c("tx_packets_total", "Frames sent into the pseudowire.", func(s *api.Session) uint64 { return s.TxPackets }),
			c("tx_bytes_total", "Bytes sent, L2TP header and payload.", func(s *api.Session) uint64 { return s.TxBytes }),
			c("tx_errors_total", "Frames for the pseudowire that could not be sent.", func(s *api.Session) uint64 { return s.TxErrors }),
			c("rx_packets_total", "Frames received from the pseudowire.", func(s *api.Session) uint64 { return s.RxPackets }),
			c("rx_bytes_total", "Bytes received, L2TP header and payload.", func(s *api.Session) uint64 { return s.RxBytes }),
			c("rx_errors_total", "Received frames discarded for any reason.", func(s *api.Session) uint64 { return s.RxErrors }),
			c("rx_seq_discards_total", "Received frames discarded for their sequence number.", func(s *api.Session) uint64 { return s.RxSeqDiscards }),
			c("rx_oos_packets_total", "Received frames out of sequence.", func(s *api.Session) uint64 { return s.RxOOSPackets }),
			c("rx_seq_lost_total", "Sequence numbers that did not come in their turn.", func(s *api.Session) uint64 { return s.SeqLost }),
			c("rx_seq_resyncs_total", "Times that the peer began its sequence numbers anew.", func(s *api.Session) uint64 { return s.SeqResyncs }),
			c("rx_cookie_discards_total", "Received frames with a wrong cookie.", func(s *api.Session) uint64 { return s.RxCookieDiscards }),
			c("rx_sublayer_bits_total", "Received frames with unknown bits in the sublayer.", func(s *api.Session) uint64 { return s.SublayerBits }),
			c("rx_oam_discards_total", "Received frames with the V bit (VCCV).", func(s *api.Session) uint64 { return s.OAM }),
			c("rx_fragment_discards_total", "Received frames with the B or E bit that were not put together.", func(s *api.Session) uint64 { return s.Fragments }),
			c("tx_rate_discards_total", "Frames for the pseudowire above the session's rate.", func(s *api.Session) uint64 { return s.TxRateDiscards }),
			c("rx_rate_discards_total", "Received frames above the session's rate.", func(s *api.Session) uint64 { return s.RxRateDiscards }),
			c("rx_storm_discards_total", "Received frames above a limit of broadcast, multicast or unknown unicast.", func(s *api.Session) uint64 { return s.StormDiscards }),
			c("rx_ecn_discards_total", "Received frames discarded because they could not tell of congestion on the way.", func(s *api.Session) uint64 { return s.ECNDiscards }),
			c("suspect_total", "Received frames that look as if the peer is set up otherwise.", func(s *api.Session) uint64 { return s.Suspect }),
		}
	}()

	tunnelMetrics = []metric[api.Tunnel]{
		newMetric("tunnel_up", "1 if the tunnel has a next hop, and its peer is not down.", gauge, []string{"tunnel"}, func(t *api.Tunnel) float64 { return flag(t.NextHop.State == "resolved" && t.State != "down") }),
		newMetric("tunnel_path_mtu_bytes", "Largest outer packet that the path takes, as far as it is known.", gauge, []string{"tunnel"}, func(t *api.Tunnel) float64 { return float64(t.PathMTU) }),
		newMetric("tunnel_rx_invalid_total", "Frames of a wrong version or too short.", counter, []string{"tunnel"}, func(t *api.Tunnel) float64 { return float64(t.RxInvalid) }),
	}

	// Of tunnels with hello_timeout only: of others nothing is known.
	peerMetrics = func() []metric[api.Tunnel] {
		l := []string{"tunnel"}
		return []metric[api.Tunnel]{
			newMetric("tunnel_peer_up", "1 if the peer acknowledged the last HELLO.", gauge, l, func(t *api.Tunnel) float64 { return flag(t.State == "up") }),
			newMetric("tunnel_peer_change_timestamp_seconds", "When the peer's state changed last; 0: never.", gauge, l, func(t *api.Tunnel) float64 { return seconds(t.Since) }),
			newMetric("tunnel_peer_heard_timestamp_seconds", "When its last control message came; 0: never.", gauge, l, func(t *api.Tunnel) float64 { return seconds(t.Hello.Heard) }),
			newMetric("tunnel_control_sent_total", "Control messages sent.", counter, l, func(t *api.Tunnel) float64 { return float64(t.Hello.Sent) }),
			newMetric("tunnel_control_received_total", "Control messages received.", counter, l, func(t *api.Tunnel) float64 { return float64(t.Hello.Received) }),
		}
	}()

	portMetrics = func() []metric[api.Port] {
		l := []string{"port", "interface"}
		c := func(name, help string, value func(*api.Port) uint64) metric[api.Port] {
			return newMetric("port_"+name, help, counter, l, func(p *api.Port) float64 { return float64(value(p)) })
		}
		return []metric[api.Port]{
			newMetric("port_up", "1 if the port forwards.", gauge, l, func(p *api.Port) float64 { return flag(p.State == "up") }),
			c("received_frames_total", "Frames that came to the port.", func(p *api.Port) uint64 { return p.Received }),
			c("control_heard_total", "Control messages over UDP to our tunnels, which xwire reads.", func(p *api.Port) uint64 { return p.ControlHeard }),
			c("reassembled_packets_total", "Packets that came to the port in outer fragments and were put together.", func(p *api.Port) uint64 { return p.Reassembled }),
			c("sent_frames_total", "Frames that came to the port and were sent on.", func(p *api.Port) uint64 { return p.Sent }),
			c("transmitted_frames_total", "Frames that the port was given to send.", func(p *api.Port) uint64 { return p.Transmitted }),
			newMetric("port_held_frames", "Frames of the port that are held now.", gauge, l, func(p *api.Port) float64 { return float64(p.Held) }),
		}
	}()

	sessionCookies = prometheus.NewDesc("xwire_session_rx_cookie_frames_total", "Frames accepted by the first and by the second rx cookie.", []string{"tunnel", "session", "cookie"}, nil)

	queueMetrics = func() []metric[api.Queue] {
		l := []string{"port", "interface", "queue"}
		c := func(name, help string, value func(*api.Queue) uint64) metric[api.Queue] {
			return newMetric("queue_"+name, help, counter, l, func(q *api.Queue) float64 { return float64(value(q)) })
		}
		return []metric[api.Queue]{
			c("rx_dropped_total", "XDP_STATISTICS rx_dropped of the queue's socket.", func(q *api.Queue) uint64 { return q.RxDropped }),
			c("rx_ring_full_total", "XDP_STATISTICS rx_ring_full of the queue's socket.", func(q *api.Queue) uint64 { return q.RxRingFull }),
			c("rx_fill_ring_empty_total", "XDP_STATISTICS rx_fill_ring_empty_descs of the queue's socket.", func(q *api.Queue) uint64 { return q.RxFillRingEmpty }),
			c("rx_invalid_descs_total", "XDP_STATISTICS rx_invalid_descs of the queue's socket.", func(q *api.Queue) uint64 { return q.RxInvalidDescs }),
			c("tx_invalid_descs_total", "XDP_STATISTICS tx_invalid_descs of the queue's socket.", func(q *api.Queue) uint64 { return q.TxInvalidDescs }),
			c("tx_ring_empty_total", "XDP_STATISTICS tx_ring_empty_descs of the queue's socket.", func(q *api.Queue) uint64 { return q.TxRingEmpty }),
		}
	}()

	portDrops = prometheus.NewDesc("xwire_port_drops_total", "Frames that came to the port and were not sent on.", []string{"port", "interface", "reason"}, nil)

	portToKernel = prometheus.NewDesc("xwire_port_to_kernel_frames_total", "Frames about our tunnels or circuits that were left to the kernel.", []string{"port", "interface", "reason"}, nil)

	spliceDrops = prometheus.NewDesc("xwire_splice_drops_total", "Frames dropped between the trunk and local interfaces.", []string{"reason"}, nil)

	workerMetrics = []metric[api.Worker]{
		newMetric("worker_busy_seconds_total", "Time not parked.", counter, []string{"worker", "cpu"}, func(w *api.Worker) float64 { return w.BusySeconds }),
		newMetric("worker_frames_total", "Frames taken in.", counter, []string{"worker", "cpu"}, func(w *api.Worker) float64 { return float64(w.Frames) }),
		newMetric("worker_oam_messages_total", "VCCV messages handed to the appliance.", counter, []string{"worker", "cpu"}, func(w *api.Worker) float64 { return float64(w.OAM) }),
		newMetric("worker_oam_messages_lost_total", "VCCV messages not handed over: too many at once, or too long.", counter, []string{"worker", "cpu"}, func(w *api.Worker) float64 { return float64(w.OAMLost) }),
		newMetric("worker_batches_total", "Batches taken in.", counter, []string{"worker", "cpu"}, func(w *api.Worker) float64 { return float64(w.Batches) }),
	}
)

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t *time.Time) float64 {
	if t == nil {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

func send[T any](ch chan<- prometheus.Metric, ms []metric[T], v *T, labels ...string) {
	for _, m := range ms {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(v), labels...)
	}
}

// collector makes metrics of the same structures that the control socket serves.
type collector struct {
	a        *Appliance
	sessions bool
}

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- buildInfo
	ch <- quarantine
	ch <- portDrops
	ch <- portToKernel
	ch <- spliceDrops
	ch <- sessionCookies
	describe(ch, queueMetrics)
	describe(ch, sessionMetrics)
	describe(ch, tunnelMetrics)
	describe(ch, peerMetrics)
	describe(ch, portMetrics)
	describe(ch, workerMetrics)
}

func describe[T any](ch chan<- *prometheus.Desc, ms []metric[T]) {
	for _, m := range ms {
		ch <- m.desc
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(buildInfo, gauge, 1, c.a.o.Version)
	ch <- prometheus.MustNewConstMetric(quarantine, gauge, float64(c.a.fabric.Quarantined()))
	for _, t := range c.a.Tunnels() {
		send(ch, tunnelMetrics, &t, t.Name)
		if t.HelloTimeout > 0 {
			send(ch, peerMetrics, &t, t.Name)
		}
	}
	if c.sessions {
		list, _ := c.a.Sessions(api.SessionQuery{})
		for s := range list {
			send(ch, sessionMetrics, &s, s.Tunnel, s.Name)
			for i, n := range s.CookieFrames {
				ch <- prometheus.MustNewConstMetric(sessionCookies, counter, float64(n), s.Tunnel, s.Name, strconv.Itoa(i+1))
			}
		}
	}
	for _, p := range c.a.Ports() {
		send(ch, portMetrics, &p, p.Name, p.Interface)
		for i := range p.Queues {
			send(ch, queueMetrics, &p.Queues[i], p.Name, p.Interface, strconv.Itoa(int(p.Queues[i].Queue)))
		}
		for reason, n := range p.Drops {
			ch <- prometheus.MustNewConstMetric(portDrops, counter, float64(n), p.Name, p.Interface, reason)
		}
		for reason, n := range p.Spliced {
			ch <- prometheus.MustNewConstMetric(spliceDrops, counter, float64(n), reason)
		}
		for reason, n := range p.ToKernel {
			ch <- prometheus.MustNewConstMetric(portToKernel, counter, float64(n), p.Name, p.Interface, reason)
		}
	}
	for _, w := range c.a.Workers() {
		send(ch, workerMetrics, &w, strconv.Itoa(w.Index), strconv.Itoa(w.CPU))
	}
}

// metrics opens the Prometheus endpoint.
func (a *Appliance) metrics(address string, sessions bool) (net.Listener, http.Handler, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen for metrics ([appliance] metrics = %q): %w", address, err)
	}
	r := prometheus.NewRegistry()
	if err := r.Register(collector{a, sessions}); err != nil {
		l.Close()
		return nil, nil, fmt.Errorf("register metrics: %w", err)
	}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	return l, mux, nil
}
