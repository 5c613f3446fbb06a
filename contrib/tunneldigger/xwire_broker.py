#!/usr/bin/env python3
"""Runs a tunneldigger broker whose tunnels are xwire's.

    xwire_broker.py [--control SOCKET] BROKER.cfg

The broker's own code is imported as it is installed (package tunneldigger_broker); only the class by
which it asks the kernel for tunnels is another one. Control datagrams go on reaching the broker's
sockets: xwire takes data messages alone.
"""

import argparse
import http.client
import json
import os
import runpy
import socket
import sys
import urllib.parse

CONTROL = "/run/xwire/control.sock"

# Tunnels of this name are ours. The number is the broker's.
PREFIX = "tunneldigger-"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("xwire", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Refused(Exception):
    """xwire's answer to a request that it did not fulfil."""

    def __init__(self, status, code, text):
        super().__init__(text)
        self.status, self.code = status, code


class Control:
    """The control socket of a running xwire."""

    def __init__(self, path):
        self.connection = _UnixConnection(path)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        for again in (True, False):
            try:
                self.connection.request(method, path, data, {"Content-Type": "application/json"})
                answer = self.connection.getresponse()
                text = answer.read()
                break
            except (ConnectionError, http.client.HTTPException):
                # A connection that was idle may be gone; a restarted xwire has another socket.
                self.connection.close()
                if not again:
                    raise
        if answer.status >= 300:
            try:
                error = json.loads(text)
            except ValueError:
                error = {}
            raise Refused(answer.status, error.get("code", ""), error.get("text", text.decode(errors="replace")))
        return json.loads(text) if text else None


def _endpoint(address):
    return "%s:%d" % address[:2] if ":" not in address[0] else "[%s]:%d" % address[:2]


def _tunnel(tunnel_id):
    return "/v1/tunnels/" + urllib.parse.quote("%s%d" % (PREFIX, tunnel_id))


def interface(l2tp, path=CONTROL):
    """Returns a class with the methods of the broker's NetlinkInterface, whose exceptions it raises."""

    class XwireInterface:
        def __init__(self):
            self.control = Control(path)
            self.mtus = {}  # of sessions as xwire has set them, by tunnel id
            try:
                self.control.call("GET", "/v1/status")
            except (OSError, Refused) as e:
                raise l2tp.L2TPSupportUnavailable("no xwire at %s: %s" % (path, e)) from e

        def _refused(self, error):
            return l2tp.NetlinkError(str(error))

        def tunnel_create(self, tunnel_id, peer_tunnel_id, fd):
            # The socket is the broker's, and stays so: the kernel gives it the control datagrams.
            with socket.socket(fileno=os.dup(fd)) as s:
                local, peer = s.getsockname(), s.getpeername()
            try:
                self.control.call("POST", "/v1/tunnels", {
                    "name": "%s%d" % (PREFIX, tunnel_id), "version": "l2tpv3", "encap": "udp",
                    "local": _endpoint(local), "peer": _endpoint(peer), "tid": tunnel_id, "ptid": peer_tunnel_id,
                })
            except Refused as e:
                if e.status == 409:
                    raise l2tp.L2TPTunnelExists(tunnel_id) from e
                raise self._refused(e) from e
            except OSError as e:
                raise self._refused(e) from e

        def tunnel_delete(self, tunnel_id):
            self._delete(_tunnel(tunnel_id), "tunnel %d" % tunnel_id)

        def tunnel_list(self):
            return [t["tunnel_id"] for t in self.control.call("GET", "/v1/tunnels") or [] if t["name"].startswith(PREFIX)]

        def session_create(self, tunnel_id, session_id, peer_session_id, name):
            try:
                session = self.control.call("POST", _tunnel(tunnel_id) + "/sessions", {
                    "name": str(session_id), "pseudowire": "eth", "sid": session_id, "psid": peer_session_id,
                    "l2spec_type": "default", "interface_name": name,
                })
                self.mtus[tunnel_id] = session.get("mtu")
            except (Refused, OSError) as e:
                # The broker forgets the tunnel, which is ours to remove.
                self._delete(_tunnel(tunnel_id), "tunnel %d" % tunnel_id)
                if getattr(e, "status", 0) == 409:
                    raise l2tp.L2TPSessionExists(session_id) from e
                raise self._refused(e) from e

        def session_delete(self, tunnel_id, session_id):
            # In the kernel the tunnel goes when the broker closes its socket, right after this.
            self._delete(_tunnel(tunnel_id), "tunnel %d session %d" % (tunnel_id, session_id))

        def session_modify(self, tunnel_id, session_id, mtu):
            if self.mtus.get(tunnel_id) == mtu:
                return
            try:
                self.control.call("PATCH", "%s/sessions/%d" % (_tunnel(tunnel_id), session_id), {"mtu": mtu})
                self.mtus[tunnel_id] = mtu
            except (Refused, OSError) as e:
                l2tp.logger.warning("Unable to modify tunnel %d session %d: %s", tunnel_id, session_id, e)

        def session_list(self):
            sessions = self.control.call("GET", "/v1/sessions") or []
            return [(s["tunnel_id"], s["session_id"]) for s in sessions if s["tunnel"].startswith(PREFIX)]

        def _delete(self, path, what):
            try:
                self.control.call("DELETE", path)
            except (Refused, OSError) as e:
                if getattr(e, "status", 0) != 404:
                    l2tp.logger.warning("Unable to remove %s: %s", what, e)

    return XwireInterface


def unblock(timerfd):
    """Makes the broker's timers such as its code expects them. It reads them by the numbers that one poll gave;
    a timer that was closed meanwhile, and whose number a new one has, would block it until that expires: a
    second for each such number, with hundreds of clients nearly always."""
    create = timerfd.create
    timerfd.create = lambda clock, flags=0: create(clock, flags | timerfd.NONBLOCK)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--control", default=CONTROL, help="control socket of xwire (%(default)s)")
    parser.add_argument("config", help="the broker's configuration file")
    args = parser.parse_args()
    try:
        from tunneldigger_broker import l2tp, timerfd
    except ImportError as e:
        sys.exit("import tunneldigger_broker: %s; install the broker, or add its src folder to PYTHONPATH" % e)
    l2tp.NetlinkInterface = interface(l2tp, args.control)
    unblock(timerfd)
    sys.argv = ["tunneldigger_broker.main", args.config]
    runpy.run_module("tunneldigger_broker.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
