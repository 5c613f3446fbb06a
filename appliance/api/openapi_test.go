package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// TestOpenAPI: the document is what operations, types, codes and keys make. That the server has these
// routes, and answers as they say, is tested where it is.
func TestOpenAPI(t *testing.T) {
	text, err := json.MarshalIndent(describe(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if OpenAPI() != string(text)+"\n" {
		t.Error("openapi.json is not what the code says: run go test ./appliance/api -update")
	}
}

func describe(t *testing.T) object {
	s := &schemas{source: readSource(t), named: object{}}
	paths := object{}
	for i := range operations {
		method, path, _ := strings.Cut(operations[i].pattern, " ")
		at, _ := paths[path].(object)
		if at == nil {
			at = object{}
			paths[path] = at
		}
		at[strings.ToLower(method)] = s.operation(t, &operations[i], path)
	}
	s.of(reflect.TypeFor[Error](), "")
	s.codes()
	s.keys(t)
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "xwire", "version": "1",
			"description": "The control socket of xwire: HTTP/1.1 with JSON over a unix socket, " + DefaultSocket + " unless [appliance] control says otherwise. " +
				"Who may connect may do everything: its owner, and the members of control_group. Keys and values are those of the configuration file. " +
				"Objects may get more properties, and errors more codes: ignore those that you do not know. What is not below is answered with 404, no-such-path, or with 405, method-not-allowed, and the header Allow. Cookies are secrets, and given only where they are asked for.",
			"license": object{"name": "Apache 2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []any{object{"url": "http://xwire", "description": "any host name, through the unix socket"}},
		"security":   []any{},
		"paths":      paths,
		"components": object{"schemas": s.named},
	}
}

func (s *schemas) operation(t *testing.T, o *operation, path string) object {
	out := object{"operationId": o.id, "summary": o.summary}
	var parameters []any
	for _, part := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, p := range o.query {
		schema := object{"type": p.kind}
		if p.kind == "flag" {
			schema = object{"type": "string", "enum": []any{"0", "1"}}
		}
		parameters = append(parameters, object{"name": p.name, "in": "query", "description": p.text, "schema": schema})
	}
	if parameters != nil {
		out["parameters"] = parameters
	}
	if o.body != nil {
		out["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": s.shape(o.body)}}}
	}
	success := object{"description": "done"}
	if o.answer != nil {
		media := o.media
		if media == nil {
			media = []string{"application/json"}
		}
		content := object{}
		for _, m := range media {
			content[m] = object{"schema": s.shape(o.answer)}
		}
		success = object{"description": "done", "content": content}
	}
	status := 200
	if o.status != 0 {
		status = o.status
	}
	responses := object{strconv.Itoa(status): success}
	byStatus := map[int][]string{}
	for _, name := range with([]string{CodeInvalidRequest, CodeUnknownParameter}, o.codes...) { // the query is looked at first, of every one
		i := slices.IndexFunc(s.source.codes, func(c code) bool { return c.name == name })
		if i < 0 {
			t.Fatalf("%s: %q is no code", o.pattern, name)
		}
		byStatus[s.source.codes[i].status] = append(byStatus[s.source.codes[i].status], name)
	}
	for status, codes := range byStatus {
		responses[strconv.Itoa(status)] = object{
			"description": strings.Join(codes, ", "),
			"content": object{"application/json": object{"schema": object{
				"allOf": []any{ref("Error"), object{"type": "object", "properties": object{"code": object{"enum": codes}}}},
			}}},
		}
	}
	out["responses"] = responses
	return out
}

func (s *schemas) shape(v any) object {
	switch v {
	case "object", "string":
		return object{"type": v}
	case "binary":
		return object{"type": "string", "contentEncoding": "binary"}
	}
	if name, ok := v.(string); ok {
		return ref(name)
	}
	return s.of(reflect.TypeOf(v), "")
}

// codes lists all codes where Error has one.
func (s *schemas) codes() {
	var list []any
	var text strings.Builder
	text.WriteString("stable; text is for people. ")
	for i, c := range s.source.codes {
		list = append(list, c.name)
		if i > 0 {
			text.WriteString("; ")
		}
		fmt.Fprintf(&text, "%s (%d)", c.name, c.status)
		if c.text != "" {
			text.WriteString(": " + strings.ReplaceAll(c.text, ";", ","))
		}
	}
	s.named["Error"].(object)["properties"].(object)["code"] = object{"type": "string", "description": text.String(), "examples": list}
}

// keys are the objects that requests say, and answers repeat.
func (s *schemas) keys(t *testing.T) {
	for name, table := range map[string]string{"TunnelKeys": "tunnel", "SessionKeys": "session"} {
		properties, err := ofKeys(table)
		if err != nil {
			t.Fatal(err)
		}
		s.named[name] = object{"type": "object", "additionalProperties": false, "properties": properties,
			"description": "keys of the " + table + "'s table in the configuration file; where they change something, null takes a key back to its default"}
	}
	sessions, err := ofKeys("session")
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := ofKeys("tunnel")
	if err != nil {
		t.Fatal(err)
	}
	name := object{"type": "string", "description": "1 to 255 bytes, printable, without a slash"}
	sessions["name"], tunnel["name"] = name, name
	tunnel["session"] = object{"type": "object", "additionalProperties": ref("SessionKeys"), "description": "its sessions by name"}
	s.named["NewTunnel"] = object{"type": "object", "additionalProperties": false, "properties": tunnel, "required": []string{"name", "local", "peer"}, "description": "tid and ptid too, but for a keyed tunnel"}
	s.named["NewSession"] = object{"type": "object", "additionalProperties": false, "properties": sessions, "required": []string{"name"}, "description": "sid and psid too, but for that of a keyed tunnel"}
}
