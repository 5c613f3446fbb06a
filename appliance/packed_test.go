package appliance

import (
	"reflect"
	"testing"

	"xwire/config"
)

// Whatever field a session has, it comes back; those that sessions share do not get mixed up.
func TestPackedSessionsComeBack(t *testing.T) {
	list := make([]config.Session, 4)
	for i := range list {
		fill(t, reflect.ValueOf(&list[i]).Elem(), i+1)
	}
	list[2] = list[1]
	list[2].Name, list[2].InterfaceName, list[2].Description = "another", "", ""
	packer := newPacker(list)
	for i := range list {
		p, want := packer.pack(&list[i]), list[i]
		want.Pos = config.Pos{}
		if got := p.config(); got != want {
			t.Errorf("session %d: %+v, want %+v", i, got, want)
		}
		if alone := pack(&list[i]); alone.config() != want || alone.name() != want.Name || alone.ifname() != want.InterfaceName {
			t.Errorf("session %d alone: %+v, want %+v", i, alone.config(), want)
		}
	}
}

// fill sets every field that can be set from outside to something that depends on n.
func fill(t *testing.T, v reflect.Value, n int) {
	t.Helper()
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), n+i)
		}
	case reflect.String:
		v.SetString(string(rune('a'+n)) + "-text")
	case reflect.Bool:
		v.SetBool(n%2 == 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	default:
		t.Fatalf("a session has a field of kind %v: say here how to fill it", v.Kind())
	}
}
