package main

import (
	"reflect"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/httpapi"
)

// Every setting of the host that is a number, a text or a switch is a flag.
func TestServeFlags_complete(t *testing.T) {
	var f serveFlags
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.register(flags)
	before := f.host
	set(t, flags)
	was, is := reflect.ValueOf(before), reflect.ValueOf(f.host)
	for i := range was.NumField() {
		if field := was.Type().Field(i); isPlain(field.Type.Kind()) {
			require.NotEqual(t, was.Field(i).Interface(), is.Field(i).Interface(), "no flag for %s", field.Name)
		}
	}
}

// Every field of a policy is a flag of policy set.
func TestPolicyFlags_complete(t *testing.T) {
	var p httpapi.Policy
	flags := pflag.NewFlagSet("set", pflag.ContinueOnError)
	policyFlags(flags, &p)
	set(t, flags)
	var check func(v reflect.Value, path string)
	check = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			name := path + v.Type().Field(i).Name
			if v.Field(i).Kind() == reflect.Struct {
				check(v.Field(i), name+".")
				continue
			}
			require.False(t, v.Field(i).IsZero(), "no flag for %s", name)
		}
	}
	check(reflect.ValueOf(p), "")
}

// set gives every flag a value that is no default.
func set(t *testing.T, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		value := map[string]string{"bool": "true", "duration": "7s", "string": "seven=7"}[f.Value.Type()]
		if value == "" {
			value = "7"
		}
		if value == f.DefValue {
			value = "false"
		}
		require.NoError(t, flags.Set(f.Name, value), f.Name)
	})
}

func isPlain(k reflect.Kind) bool {
	switch k {
	case reflect.Struct, reflect.Map, reflect.Func, reflect.Pointer, reflect.Interface, reflect.Slice:
		return false
	}
	return true
}
