package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"

	"xwire/appliance/api"
)

// stormClient asks for one change after the other, of its own objects, with ids and VLANs that others
// want too.
type stormClient struct {
	t              *testing.T
	socket         string
	client         *api.Client
	number         int
	random         *rand.Rand
	tunnel         string
	known, unsure  map[string]bool // sessions by path
	done, sessions int
}

func (s *stormClient) keys() api.Keys {
	r := s.random
	k := api.Keys{"sid": 1000 + r.IntN(500), "psid": 1 + r.IntN(100), "l2spec_type": "none", "attach": "ac0", "vlan": fmt.Sprintf("200.%d", 1+r.IntN(500))}
	switch r.IntN(8) {
	case 0:
		k["vlan"] = 300 + r.IntN(100)
	case 1:
		k = api.Keys{"sid": k["sid"], "psid": 1, "interface_name": fmt.Sprintf("l%d-%d", s.number, s.sessions%2)}
	case 2:
		k["tx_cookie"], k["rx_cookie"] = "0102030405060708", []string{"1112131415161718", "2122232425262728"}
	}
	return k
}

// step asks for something and notes what it was told.
func (s *stormClient) step(n int) {
	ctx, r := s.t.Context(), s.random
	tunnel := s.tunnel
	if r.IntN(2) == 0 {
		tunnel = "file"
	}
	var err error
	switch op := r.IntN(10); {
	case n == 0 || op == 0: // a tunnel with sessions
		body := api.Keys{"encap": "udp", "local": fmt.Sprintf("192.0.2.1:%d", 2000+s.number), "peer": fmt.Sprintf("192.0.2.%d:1701", 2+r.IntN(4)), "tid": 100 + s.number, "ptid": 1}
		names := []string{s.fresh(), s.fresh()}
		body["session"] = api.Keys{names[0]: s.keys(), names[1]: s.keys()}
		if _, err = s.client.CreateTunnel(ctx, s.tunnel, body); err == nil {
			s.known[s.tunnel+"/"+names[0]], s.known[s.tunnel+"/"+names[1]] = true, true
		}
	case op == 1 && r.IntN(4) == 0:
		if err = s.client.DeleteTunnel(ctx, s.tunnel); err == nil {
			for _, m := range []map[string]bool{s.known, s.unsure} {
				for name := range m {
					if strings.HasPrefix(name, s.tunnel+"/") {
						delete(s.unsure, name)
						s.known[name] = false
					}
				}
			}
		}
	case op == 2:
		_, err = s.client.ModifyTunnel(ctx, s.tunnel, api.Keys{"peer": fmt.Sprintf("192.0.2.%d:1701", 2+r.IntN(4)), "description": fmt.Sprint(n)})
	case op <= 4:
		name := s.fresh()
		if _, err = s.client.CreateSession(ctx, tunnel, name, s.keys()); err == nil {
			s.known[tunnel+"/"+name] = true
		}
	case op == 5:
		if name := s.mine(); name != "" {
			keys := s.keys()
			delete(keys, "interface_name")
			_, err = s.client.ModifySession(ctx, tunnelOf(name), sessionOf(name), keys)
		}
	case op == 6:
		if name := s.mine(); name != "" {
			if err = s.client.DeleteSession(ctx, tunnelOf(name), sessionOf(name)); err == nil {
				s.known[name] = false
			}
		}
	case op == 7:
		if _, err = s.client.Sessions(ctx, api.SessionQuery{Tunnel: tunnel}); code(err) == "no-such-tunnel" {
			err = nil
		}
	case op == 8 && r.IntN(4) == 0:
		_, err = s.client.Reload(ctx, api.ReloadRequest{})
	default:
		s.leave(tunnel)
		return
	}
	if err == nil {
		s.done++
		return
	}
	switch c := code(err); c {
	case api.CodeClash, api.CodeNoSuchTunnel, api.CodeNoSuchSession, api.CodeTunnelExists, api.CodeSessionExists, api.CodeInvalidConfig:
	default:
		s.t.Errorf("client %d, step %d: %v (%s)", s.number, n, err, c)
	}
}

func (s *stormClient) fresh() string {
	s.sessions++
	return fmt.Sprintf("s%d-%d", s.number, s.sessions)
}

// mine is a session that the client knows to be there.
func (s *stormClient) mine() string {
	for _, name := range slices.Sorted(maps.Keys(s.known)) {
		if s.known[name] && s.random.IntN(3) == 0 {
			return name
		}
	}
	return ""
}

func tunnelOf(path string) string { t, _, _ := strings.Cut(path, "/"); return t }

func sessionOf(path string) string { _, s, _ := strings.Cut(path, "/"); return s }

// leave ends the connection within a request to create a session, or before it is answered.
func (s *stormClient) leave(tunnel string) {
	name, keys := s.fresh(), s.keys()
	keys["name"] = name
	body, err := json.Marshal(keys)
	if err != nil {
		s.t.Error(err)
		return
	}
	text := fmt.Sprintf("POST /v1/tunnels/%s/sessions HTTP/1.1\r\nHost: xwire\r\nContent-Length: %d\r\n\r\n%s", tunnel, len(body), body)
	cut := s.random.IntN(len(text) + 1)
	if s.random.IntN(3) == 0 {
		cut = len(text)
	}
	if cut == len(text) {
		s.unsure[tunnel+"/"+name] = true
	}
	c, err := net.Dial("unix", s.socket)
	if err == nil {
		_, err = c.Write([]byte(text[:cut]))
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		s.t.Errorf("client %d: %v", s.number, err)
	}
}
