package pw

import "xwire/l2tp"

// A streak is a row of frames of one session at the beginning of a burst. Frames come in streaks
// more often than not, and then all that the tables say is already known: the packet's constant
// bytes are compared with, or copied from, those of the session's frame before. Whatever is not as
// usual (an odd length, reserved bits, another cookie) ends the streak and takes the long way.
//
// A streak remembers nothing that the control plane may have changed: Process forgets both when
// the table's generation has moved, and none begins within a change, half on what was before.

const noPort = NoPort // as In: there is no streak

// streakMin is the shortest customer frame of a streak: two tags are whole in it.
const streakMin = l2tp.EthernetLen + 2*l2tp.TagLen

// pcpLittle is pcpMask in a tag that was loaded as a little-endian word.
const pcpLittle = 0x00f00000

// settled tells that the table neither has changed since Process began nor is changing.
func (f *Forwarder) settled() bool {
	gen := f.table.gen.Load()
	return gen == f.gen && gen&1 == 0
}
