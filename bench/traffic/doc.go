// Package traffic makes frames for measurements and counts what arrives: frames of attachment
// circuits and L2TP packets by size, a generator and sinks that run in the kernel.
//
// The generator and the sinks do not depend on rings or pw: what is measured with them is measured
// by somebody else.
package traffic
