package meter

import "slices"

// generator turns any bytes into a valid program of four functions that uses every kind of control flow. It ends when the bytes do.
type generator struct {
	choices []byte
	depth   int
	labels  int // open blocks, the function's included
}

const (
	generated  = 4 // functions, all of type i32 i32 -> i32
	statements = 16
	variables  = 4 // i32 locals, parameters included
)

func (g *generator) next() int {
	if len(g.choices) == 0 {
		return 0
	}
	b := g.choices[0]
	g.choices = g.choices[1:]
	return int(b)
}

func (g *generator) program() []byte {
	p := program{
		memory: cat(1, 1, 1, 4), table: cat(1, typeFunc, 1, generated, 20),
		elems:   cat(1, 0, i32Const(0), opEnd, generated, 0, 1, 2, 3),
		globals: cat(1, i32, 1, i32Const(0), opEnd),
		data:    cat(1, 1, 4, 1, 2, 3, 4),
	}
	for i := range generated {
		g.labels = 1
		f := fn{params: i32 + i32, results: i32, locals: cat(1, variables-2, i32), export: string(rune('a' + i))}
		f.code = cat(g.body(), g.expression())
		p.funcs = append(p.funcs, f)
	}
	return p.bytes()
}

// body is a list of statements, which leave the stack alone.
func (g *generator) body() []byte {
	var out []byte
	for n := g.next() % 5; n > 0; n-- {
		out = append(out, g.statement()...)
	}
	return out
}

// inside generates in one more block.
func (g *generator) inside() []byte {
	if g.depth > 6 {
		return nil
	}
	g.depth++
	g.labels++
	defer func() { g.depth--; g.labels-- }()
	return g.body()
}

// label is an open block that carries no value: any but the function's.
func (g *generator) label() (int, bool) {
	if g.labels < 2 {
		return 0, false
	}
	return g.next() % (g.labels - 1), true
}

func (g *generator) statement() []byte {
	switch g.next() % statements {
	case 0, 1:
		return cat(g.expression(), set(g.next()%variables))
	case 2:
		return cat(g.expression(), ifThen(g.inside()))
	case 3:
		return cat(g.expression(), opIf, blockEmpty, g.inside(), opElse, g.inside(), opEnd)
	case 4:
		return block(g.inside())
	case 5:
		return loop(g.inside())
	case 6:
		if l, ok := g.label(); ok {
			return cat(g.expression(), brIf(l))
		}
	case 7:
		if l, ok := g.label(); ok {
			return cat(opBr, leb(l), g.expression(), 0x1a)
		}
	case 8:
		if a, ok := g.label(); ok {
			b, _ := g.label()
			return cat(g.expression(), opBrTable, 2, leb(a), leb(b), leb(a))
		}
	case 9:
		return cat(g.expression(), opReturn)
	case 10: // to the function's label, with a value
		return cat(g.expression(), g.expression(), opBrIf, leb(g.labels-1), 0x1a)
	case 11:
		return cat(g.expression(), g.expression(), opReturnCall, g.next()%generated)
	case 12:
		return cat(i32Const(g.next()), g.expression(), i32Const(g.next()), opMisc, miscMemoryFill, 0)
	case 13:
		return cat(g.expression(), i32Const(0xff), 0x71, g.expression(), 0x36, 2, 0)
	case 14:
		return cat(g.expression(), opGlobalSet, 0)
	case 15:
		return slices.Concat(i32Const(g.next()%3), cat(opMemoryGrow, 0, 0x1a))
	}
	return nil
}

// expression leaves one i32.
func (g *generator) expression() []byte {
	g.depth++
	defer func() { g.depth-- }()
	if g.depth > 8 {
		return get(0)
	}
	switch g.next() % 12 {
	case 0, 1:
		return get(g.next() % variables)
	case 2:
		return i32Const(g.next() - 128)
	case 3:
		return cat(g.expression(), g.expression(), opI32Add+g.next()%15)
	case 4: // division may trap
		return cat(g.expression(), g.expression(), 0x6d+g.next()%4)
	case 5:
		return cat(g.expression(), i32Const(0xffff), 0x71, 0x28, 2, 0)
	case 6:
		return cat(g.expression(), g.expression(), call(g.next()%generated))
	case 7:
		return cat(g.expression(), g.expression(), i32Const(g.next()%(generated+1)), opCallIndirect, g.next()%generated, 0)
	case 8:
		return cat(opGlobalGet, 0)
	case 9: // a block with a value, which branches carry
		return cat(opBlock, i32, g.expression(), g.expression(), opBrIf, 0, opEnd)
	case 10:
		return cat(g.expression(), g.expression(), g.expression(), 0x1b)
	}
	return cat(g.expression(), 0x45)
}
