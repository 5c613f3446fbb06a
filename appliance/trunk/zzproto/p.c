//go:build ignore
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license")="Apache-2.0";
volatile const __u32 stack;
struct { __uint(type,BPF_MAP_TYPE_HASH); __uint(max_entries,4096); __type(key,__u32); __type(value,__u32);} tags SEC(".maps");
SEC("xdp") int push(struct xdp_md*c){
 __u32 k=c->ingress_ifindex; __u32*t=bpf_map_lookup_elem(&tags,&k); if(!t) return XDP_DROP;
 if(bpf_xdp_adjust_head(c,-4)) return XDP_DROP;
 char*d=(void*)(long)c->data,*e=(void*)(long)c->data_end; if(d+18>e) return XDP_DROP;
 __builtin_memmove(d,d+4,12); *(__u16*)(d+12)=bpf_htons(0x8100); *(__u16*)(d+14)=bpf_htons(*t);
 return bpf_redirect(stack,0);}
SEC("tc") int tpush(struct __sk_buff*s){
 __u32 k=s->ifindex; __u32*t=bpf_map_lookup_elem(&tags,&k); if(!t) return TC_ACT_SHOT;
 if(bpf_skb_vlan_push(s,bpf_htons(0x8100),*t)) return TC_ACT_SHOT;
 return bpf_redirect(stack,0);}
