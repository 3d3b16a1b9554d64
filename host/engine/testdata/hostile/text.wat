;; An error text of 2,000 bytes.
(func (export "cr1_reduce") (param $len i32) (result i64)
  (drop (call $answer (i32.const 2) (i32.const 0) (i32.const 0)))
  (i32.store (i32.const 88) (i32.const 2000))
  (i64.const 0x40000007f0))
