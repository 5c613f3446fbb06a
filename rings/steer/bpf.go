package steer

// The objects in this folder were made by clang 14, as Debian 12 has it; the test that makes them
// again needs the same. The two include folders hold asm/types.h on Debian; each machine has one.
//go:generate go tool bpf2go -strip llvm-strip -type outcome -type rule -type svlan -type encap -type local -type locality -type mac -type pair -type port -type stack -type packet -type pppoe -type control steer steer.c -- -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
