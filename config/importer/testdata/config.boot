interfaces {
    bridge br0 {
        address 10.1.1.1/24
        member {
            interface eth1 {
            }
            interface l2tpeth10 {
            }
        }
    }
    bridge br1 {
        member {
            interface l2tpeth10.7 {
                cost 10
            }
        }
    }
    ethernet eth0 {
        address 192.0.2.1/24
    }
    l2tpv3 l2tpeth10 {
        address 192.168.37.1/27
        encapsulation ip
        ip {
            adjust-mss 1300
        }
        source-address 192.0.2.1
        peer-session-id 100
        peer-tunnel-id 200
        remote 203.0.113.24
        session-id 100
        tunnel-id 200
    }
    loopback lo {
    }
}
system {
    host-name edge
}
