;; Divides by zero.
(func $divide (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
(func (export "cr1_reduce") (param $len i32) (result i64)
  (drop (call $divide (i32.const 0)))
  (i64.const 0))
