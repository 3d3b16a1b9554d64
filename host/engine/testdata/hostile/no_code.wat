;; Rejects without saying why.
(func (export "cr1_reduce") (param $len i32) (result i64) (call $answer (i32.const 1) (i32.const 0) (i32.const 0)))
