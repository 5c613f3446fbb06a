package api

// Marking is what a session's outer headers say; its names are those of the configuration's keys.
type Marking struct {
	TTL        uint8  `json:"ttl"`                   // or hop limit
	TTLInherit bool   `json:"ttl_inherit,omitempty"` // that of the packet inside; TTL is for frames without
	DF         bool   `json:"df"`
	DFInherit  bool   `json:"df_inherit,omitempty"` // the same of DF
	TOS        string `json:"tos"`                  // or traffic class: "0x00" to "0xff", or "inherit"
	PCPToDSCP  []int  `json:"pcp_to_dscp,omitempty"`
	ECN        string `json:"ecn"`         // none | rfc6040
	FlowLabel  string `json:"flow_label"`  // fixed | flow
	SourcePort string `json:"source_port"` // fixed | flow
}
