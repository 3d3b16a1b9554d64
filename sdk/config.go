package sdk

import (
	"reflect"
	"unsafe"
)

// Settings declares the type of a module's config; see UseConfig.
type Settings interface {
	// load returns the config that b, one msgpack value, makes of the defaults.
	load(b []byte) (any, error)
	defaults() any
}

type settings[C any] struct {
	value C
	plan  *plan
}

// UseConfig declares that the module takes a config of type C, a struct. Fields that a revision's config leaves out keep the value they have
// in defaults; unknown fields are refused. If *C has a method Validate() error, it is called, and its error refuses the deploy.
// It panics when C has no codec.
func UseConfig[C any](defaults C) Settings {
	p := planOf(reflect.TypeFor[C]())
	if len(p.preset) > 0 {
		panic("sdk: UseConfig: " + p.typ.String() + " has a default tag; its defaults are UseConfig's argument")
	}
	return &settings[C]{value: defaults, plan: p}
}

func (s *settings[C]) defaults() any { return s.value }

func (s *settings[C]) load(b []byte) (any, error) {
	value := s.value
	if err := decodeWhole(s.plan, b, unsafe.Pointer(&value), true); err != nil {
		return nil, err
	}
	if v, ok := any(&value).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, err
		}
	}
	return value, nil
}

// Config is the revision's config. A reducer must not change what it points to.
// It panics when the module's Reducer does not declare C with UseConfig.
func Config[C any](env *Env) C {
	value, ok := env.config.(C)
	if !ok {
		panic("sdk: Config[" + reflect.TypeFor[C]().String() + "]: the reducer declares no config of that type (see UseConfig)")
	}
	return value
}
