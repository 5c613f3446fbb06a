#!/bin/busybox sh
# First process of the guest: modules, the host's root over 9p, one script, the end.
# Its command line holds xwire.run=PATH, a script on the host.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for m in $($b cat /mods/order); do
	$b insmod /mods/$m.ko || echo "insmod $m failed"
done
n=/newroot
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose root $n || echo "mount of the host's root failed"
$b mount -t proc proc $n/proc
$b mount -t sysfs sys $n/sys
$b mount -t devtmpfs dev $n/dev
$b mkdir -p $n/dev/pts $n/dev/shm
$b mount -t devpts devpts $n/dev/pts
$b mount -t tmpfs shm $n/dev/shm
$b mount -t bpf bpf $n/sys/fs/bpf
$b mount -t debugfs debugfs $n/sys/kernel/debug
$b mount -t tmpfs run $n/run
$b mount -t tmpfs mnt $n/mnt
$b mkdir -p $n/run/netns $n/mnt/tmp
for p in /sys/class/virtio-ports/*; do
	case $($b cat $p/name) in
	xwire.output) output=/dev/${p##*/} ;;
	xwire.status) status=/dev/${p##*/} ;;
	esac
done
run=$($b sed 's/.*xwire\.run=\([^ ]*\).*/\1/' /proc/cmdline)
echo "xwire: modules loaded, $run starts"
$b chroot $n /bin/sh $run >$output 2>&1 </dev/null
echo $? >$status
$b poweroff -f
