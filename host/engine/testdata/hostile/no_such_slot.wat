;; Denies a slot that the host has just given it.
(func (export "cr1_reduce") (param $len i32) (result i64) (call $answer (i32.const 4) (i32.const 0) (i32.const 0)))
