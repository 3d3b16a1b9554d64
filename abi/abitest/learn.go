package abitest

import (
	"fmt"
	"math"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// A manifest names action types and not their fields. So the kit tries names that fields often have: a guest skips those that it does not
// know, and of those that it knows says BAD_ACTION until they are written in the form that their type takes.

var usualNames = []string{
	"by", "n", "amount", "count", "value", "quantity", "price", "total",
	"id", "key", "name", "text", "item", "sku", "reason", "at", "items", "tags",
}

// forms write a number as values of several kinds, in the order in which they are tried.
var forms = []func(v int64) []byte{
	func(v int64) []byte { return pack.AppendInt(nil, v) },
	func(v int64) []byte { return pack.AppendString(nil, fmt.Sprint("sample ", v)) },
	func(v int64) []byte { return pack.AppendFloat(nil, float64(v)/2) },
	func(v int64) []byte { return pack.AppendBool(nil, v%2 == 0) },
	func(v int64) []byte { return pack.AppendTime(nil, time.Unix(v%1_000_000_000, 0)) },
	func(v int64) []byte { return pack.AppendBin(nil, fmt.Append(nil, v)) },
	func(v int64) []byte { return pack.AppendString(pack.AppendArrayLen(nil, 1), fmt.Sprint("sample ", v)) },
	func(v int64) []byte { return pack.AppendInt(pack.AppendArrayLen(nil, 1), v) },
	func(v int64) []byte { return pack.AppendArrayLen(nil, 0) },
	func(v int64) []byte { return pack.AppendMapLen(nil, 0) },
}

// learn derives samples of each action type: without fields, with fields in the forms that the guest takes, and with one that no guest knows.
func (t *trial) learn() ([]sample, error) {
	var samples []sample
	for n, a := range t.report.Manifest.Actions {
		known, err := t.formsOf(uint16(n), a.Type)
		if err != nil {
			return nil, err
		}
		variations := [][]field{nil, {{"unknown to all", []byte("\x92\x01\x81\xa1a\xc0")}}}
		for _, v := range []int64{0, 1, 7, -3, math.MaxInt64, math.MinInt64} {
			var fields []field
			for _, name := range usualNames {
				if write := known[name]; write != nil {
					fields = append(fields, field{name, write(v)})
				}
			}
			variations = append(variations, fields)
		}
		for _, fields := range variations {
			samples = append(samples, sample{uint16(n), action(a.Type, fields)})
		}
	}
	return samples, nil
}

// formsOf finds the first form of each name that is not answered BAD_ACTION. A trap here is no finding: the same action is met again
// where it is one.
func (t *trial) formsOf(n uint16, typ string) (map[string]func(int64) []byte, error) {
	known := map[string]func(int64) []byte{}
	i, err := t.instance()
	if err != nil {
		return nil, err
	}
	for _, name := range usualNames {
		for _, write := range forms {
			in := sample{n, action(typ, []field{{name, write(1)}})}.input()
			in.Ticket, in.Seq = firstTicket, 1
			out, err := i.reduce(&in)
			if isTrap(err) {
				if i, err = t.instance(); err != nil {
					return nil, err
				}
				continue
			}
			if err == nil && out.Status != abi.BadAction {
				known[name] = write
				break
			}
		}
	}
	return known, nil
}
