package zz
import ("testing";"time";"fmt";"os";"strings";"runtime";"net"
"github.com/cilium/ebpf";"github.com/cilium/ebpf/link";"github.com/vishvananda/netlink";"github.com/vishvananda/netns";"golang.org/x/sys/unix";"github.com/safchain/ethtool")
func avail() int { b,_:=os.ReadFile("/proc/meminfo"); for l:=range strings.Lines(string(b)) { var n int; if strings.HasPrefix(l,"MemAvailable:"){fmt.Sscanf(strings.Fields(l)[1],"%d",&n); return n}}; return 0}
func must(t *testing.T,e error){t.Helper(); if e!=nil{t.Fatal(e)}}
func TestX(t *testing.T){
 mode:=os.Getenv("MODE"); runtime.LockOSThread()
 ns,err:=netns.New(); must(t,err); defer ns.Close()
 must(t,netlink.LinkAdd(&netlink.Veth{LinkAttrs:netlink.LinkAttrs{Name:"st",MTU:1604,TxQLen:-1},PeerName:"po"}))
 st,_:=netlink.LinkByName("st"); po,_:=netlink.LinkByName("po"); must(t,netlink.LinkSetUp(st)); must(t,netlink.LinkSetUp(po))
 spec,err:=ebpf.LoadCollectionSpec("p.o"); must(t,err); must(t,spec.Variables["stack"].Set(uint32(st.Attrs().Index)))
 c,err:=ebpf.NewCollection(spec); must(t,err)
 pl,err:=link.AttachXDP(link.XDPOptions{Program:c.Programs["push"],Interface:po.Attrs().Index,Flags:link.XDPDriverMode}); must(t,err); _=pl
 tool,_:=ethtool.NewEthtool(); h,_:=netlink.NewHandle()
 n:=1000; m0:=avail(); s:=time.Now()
 idx:=make([]int,n)
 for i:=range n {
  a:=netlink.NewLinkAttrs(); a.Name=fmt.Sprintf("x%d",i); a.MTU=1504
  v:=&netlink.Veth{LinkAttrs:a,PeerName:fmt.Sprintf("loc%d",i),PeerMTU:1500}
  must(t,h.LinkAdd(v)); idx[i]=v.Index
  if idx[i]==0 { l,e:=h.LinkByName(a.Name); must(t,e); idx[i]=l.Attrs().Index; v.Index=idx[i] }
 }
 t.Log("made",time.Since(s), "mem/if KiB",(m0-avail())/n); s=time.Now()
 if mode=="xdp"||mode=="gen" { for i:=range n { must(t,tool.Change(fmt.Sprintf("loc%d",i),map[string]bool{"tx-checksum-ip-generic":false,"rx-gro":true})) }; t.Log("ethtool",time.Since(s)); s=time.Now() }
 for i:=range n { h.LinkSetUp(&netlink.Device{LinkAttrs:netlink.LinkAttrs{Index:idx[i]}}); h.LinkSetUp(&netlink.Device{LinkAttrs:netlink.LinkAttrs{Index:idx[i]-1}}); h.LinkSetUp(&netlink.Device{LinkAttrs:netlink.LinkAttrs{Index:idx[i]+1}}) }
 t.Log("up",time.Since(s), "mem/if KiB",(m0-avail())/n); s=time.Now()
 var ls []link.Link
 for i:=range n { c.Maps["tags"].Put(uint32(idx[i]),uint32(i+1))
  switch mode { case "xdp","gen": fl:=link.XDPDriverMode; if mode=="gen" {fl=link.XDPGenericMode}; l,e:=link.AttachXDP(link.XDPOptions{Program:c.Programs["push"],Interface:idx[i],Flags:fl}); must(t,e); ls=append(ls,l)
  case "tcx": if i<100 { l,e:=link.AttachTCX(link.TCXOptions{Program:c.Programs["tpush"],Interface:idx[i],Attach:ebpf.AttachTCXIngress}); must(t,e); ls=append(ls,l)} 
  case "block": b:=uint32(77); q:=&netlink.Clsact{QdiscAttrs:netlink.QdiscAttrs{LinkIndex:idx[i],Handle:netlink.MakeHandle(0xffff,0),Parent:netlink.HANDLE_CLSACT,IngressBlock:&b}}
   must(t,h.QdiscAdd(q)) } }
 t.Log(mode,"attach",time.Since(s), "mem/if KiB",(m0-avail())/n); s=time.Now()
 if mode=="block" { f:=&netlink.BpfFilter{FilterAttrs:netlink.FilterAttrs{LinkIndex:-1,Parent:77,Handle:1,Protocol:unix.ETH_P_ALL,Priority:1},Fd:c.Programs["tpush"].FD(),Name:"x",DirectAction:true}
  f.LinkIndex=int(int32(-1)); e:=h.FilterReplace(f); t.Log("filter",e) }
 time.Sleep(time.Second)
 loc:=make([]int,n); {ll,e:=net.Interfaces(); must(t,e); for _,x:=range ll { var k int; if z,_:=fmt.Sscanf(x.Name,"loc%d",&k); z==1 {loc[k]=x.Index}}}
 fd,_:=unix.Socket(unix.AF_PACKET,unix.SOCK_RAW,0)
 for i:=range n { nifi:=loc[i]; fr:=make([]byte,64); fr[12]=8; fr[0]=2; for range 3 { unix.Sendto(fd,fr,0,&unix.SockaddrLinklayer{Ifindex:nifi}) } }
 time.Sleep(time.Second)
 l,_:=netlink.LinkByName("po"); t.Log("frames at po",l.Attrs().Statistics.RxPackets,l.Attrs().Statistics.RxBytes, "mem/if KiB",(m0-avail())/n)
 s=time.Now(); for _,l:=range ls { l.Close() }; t.Log("detach",time.Since(s))
}
