package sdk

// registered is the guest that this program is. It is written once, while packages are initialised.
var registered *Guest

// Register makes r what this program exports. A plugin calls it once, to initialise a package variable of main, which tests then use:
//
//	var counter = sdk.Register(sdk.Reducer[State]{ ... })
//
// It panics when New does, and when it is called twice.
func Register[S any](r Reducer[S]) *Module[S] {
	if registered != nil {
		panic("sdk: Register: a module is one reducer, and " + r.Name + " is the second")
	}
	m := New(r)
	registered = &m.Guest
	return m
}
