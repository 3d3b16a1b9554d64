// Package jsonpack maps JSON to msgpack and back without loss.
//
// # The mapping
//
//	JSON                              msgpack
//	null, true, false                 nil, bool
//	7, -7                             uint or int; beyond 64 bits refused
//	7.0, 7e0                          float64, which prints with a '.' or an 'e' always; beyond float64 (1e400) refused
//	"text"                            str
//	[...]                             array
//	{"key": ...}                      map, in the order of its keys
//	{"$$key": ...}                    map with the key "$key": a '$' at the start of a key is doubled
//	{"$bin": "base64"}                bin
//	{"$time": "RFC 3339, ns"}         timestamp (ext -1)
//	{"$ext": [type, "base64"]}        ext; a timestamp that RFC 3339 has no words for too
//	{"$float": "nan"|"inf"|"-inf"}    float64
//	{"$f32": 1.5|"nan"|"inf"|"-inf"}  float32
//	{"$str": "base64"}                str that is not UTF-8
//	{"$map": [[key, value], ...]}     map with a key that is not UTF-8 text, or with a key twice
//
// A form stands alone in its object. Base64 is the standard alphabet with padding. Integers in msgpack are one type, whatever their width
// and signedness; -0 is the integer 0 and -0.0 the float. A float32 has a form of its own, since as a plain number it would come back as
// a float64, with other bytes and, printed, with other digits.
//
// # Promise
//
// msgpack to JSON to msgpack gives the same value in its one canonical encoding: the shortest forms and one NaN, as package pack writes
// them, so canonical msgpack comes back byte for byte. JSON to msgpack to JSON gives the same JSON but for what JSON leaves open: white
// space, escapes, and how a number or a form is spelled; done again it changes nothing. The order of maps is kept both ways.
//
// # Refusals
//
// Errors are [*SyntaxError] for JSON and *pack.SyntaxError for msgpack, both with the offset of the offence: what is not JSON by RFC 8259
// (also text that is not UTF-8, and escapes of half a surrogate pair), a key twice in one object, an unknown or malformed form, numbers
// out of range, nesting deeper than pack.MaxDepth, bytes after the value.
//
// # Cost, concurrency and failure
//
// Both directions take time and memory linear in their input (times the bounded depth in the worst case), so a caller bounds them by
// bounding its input. The functions share nothing and never panic, whatever the input.
package jsonpack
