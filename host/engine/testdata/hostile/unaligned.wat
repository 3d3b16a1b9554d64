;; An output frame that does not start 8-aligned.
(func (export "cr1_reduce") (param $len i32) (result i64)
  (drop (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))
  (memory.copy (i32.const 68) (i32.const 64) (i32.const 32))
  (i64.const 0x4400000020))
