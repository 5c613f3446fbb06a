// Package importer turns what other systems call their static L2TPv3 tunnels into a configuration:
//
//	ip-l2tp   a script or batch file with `ip l2tp add tunnel|session ...`
//	vyos      `set interfaces l2tpv3 ...`, or the same in braces, as in config.boot
//	cisco     IOS: `xconnect ... encapsulation l2tpv3 manual` and what stands below and around it
//	kernel    tunnels and sessions that a running kernel has, as package appliance/kernel reads them
//
// What is read is the configuration of the system that xwire takes the place of; with Options.OtherEnd
// the result is that of its peer. What has no counterpart, and what else the source says of the sessions'
// interfaces, is told in comments of the result, never left out in silence; what is wrong is an error with the line and the word.
//
// The result is checked by package config before anybody sees it, and the errors of that name the
// lines of the source.
package importer
