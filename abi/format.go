package abi

import "strconv"

// format is fmt.Sprintf for the verbs %s, %d, %x and %q, and for strings and integers. Guests link this package, and fmt would make each of
// them a third larger.
func format(f string, args ...any) string {
	var b []byte
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b = append(b, f[i])
			continue
		}
		i++
		base := 10
		if f[i] == 'x' {
			base = 16
		}
		switch v := args[0].(type) {
		case string:
			if f[i] == 'q' {
				b = strconv.AppendQuote(b, v)
			} else {
				b = append(b, v...)
			}
		case int:
			b = strconv.AppendInt(b, int64(v), base)
		case uint64:
			b = strconv.AppendUint(b, v, base)
		default:
			panic("abi: format " + f)
		}
		args = args[1:]
	}
	return string(b)
}
