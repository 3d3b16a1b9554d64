;; Fills a megabyte again and again.
(func (export "cr1_reduce") (param $len i32) (result i64)
  (drop (memory.grow (i32.const 32)))
  (loop $again
    (memory.fill (i32.const 131072) (i32.const 7) (i32.const 1048576))
    (br $again))
  (i64.const 0))
