#!/bin/sh -e
# Two customers to Lyon, one over IPv6 to Bergen.
PATH=/usr/sbin:/sbin:/bin
LOCAL=192.0.2.1
PEER="198.51.100.7"

modprobe l2tp_eth
modprobe l2tp_ip || true
ip l2tp del tunnel tunnel_id 1 2>/dev/null || true

/sbin/ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local $LOCAL remote ${PEER} \
    udp_sport 5000 udp_dport 6000 udp_csum on
ip l2tp add session name cust-a tunnel_id 1 session_id 100 peer_session_id 200 \
    cookie 0102030405060708 peer_cookie 1112131415161718 l2spec_type none
ip l2tp add session tunnel_id 1 session_id 0x65 peer_session_id 201 cookie DEADBEEF seq both
ip link set cust-a up mtu 1420
ip link set dev l2tpeth0 mtu 1400
brctl addif br0 l2tpeth0; ip link set l2tpeth0 master br1

sudo ip l2tp add tunnel tid 3 ptid 4 encap ip local 2001:db8::1 remote 2001:db8:7::1
ip l2tp a session tid 3 sid 300 psid 400 seq send
ip addr add 10.0.0.1/30 dev l2tpeth1
ip link set l2tpeth1 name bergen mtu 1380
ip addr add 203.0.113.1/24 dev eth0
ovs-vsctl add-port br2 bergen tag=7
sysctl -w net.ipv6.conf.bergen.disable_ipv6=1
echo 1 > /proc/sys/net/ipv4/conf/l2tpeth0/proxy_arp
if tc qdisc add dev bergen.100 root fq; then ethtool -K eth0 gro off; fi
