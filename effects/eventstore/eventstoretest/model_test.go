package eventstoretest

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
)

// The model is of use only if it tells right from wrong.
func TestModel(t *testing.T) {
	add := func(expect int64, ids ...string) operation {
		return operation{append: true, stream: "s", expect: expect, ids: ids}
	}
	at := func(first, last uint64) answer {
		return answer{appended: eventstore.Appended{FirstVersion: first, LastVersion: last}}
	}
	conflict := func(have uint64) answer { return answer{err: &eventstore.ConflictError{Have: have}} }
	type step struct {
		op        operation
		got       answer
		call, ret int64
	}
	for name, c := range map[string]struct {
		steps []step
		want  porcupine.CheckResult
	}{
		"in order":          {[]step{{add(0, "a"), at(1, 1), 1, 2}, {add(1, "b", "c"), at(2, 3), 3, 4}, {operation{}, answer{log: "s/a s/b s/c "}, 5, 6}}, porcupine.Ok},
		"a version twice":   {[]step{{add(0, "a"), at(1, 1), 1, 4}, {add(0, "b"), at(1, 1), 2, 3}}, porcupine.Illegal},
		"conflict":          {[]step{{add(0, "a"), at(1, 1), 1, 4}, {add(0, "b"), conflict(1), 2, 3}}, porcupine.Ok},
		"false conflict":    {[]step{{add(0, "a"), conflict(0), 1, 2}}, porcupine.Illegal},
		"wrong have":        {[]step{{add(0, "a"), at(1, 1), 1, 2}, {add(0, "b"), conflict(2), 3, 4}}, porcupine.Illegal},
		"again":             {[]step{{add(0, "a"), at(1, 1), 1, 2}, {add(0, "a"), at(1, 1), 3, 4}}, porcupine.Ok},
		"again, appended":   {[]step{{add(-1, "a"), at(1, 1), 1, 2}, {add(-1, "a"), at(2, 2), 3, 4}}, porcupine.Illegal},
		"reused":            {[]step{{add(0, "a"), at(1, 1), 1, 2}, {add(1, "b", "a"), answer{err: &eventstore.ReusedError{}}, 3, 4}}, porcupine.Ok},
		"stale read":        {[]step{{add(0, "a"), at(1, 1), 1, 2}, {operation{}, answer{}, 3, 4}}, porcupine.Illegal},
		"read out of order": {[]step{{add(-1, "a"), at(1, 1), 1, 2}, {add(-1, "b"), at(2, 2), 3, 4}, {operation{}, answer{log: "s/b s/a "}, 5, 6}}, porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, s := range c.steps {
				history = append(history, porcupine.Operation{ClientId: i, Input: s.op, Output: s.got, Call: s.call, Return: s.ret})
			}
			require.Equal(t, c.want, porcupine.CheckOperationsTimeout(storeModel, history, time.Minute))
		})
	}
}
