;; A status that does not exist.
(func (export "cr1_reduce") (param $len i32) (result i64) (call $answer (i32.const 9) (i32.const 0) (i32.const 0)))
