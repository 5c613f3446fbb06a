package config

// Oversize is what becomes of a frame whose packet is larger than the path's MTU.
type Oversize uint8

// In the order of the key's values.
const (
	OversizeDrop Oversize = iota
	OversizeFragment
)

var oversizes = [...]string{"drop", "fragment"}

func (o Oversize) String() string { return oversizes[o] }
