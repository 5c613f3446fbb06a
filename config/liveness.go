package config

import "time"

// OnDown is what becomes of a tunnel's attachment circuits while its peer does not answer.
type OnDown uint8

// In the order of the key's values.
const (
	OnDownNone   OnDown = iota
	OnDownACDown        // they go down with it
)

var onDowns = [...]string{"none", "ac-down"}

func (o OnDown) String() string { return onDowns[o] }

// setLiveness reads the keys that say whether and how a tunnel's peer is asked for.
func (t *Tunnel) setLiveness(r *reader, key string, v any) {
	most := int64(0xffff)
	if key == "hello_timeout" || key == "retry_timeout" {
		most = 0xffffffff
	}
	n, ok := r.integer(key, v, 0, most)
	if !ok {
		return
	}
	n = orBuiltin(key, n)
	switch key {
	case "hello_timeout":
		t.HelloTimeout = time.Duration(n) * time.Millisecond
	case "retry_timeout":
		t.RetryTimeout = time.Duration(n) * time.Millisecond
	case "max_retries":
		t.MaxRetries = uint16(n)
	case "window_size":
		t.WindowSize = uint16(n)
	}
}

// orBuiltin has 0 mean what ql2tpd takes it for: the default of that key of a tunnel.
func orBuiltin(key string, n int64) int64 {
	if n == 0 {
		return tables["tunnel"].keys[tables["tunnel"].index[key]].Default.(int64)
	}
	return n
}

// liveness gives the keys that setLiveness reads.
func (t *Tunnel) liveness(each func(key string, n int64)) {
	each("hello_timeout", t.HelloTimeout.Milliseconds())
	each("retry_timeout", t.RetryTimeout.Milliseconds())
	each("max_retries", int64(t.MaxRetries))
	each("window_size", int64(t.WindowSize))
}

// checkLiveness warns of what is said about HELLOs that are not sent.
func (t *tunnelDraft) checkLiveness(p problems) {
	switch {
	case t.HelloTimeout == 0:
	case t.Keyed:
		p.warnf("hello_timeout", "has no effect: a keyed tunnel has no control messages")
		return
	case t.Unknown == UnknownKernel:
		p.warnf("hello_timeout", `has no effect with unknown = "kernel", which leaves control messages to the kernel's L2TP and to daemons`)
		return
	default:
		return
	}
	if t.OnDown != OnDownNone {
		p.warnf("on_down", "has no effect without hello_timeout")
	}
	t.liveness(func(key string, _ int64) {
		if key != "hello_timeout" && tables["tunnel"].holds(t.own, key) {
			p.warnf(key, "has no effect without hello_timeout")
		}
	})
}
