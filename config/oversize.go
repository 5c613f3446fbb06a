package config

// Oversize is what becomes of a frame whose packet is larger than the path's MTU.
type Oversize uint8

// In the order of the key's values.
const (
	OversizeFragment Oversize = iota
	OversizeDrop
)

var oversizes = [...]string{"fragment", "drop"}

func (o Oversize) String() string { return oversizes[o] }

// MSSByPath as Session.MSSClamp stands for what fits the path whole.
const MSSByPath = -1

// An MSS is at least what RFC 9293 section 3.7.1 has every IPv4 host take without being told, and at
// most what the largest IPv4 packet leaves.
const (
	leastMSS = 536
	mostMSS  = 65535 - 40
)

func (r *reader) mssClamp(key string, v any) int32 {
	if b, ok := v.(bool); ok {
		if b {
			return MSSByPath
		}
		return 0
	}
	if _, ok := v.(int64); !ok {
		r.errorf(key, "must be true, false, or a number of bytes, is %s", describe(v))
		return 0
	}
	n, _ := r.integer(key, v, leastMSS, mostMSS)
	return int32(n)
}
