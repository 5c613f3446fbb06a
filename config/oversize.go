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
