#!/usr/bin/env python3
"""Run tunneldigger's broker with xwire as its data plane, instead of the kernel's L2TP.

    xwire_tunneldigger.py [--control SOCKET] BROKER.CFG

The broker (https://github.com/wlanslovenija/tunneldigger) must be importable, or be named with
--broker. It keeps its UDP sockets: xwire leaves every control datagram to them. What it would ask
the kernel for by netlink, NetlinkInterface below asks xwire for on its control socket.

Only Python's standard library is needed.
"""

import argparse
import http.client
import json
import logging
import os
import runpy
import socket
import sys
from urllib.parse import quote

DEFAULT_CONTROL = "/run/xwire/control.sock"

logger = logging.getLogger("tunneldigger.xwire")


class Refused(Exception):
    """An answer of xwire's that is no success. code never changes its meaning."""

    def __init__(self, status, code, text):
        super().__init__(text)
        self.status, self.code = status, code


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("xwire", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """Requests to xwire, one at a time over one connection that is made anew when it breaks."""

    def __init__(self, path=DEFAULT_CONTROL):
        self.path = path
        self.connection = None

    def ask(self, method, path, body=None):
        for again in (False, True):
            fresh = self.connection is None
            try:
                if fresh:
                    self.connection = _Connection(self.path)
                text = None if body is None else json.dumps(body)
                self.connection.request(method, path, text, {"Content-Type": "application/json"})
                response = self.connection.getresponse()
                answer = response.read()
                break
            except (OSError, http.client.HTTPException):
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                if fresh or again:
                    raise
        value = json.loads(answer) if answer.strip() else None
        if response.status >= 300:
            value = value if isinstance(value, dict) else {}
            raise Refused(response.status, value.get("code", ""), value.get("text", response.reason))
        return value


def _endpoint(address):
    host, port = address[:2]
    return "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port)


class NetlinkInterface:
    """Has the methods of tunneldigger_broker.l2tp.NetlinkInterface, which it takes the place of.

    Tunnels are called tunneldigger-ID in xwire, and sessions by their id. As with the kernel a tunnel
    goes with its socket: the broker deletes sessions only, so the last one takes its tunnel along.
    """

    control = DEFAULT_CONTROL
    errors = None  # the broker's module l2tp

    def __init__(self):
        self.client = Client(self.control)
        try:
            self.client.ask("GET", "/v1/status")
        except OSError as e:
            logger.error("xwire does not answer on %s: %s", self.control, e)
            raise self.errors.L2TPSupportUnavailable from e

    @staticmethod
    def _tunnel(tunnel_id):
        return "tunneldigger-%d" % tunnel_id

    def _path(self, tunnel_id, session_id=None):
        path = "/v1/tunnels/" + quote(self._tunnel(tunnel_id), safe="")
        return path if session_id is None else "%s/sessions/%d" % (path, session_id)

    def _change(self, what, method, path, body=None):
        """Asks for a change that must succeed."""
        try:
            return self.client.ask(method, path, body)
        except (OSError, http.client.HTTPException, Refused) as e:
            logger.warning("%s: %s", what, e)
            raise self.errors.NetlinkError from e

    def tunnel_create(self, tunnel_id, peer_tunnel_id, fd):
        """Creates a tunnel for a connected UDP socket."""
        with socket.socket(fileno=os.dup(fd)) as s:
            local, peer = s.getsockname(), s.getpeername()
        try:
            self.client.ask("POST", "/v1/tunnels", {
                "name": self._tunnel(tunnel_id), "description": "tunneldigger", "version": "l2tpv3", "encap": "udp",
                "local": _endpoint(local), "peer": _endpoint(peer), "tid": tunnel_id, "ptid": peer_tunnel_id,
            })
        except Refused as e:
            logger.warning("create tunnel %d: %s", tunnel_id, e)
            if e.code in ("tunnel-exists", "clash"):
                raise self.errors.L2TPTunnelExists(tunnel_id) from e
            raise self.errors.NetlinkError from e
        except (OSError, http.client.HTTPException) as e:
            logger.warning("create tunnel %d: %s", tunnel_id, e)
            raise self.errors.NetlinkError from e

    def session_create(self, tunnel_id, session_id, peer_session_id, name):
        """Creates an Ethernet session with a local interface."""
        try:
            self.client.ask("POST", self._path(tunnel_id) + "/sessions", {
                "name": str(session_id), "pseudowire": "eth", "sid": session_id, "psid": peer_session_id,
                "l2spec_type": "default", "interface_name": name,
            })
        except (OSError, http.client.HTTPException, Refused) as e:
            logger.warning("create session %d of tunnel %d: %s", session_id, tunnel_id, e)
            self.tunnel_delete(tunnel_id)  # the broker closes the socket, which deletes the kernel's
            if isinstance(e, Refused) and e.code == "session-exists":
                raise self.errors.L2TPSessionExists(session_id) from e
            raise self.errors.NetlinkError from e

    def session_modify(self, tunnel_id, session_id, mtu):
        """Sets the MTU of a session's interface."""
        try:
            self.client.ask("PATCH", self._path(tunnel_id, session_id), {"mtu": mtu})
        except (OSError, http.client.HTTPException, Refused) as e:
            logger.warning("Unable to modify tunnel %d session %d: %s", tunnel_id, session_id, e)

    def session_delete(self, tunnel_id, session_id):
        """Deletes a session, and its tunnel if that has no other."""
        try:
            self.client.ask("DELETE", self._path(tunnel_id, session_id))
            if self.client.ask("GET", self._path(tunnel_id)).get("session_count", 0) == 0:
                self.client.ask("DELETE", self._path(tunnel_id))
        except (OSError, http.client.HTTPException, Refused) as e:
            logger.warning("Unable to remove tunnel %d session %d: %s", tunnel_id, session_id, e)

    def tunnel_delete(self, tunnel_id):
        """Deletes a tunnel with its sessions."""
        try:
            self.client.ask("DELETE", self._path(tunnel_id))
        except (OSError, http.client.HTTPException, Refused) as e:
            logger.warning("Unable to remove tunnel %d: %s", tunnel_id, e)

    def _ours(self):
        for tunnel in self._change("list tunnels", "GET", "/v1/tunnels") or []:
            prefix, _, number = tunnel["name"].rpartition("-")
            if prefix == "tunneldigger" and number.isdigit() and tunnel.get("origin") == "api":
                yield int(number), tunnel["name"]

    def tunnel_list(self):
        """The ids of the tunnels that a broker created."""
        return [number for number, _ in self._ours()]

    def session_list(self):
        """Pairs of tunnel and session id of these tunnels."""
        return [(number, session["session_id"]) for number, name in self._ours()
                for session in self._change("list sessions", "GET", "/v1/sessions?tunnel=" + quote(name)) or []]


def main():
    parser = argparse.ArgumentParser(description="tunneldigger's broker with xwire as its data plane")
    parser.add_argument("--control", default=DEFAULT_CONTROL, metavar="SOCKET", help="xwire's control socket (default %(default)s)")
    parser.add_argument("--broker", metavar="FOLDER", help="the folder that holds tunneldigger_broker, if Python does not find it")
    parser.add_argument("config", metavar="BROKER.CFG", help="the broker's configuration")
    args = parser.parse_args()
    if args.broker:
        sys.path.insert(0, args.broker)
    from tunneldigger_broker import l2tp

    NetlinkInterface.control, NetlinkInterface.errors = args.control, l2tp
    l2tp.NetlinkInterface = NetlinkInterface
    sys.argv = [sys.argv[0], args.config]
    runpy.run_module("tunneldigger_broker.main", run_name="__main__")


if __name__ == "__main__":
    main()
