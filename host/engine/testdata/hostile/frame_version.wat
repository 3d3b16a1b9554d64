;; A frame of another version.
(func (export "cr1_reduce") (param $len i32) (result i64) (local $span i64)
  (local.set $span (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))
  (i32.store16 (i32.const 64) (i32.const 2))
  (local.get $span))
