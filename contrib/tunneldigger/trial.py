#!/usr/bin/env python3
"""Tries a broker with xwire: many clients on one UDP port, in network namespaces of its own.

    trial.py --xwire BINARY --broker SRC [--clients 500] [--within 10]

BINARY is xwire, SRC the src folder of the broker's source. Root is needed. The clients speak the
broker's protocol and L2TPv3; each has the bridge of the box answer an ARP request through its own
tunnel, which is a port of the bridge, has a probe answered by the tunnel's socket, and names an MTU,
which its interface must have then. Then the broker is stopped and started, as on an upgrade, and all
clients connect again. Status 0: all did, in time.
"""

import argparse
import ctypes
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import xwire_broker

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = 8942
# At most WINDOW clients wait for their tunnel at a time, no more than BURST begin at once, and each asks again
# after AGAIN seconds: requests get lost in the broker, all that come between a new tunnel's bind and its
# connect, and one that is asked for while it is made may be made twice.
WINDOW, BURST, AGAIN = 50, 4, 5
COOKIE, PREPARE, ERROR, TUNNEL, PROBE, PROBED, MTU = 1, 2, 3, 4, 6, 7, 9
UNIQUE_SESSION_ID = 1


def ip(*args, check=True):
    subprocess.run(("ip",) + args, check=check, capture_output=not check)


def enter(fd):
    """Moves this thread to a network namespace; os.setns came with Python 3.12 only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "enter network namespace")


def control(kind, payload=b""):
    message = struct.pack("!BHBBB", 0x80, 0x73A7, 1, kind, len(payload)) + payload
    return message + bytes(max(0, 12 - len(message)))


class Client:
    """One node that wants a tunnel, and its end of the pseudowire."""

    def __init__(self, number):
        self.number = number
        self.uuid = b"node-%d" % number
        self.mac = struct.pack("!HI", 0x0200, number + 1)
        self.addr = struct.pack("!I", 0x0A000000 + 256 + number + 1)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(("192.0.2.1", PORT))
        self.begin()

    def begin(self):
        self.state, self.asked, self.tunnel, self.tries = "cookie", 0, None, 0

    def ask(self, now):
        """Says what is to be said next, again and again until it is answered."""
        if self.state == "done" or now - self.asked < {"tunnel": AGAIN, "arp": 0.3}.get(self.state, 1):
            return
        self.asked = now
        self.tries += 1
        message = {
            "cookie": lambda: control(COOKIE, bytes(8)),
            "tunnel": lambda: control(PREPARE, self.cookie + bytes([len(self.uuid)]) + self.uuid + struct.pack("!II", self.number + 1, UNIQUE_SESSION_ID)),
            "arp": self.arp,
            "probe": lambda: control(PROBE),
        }[self.state]()
        try:
            if self.state == "probe":
                self.socket.send(control(MTU, struct.pack("!H", self.mtu())))
            self.socket.send(message)
        except OSError:
            pass  # the broker is not there: the kernel tells by ICMP

    def probe(self):
        self.state, self.asked = "probe", 0

    def mtu(self):
        return 1300 + self.number % 100

    def arp(self):
        frame = b"\xff" * 6 + self.mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
        frame += self.mac + self.addr + bytes(6) + bytes([10, 0, 0, 1])
        return struct.pack("!HHII", 3, 0, self.tunnel, 0) + frame

    def hear(self, now):
        while True:
            try:
                data = self.socket.recv(2048)
            except OSError:
                return
            if data[0] & 0x80 == 0:
                # Session id, sublayer, Ethernet: the answer is for this client's address.
                if len(data) >= 12 + 42 and struct.unpack("!I", data[4:8])[0] == self.number + 1 and data[12 + 12:12 + 14] == b"\x08\x06" \
                        and data[12 + 20:12 + 22] == b"\x00\x02" and data[12 + 38:12 + 42] == self.addr:
                    self.state = "done"
                continue
            kind, length = data[4], data[5]
            payload = data[6:6 + length]
            if kind == COOKIE and self.state == "cookie":
                self.cookie, self.state, self.asked = payload[:8], "tunnel", 0
            elif kind == TUNNEL and self.state == "tunnel":
                self.tunnel, self.state, self.asked = struct.unpack("!I", payload[:4])[0], "arp", 0
            elif kind == PROBED and self.state == "probe":
                self.state = "done"
            elif kind == ERROR:
                self.begin()
            if self.state != "tunnel":
                self.ask(now)


def connect_all(clients, limit):
    """Has all clients connect; returns the seconds until the last one's tunnel and the last one's frame."""
    poll = select.poll()
    by_fd = {c.socket.fileno(): c for c in clients}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    start = time.monotonic()
    tunnels = None
    while True:
        until = time.monotonic() + 0.02
        for fd, event in poll.poll(20):
            by_fd[fd].hear(time.monotonic())
        time.sleep(max(0, until - time.monotonic()))
        now = time.monotonic()
        waiting = [c for c in clients if c.state != "done"]
        if tunnels is None and all(c.state in ("arp", "done") for c in clients):
            tunnels = now - start
        if not waiting:
            return tunnels, now - start
        if now - start > limit:
            states = {}
            for c in waiting:
                states[c.state] = states.get(c.state, 0) + 1
            raise SystemExit("%d of %d clients do not stand after %d s: %s" % (len(waiting), len(clients), limit, states))
        window = min(BURST, WINDOW - sum(c.state == "tunnel" and c.asked > 0 for c in waiting))
        for c in waiting:
            if c.state == "tunnel" and c.asked == 0:
                if window <= 0:
                    continue
                window -= 1
            c.ask(now)


def compare_mtus(clients, box, socket_path):
    """Tells that each interface has its client's MTU, as xwire and the kernel know it."""
    links = json.loads(subprocess.run(["ip", "-n", box, "-j", "link"], capture_output=True, check=True).stdout)
    kernel = {link["ifname"]: link["mtu"] for link in links}
    ours = {s["interface"]: s["mtu"] for s in xwire_broker.Control(socket_path).call("GET", "/v1/sessions")}
    for c in clients:
        name = "l2tp%d-%d" % (c.tunnel, c.tunnel)
        if kernel.get(name) != c.mtu() or ours.get(name) != c.mtu():
            raise SystemExit("%s has MTU %s, and by xwire %s, want %d" % (name, kernel.get(name), ours.get(name), c.mtu()))
    return "each interface has its client's MTU"


def versions(args):
    xwire = subprocess.run([args.xwire, "version"], capture_output=True, text=True, check=True).stdout.strip()
    try:
        with open(os.path.join(args.broker, "..", "setup.py")) as f:
            broker = re.search(r"VERSION = '(.*)'", f.read()).group(1)
    except (OSError, AttributeError):
        broker = "of unknown version"
    return "%s; tunneldigger broker %s, Python %s; Linux %s, %d CPUs" % (xwire, broker, platform.python_version(), platform.release(), os.cpu_count())


def start(args, **more):
    return subprocess.Popen(args, **more)


def stop(process, by=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(by)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def trial(args, work, box, far):
    ip("netns", "add", box)
    ip("netns", "add", far)
    ip("link", "add", "core0", "netns", box, "type", "veth", "peer", "name", "c0", "netns", far)
    for ns, dev, addr in ((box, "core0", "192.0.2.1/24"), (far, "c0", "192.0.2.2/24")):
        ip("-n", ns, "link", "set", "lo", "up")
        ip("-n", ns, "addr", "add", addr, "dev", dev)
        ip("-n", ns, "link", "set", dev, "up")
    # What a veth's stack leaves to hardware never gets done before xwire sees it.
    subprocess.run(["ip", "netns", "exec", far, "ethtool", "-K", "c0", "tx", "off"], check=True, capture_output=True)
    ip("-n", box, "link", "add", "br0", "type", "bridge")
    ip("-n", box, "addr", "add", "10.0.0.1/16", "dev", "br0")
    ip("-n", box, "link", "set", "br0", "up")

    socket_path = os.path.join(work, "control.sock")
    with open(os.path.join(work, "xwire.toml"), "w") as f:
        f.write('[appliance]\ncpus = [1]\ncontrol = "%s"\n[port.core0]\ninterface = "core0"\n' % socket_path)
    hook = os.path.join(work, "up.sh")
    with open(hook, "w") as f:
        # Clients reach the bridge, not each other.
        f.write("#!/bin/sh\nip link set dev $3 master br0 up && echo 1 >/sys/class/net/$3/brport/isolated\n")
    os.chmod(hook, 0o755)
    config = os.path.join(work, "broker.cfg")
    with open(config, "w") as f:
        f.write("[broker]\naddress=192.0.2.1\nport=%d\ninterface=core0\nmax_tunnels=%d\ntunnel_id_base=1000\nconnection_rate_limit=0\npmtu=0\n"
                "[log]\nverbosity=WARNING\nlog_ip_addresses=false\n[hooks]\nsession.up=%s\nsession.pre-down=\nsession.down=\nsession.mtu-changed=\n"
                % (PORT, 2 * args.clients, hook))

    inside = ["ip", "netns", "exec", box]
    log = open(os.path.join(work, "log"), "w+")
    xwire = start(inside + [args.xwire, "run", "--config", os.path.join(work, "xwire.toml")], stdout=log, stderr=log)
    broker = None
    clients = []
    try:
        for _ in range(200):
            if os.path.exists(socket_path):
                break
            time.sleep(0.1)
        environment = dict(os.environ, PYTHONPATH=args.broker)
        command = inside + [sys.executable, os.path.join(HERE, "xwire_broker.py"), "--control", socket_path, config]
        broker = start(command, env=environment, stdout=log, stderr=log)

        # The clients' sockets are in the other namespace, this process is not.
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + far, os.O_RDONLY)
        enter(there)
        try:
            clients = [Client(n) for n in range(args.clients)]
        finally:
            enter(own)
            os.close(own)
            os.close(there)

        for what in ("connect", "connect again, the broker being started anew"):
            tunnels, frames = connect_all(clients, args.within)
            ports = subprocess.run(["ip", "-n", box, "-o", "link", "show", "master", "br0"], capture_output=True, text=True).stdout.count("\n")
            print("%d clients %s: all have a tunnel after %.1f s, and a frame from the bridge, which has %d ports, after %.1f s" %
                  (len(clients), what, tunnels, ports, frames), flush=True)
            if ports != len(clients):
                raise SystemExit("the bridge has %d ports, want %d" % (ports, len(clients)))
            for c in clients:
                c.probe()
            _, probes = connect_all(clients, args.within)
            print("%d probes answered by the tunnels' sockets after %.1f s; %s" % (len(clients), probes, compare_mtus(clients, box, socket_path)), flush=True)
            stop(broker, signal.SIGINT)  # as from a terminal: it takes leave of its clients
            broker = start(command, env=environment, stdout=log, stderr=log)
            for c in clients:
                c.begin()
        return 0
    finally:
        for process in (broker, xwire):
            if process:
                stop(process)
        for c in clients:
            c.socket.close()
        log.seek(0)
        sys.stdout.write(log.read())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--xwire", required=True)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--within", type=float, default=10, help="seconds for all of them (%(default)s)")
    args = parser.parse_args()
    print(versions(args), flush=True)
    work = tempfile.mkdtemp(prefix="xwire-td-")
    box, far = "xwtd%d-box" % os.getpid(), "xwtd%d-far" % os.getpid()
    try:
        return trial(args, work, box, far)
    finally:
        for ns in (box, far):
            ip("netns", "del", ns, check=False)
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
