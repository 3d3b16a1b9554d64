package meter

import "fmt"

// BoundError refuses a module that is well formed so far but larger than a limit.
// The same bytes under a higher limit may pass.
type BoundError struct {
	What  string // what there is too much of, in the plural: "locals"
	Where string // the offending thing: "function 7", "module"
	Have  uint64 // how many there are; a lower bound when counting stopped early
	Limit uint64
}

func (e *BoundError) Error() string {
	return fmt.Sprintf("%s: %d %s, the limit is %d", e.Where, e.Have, e.What, e.Limit)
}

// MalformedError refuses bytes that are not a WebAssembly module.
// It does not mean that every other module is valid: types are left to the compiler.
type MalformedError struct {
	Offset int // byte offset in the module
	What   string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed at byte %d: %s", e.Offset, e.What)
}

// FeatureError refuses a module that may be valid elsewhere but uses what is not offered here.
type FeatureError struct {
	Feature string // "threads", "imported memory"
	Where   string // "function 7", "import 2 env.memory"
}

func (e *FeatureError) Error() string {
	return fmt.Sprintf("%s: %s not supported", e.Where, e.Feature)
}
