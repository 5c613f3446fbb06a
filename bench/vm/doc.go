// Package vm boots a recent Debian kernel in QEMU, without hardware support, to
// test against what this machine's own kernel does not have: L2TP, VLAN devices,
// zero-copy network drivers. Kernel and QEMU are Debian packages, downloaded
// once into a cache and never installed.
//
// The guest's root is the host's own, read-only; /run and /mnt are its own. So
// whatever stands on the host, a test program just built too, runs in the guest
// at the same path.
package vm
