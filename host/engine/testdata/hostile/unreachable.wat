;; What a Rust or AssemblyScript abort comes down to.
(func $abort unreachable)
(func (export "cr1_reduce") (param $len i32) (result i64) (call $abort) (i64.const 0))
